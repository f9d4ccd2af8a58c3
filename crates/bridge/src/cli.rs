//! The command line. Help texts are written for somebody who has only this.

mod config;
mod device;
mod dlq;
mod doctor;
mod import;
mod integration;
mod iot_manager;
mod moment;
mod outcomes;
mod program;
mod status;
mod sweep;
mod twin;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lifecycle::{DeviceId, TenantId};

use crate::config::StoreKind;
pub(crate) use config::Config;
pub(crate) use device::{Device, DeviceHistory, DeviceList, DeviceState};
pub(crate) use dlq::{Dlq, DlqList, DlqShow, Letters, Purge, Replay};
pub(crate) use doctor::Doctor;
pub(crate) use import::{Import, ImportIotManager};
pub(crate) use integration::{Auth, Integration, IntegrationSet, Secrets};
pub(crate) use iot_manager::IotManager;
pub(crate) use outcomes::Outcomes;
pub(crate) use program::{Completions, Man};
pub(crate) use status::Status;
pub(crate) use sweep::{Adopt, Resync, Retry, Sweep};
pub(crate) use twin::{Call, Job, NewJob, OneJob, OneTwin, Twin, TwinCommand};
pub(crate) use webhook::{Webhook, WebhookSet};

/// What the help of each command shows apart from its own options.
const EVERYWHERE: &str = "Options of every command";

/// Keeps Azure IoT Hub's identity registry in step with the Mender server.
///
/// `setup` makes the streams, `integration set` names a tenant's hub, `run` is the worker.
/// The other commands look at what the worker has done, or ask it to do something again.
#[derive(Debug, Parser)]
#[command(
    name = "mender-iothub",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."
)]
pub(crate) struct Cli {
    /// The configuration file (TOML). Every key can also be set as `MENDER_IOTHUB__SECTION__KEY`.
    /// `config example` prints one with all keys.
    #[arg(
        long,
        short,
        global = true,
        env = "MENDER_IOTHUB_CONFIG",
        value_name = "FILE",
        help_heading = EVERYWHERE
    )]
    pub(crate) config: Option<PathBuf>,

    /// How results are printed.
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t = Output::Text,
        help_heading = EVERYWHERE
    )]
    pub(crate) output: Output,

    /// As `log.level`.
    #[arg(long, global = true, hide = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// Without one: help, or `server` where the configuration has iot-manager's APIs on.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON document, for programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the worker until it is told to stop (SIGTERM, Ctrl-C).
    ///
    /// It takes events from NATS and makes the hubs agree. Any number of workers may run beside each
    /// other. Servers that are not there are waited for, and the log says for which. Told to stop, it
    /// ends what it has begun first; killed, it loses nothing: another worker, or the next start,
    /// goes on.
    ///
    /// `config check` says whether it would start, `doctor` whether everything around it is right.
    Run,
    /// Makes or updates the streams, buckets and consumers in NATS. May be repeated.
    Setup(Setup),
    /// Shows on one screen what there is to do, what was done, and what is in the way.
    Status(Status),
    /// Checks everything that can be set up wrong, and says what to do about it.
    Doctor(Doctor),
    /// Shows or changes which hub a tenant's devices are kept in.
    #[command(subcommand)]
    Integration(Integration),
    /// Takes over what another service has kept.
    #[command(subcommand)]
    Import(Import),
    /// Renews what protects the stored credentials.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Shows what is known of a device.
    #[command(subcommand)]
    Device(Device),
    /// Lists, shows, replays and removes dead letters.
    #[command(subcommand)]
    Dlq(Dlq),
    /// Shows the event log: how events ended.
    #[command(subcommand)]
    Outcomes(Outcomes),
    /// Compares Mender, records and hubs now, and repairs what differs.
    Sweep(Sweep),
    /// Reads and edits twins, calls methods, schedules jobs.
    Twin(Twin),
    /// Sends how events ended to a tenant's own server.
    #[command(subcommand)]
    Webhook(Webhook),
    /// Checks the configuration, and prints what can be configured.
    #[command(subcommand)]
    Config(Config),
    /// Prints a script that lets your shell complete commands and options.
    Completions(Completions),
    /// Prints the manual page, or writes one for each command.
    Man(Man),
    #[command(flatten)]
    IotManager(IotManager),
}

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Only show what would be changed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Then copy the device records that are kept in this other store into the one that
    /// `store.kind` names. Stop all workers first.
    ///
    /// Nothing that is there already is overwritten, and the other store is left as it is, so
    /// the copy may be interrupted and repeated.
    #[arg(long, value_enum, value_name = "STORE")]
    pub(crate) migrate_from: Option<StoreKind>,
}

#[derive(Debug, Args)]
pub(crate) struct OfTenant {
    /// Mender tenant id. Open-source Mender has none: leave it out.
    #[arg(long, default_value = "")]
    pub(crate) tenant: TenantId,
}

#[derive(Debug, Args)]
pub(crate) struct OneDevice {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// The device id, the same in Mender and in the hub.
    #[arg(value_name = "ID")]
    pub(crate) device: DeviceId,
}
