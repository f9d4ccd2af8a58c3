//! `cargo xtask demo`.

use anyhow::{Result, bail};

use crate::Output;

/// Plays a fleet through the real worker, a hub emulator and a Mender simulator, and judges it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many devices the fleet has.
    #[arg(long, default_value_t = 1000)]
    devices: u32,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Runs the demo; `Ok(false)` when something disagrees.
pub(crate) fn run(args: &Args) -> Result<bool> {
    bail!(
        "the demo of {} devices is not built yet ({:?})",
        args.devices,
        args.output
    )
}
