//! iothub-emulator.

fn main() {}
