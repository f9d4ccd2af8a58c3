//! What iot-manager's own commands do here.

use std::time::Duration;

use super::{secrets, setup, sweep};
use crate::cli::{IotManager, Output, Secrets, Setup, Sweep};
use crate::config::Config;
use crate::run;
use crate::session::Session;

/// How often `server --automigrate` looks for NATS, which may be starting too, and the pause in between.
const TRIES: usize = 12;
const PAUSE: Duration = Duration::from_secs(5);
const SETUP: Setup = Setup {
    dry_run: false,
    migrate_from: None,
};

pub(crate) async fn run(
    mut config: Config,
    what: IotManager,
    output: Output,
) -> anyhow::Result<()> {
    match what {
        IotManager::Server { automigrate } => {
            config.iot_manager.as_server()?;
            if automigrate {
                set_up(&config, output).await;
            }
            Box::pin(run::run(config)).await
        }
        IotManager::Migrate => setup::run(&config, SETUP, output).await,
        IotManager::SyncDevices { .. } => {
            let all = Sweep {
                tenant: None,
                dry_run: false,
                force: false,
                include_unrecorded: false,
            };
            sweep::run(&config, all, output).await
        }
        IotManager::ReEncrypt => {
            let rotate = Secrets::Rotate { dry_run: false };
            secrets::run(&config, rotate, output).await
        }
        IotManager::Version => {
            println!("mender-iothub {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

/// Without the right to set up the worker can still run, where somebody else has done it.
async fn set_up(config: &Config, output: Output) {
    for left in (0..TRIES).rev() {
        let Err(error) = Session::for_command(config).await else {
            break;
        };
        eprintln!("mender-iothub: setup waits: {error:#}");
        if left > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if let Err(error) = setup::run(config, SETUP, output).await {
        eprintln!("mender-iothub: setup: {error:#}");
    }
}
