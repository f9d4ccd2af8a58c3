//! The commands about twins, methods and jobs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use messages::ModuleId;
use messages::twin::JobName;

use super::{OfTenant, OneDevice};

#[derive(Debug, Args)]
pub(crate) struct Twin {
    /// File with the Mender token to send along, where the service asks for one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "MENDER_IOTHUB_TOKEN_FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) what: TwinCommand,
}

/// A device, or one of its modules.
#[derive(Debug, Args)]
pub(crate) struct OneTwin {
    #[command(flatten)]
    pub(crate) device: OneDevice,
    /// A module of the device instead of the device itself.
    #[arg(long, value_name = "ID")]
    pub(crate) module: Option<ModuleId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Shows a twin without the hub's metadata.
    Get {
        #[command(flatten)]
        of: OneTwin,
        /// Go on showing what changes, until Ctrl-C.
        #[arg(long, short)]
        watch: bool,
        /// With `--watch`: time between two looks, seconds.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
        every_s: u64,
    },
    /// Replaces the desired properties; tags stay.
    Set {
        #[command(flatten)]
        of: OneTwin,
        /// JSON file with the desired properties; `-` is standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        desired: PathBuf,
        /// Only if the twin still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Merges into desired properties and tags; null removes a key.
    Patch {
        #[command(flatten)]
        of: OneTwin,
        /// JSON file with what to merge into the desired properties; `-` is standard input.
        #[arg(long, value_name = "FILE", required_unless_present = "tags")]
        desired: Option<PathBuf>,
        /// JSON file with what to merge into the tags; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        tags: Option<PathBuf>,
        /// Only if the twin still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Opens the desired properties in `$VISUAL` or `$EDITOR`, and sets them when it ends.
    ///
    /// If somebody else has changed the twin meanwhile, nothing is set: the command says what
    /// changed, and keeps the edit in a file.
    Edit {
        #[command(flatten)]
        of: OneTwin,
    },
    /// Lists the tenant's twins that a query finds.
    ///
    /// For example: "SELECT * FROM devices WHERE tags.site = 'north'"
    Query {
        #[command(flatten)]
        of: OfTenant,
        /// `SELECT * FROM devices`, or `FROM devices.modules`, with or without WHERE.
        #[arg(value_name = "QUERY", default_value = "SELECT * FROM devices")]
        query: String,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Calls a direct method of a connected device, once, and shows its answer.
    ///
    /// For example: `twin method DEVICE-ID reboot`. Exit code 1 if the device answers with a
    /// status of 400 or more.
    Method {
        #[command(flatten)]
        of: OneTwin,
        /// What the device calls it.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        call: Call,
    },
    /// Edits or calls many of the tenant's devices.
    #[command(subcommand)]
    Job(Job),
}

/// How a method is called.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// JSON file with the payload; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// How long the device may take to answer, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub(crate) response_timeout_s: u64,
    /// How long to wait for a device that is not connected, seconds.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub(crate) connect_timeout_s: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Schedules an edit of twins, or a method, for the devices that a query finds.
    Create(Box<NewJob>),
    /// Shows how far a job is.
    Get(OneJob),
    /// Cancels a job that has not begun.
    Cancel(OneJob),
}

#[derive(Debug, Args)]
pub(crate) struct OneJob {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// The job's id.
    #[arg(value_name = "ID", value_parser = job_name)]
    pub(crate) id: JobName,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("work").required(true).multiple(true)
    .args(["desired", "tags", "method"]))]
pub(crate) struct NewJob {
    #[command(flatten)]
    pub(crate) job: OneJob,
    /// Which devices: `SELECT * FROM devices` with or without WHERE.
    #[arg(long, default_value = "SELECT * FROM devices")]
    pub(crate) query: String,
    /// JSON file with what to merge into the desired properties.
    #[arg(long, value_name = "FILE")]
    pub(crate) desired: Option<PathBuf>,
    /// JSON file with what to merge into the tags.
    #[arg(long, value_name = "FILE")]
    pub(crate) tags: Option<PathBuf>,
    /// The method to call.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["desired", "tags"])]
    pub(crate) method: Option<String>,
    #[command(flatten)]
    pub(crate) call: Call,
    /// Not before this time, RFC 3339, at most seven days from now.
    #[arg(long, value_name = "TIME")]
    pub(crate) start_time: Option<String>,
    /// How long it may take, seconds.
    #[arg(long, default_value_t = 3600)]
    pub(crate) max_execution_s: u64,
}

fn job_name(text: &str) -> Result<JobName, String> {
    text.parse()
        .map_err(|error: messages::twin::BadRequest| error.to_string())
}
