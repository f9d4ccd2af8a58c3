//! iot-manager's own commands, for whoever starts us in its place: Mender's compose file and chart.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum IotManager {
    /// As iot-manager's: `run`, with its HTTP APIs on port 8080 unless the configuration says where.
    #[command(hide = true)]
    Server {
        /// First `setup`.
        #[arg(long)]
        automigrate: bool,
    },
    /// As iot-manager's: `setup`.
    #[command(hide = true)]
    Migrate,
    /// As iot-manager's: `sweep`.
    #[command(hide = true)]
    SyncDevices {
        /// Not needed: a sweep reads as much at once as is good.
        #[arg(long, value_name = "N")]
        batch_size: Option<u32>,
        /// Not needed: one tenant's trouble does not stop the others.
        #[arg(long)]
        fail_early: bool,
    },
    /// As iot-manager's: `secrets rotate`. The keys are those of `secrets`.
    #[command(hide = true)]
    ReEncrypt,
    /// As iot-manager's: prints the version.
    #[command(hide = true)]
    Version,
}
