//! mender-simulator.

fn main() {}
