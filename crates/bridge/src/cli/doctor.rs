//! Arguments of `doctor`.

use std::path::PathBuf;

use clap::Args;
use lifecycle::TenantId;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Folder with the workflow definitions that are mounted into Mender's workflows server and
    /// worker: checks that ours are there and win.
    #[arg(long, value_name = "DIR")]
    pub(crate) definitions: Option<PathBuf>,
    /// Internal address of Mender's workflows server, for instance http://mender-workflows:8080:
    /// checks the definitions that it uses.
    #[arg(long, value_name = "URL", env = "MENDER_IOTHUB_WORKFLOWS_URL")]
    pub(crate) workflows_url: Option<String>,
    /// Monitoring port of nats-server, for instance http://127.0.0.1:8222: checks what the server
    /// tells nowhere else, above all how often it writes to disk.
    #[arg(long, value_name = "URL", env = "MENDER_IOTHUB_NATS_MONITORING_URL")]
    pub(crate) nats_monitoring_url: Option<String>,
    /// Only this tenant's integration. Without this, at most 100 are tried.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Longest time that one check may take, seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) limit_s: u64,
}
