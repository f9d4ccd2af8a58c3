//! bridge.

fn main() {}
