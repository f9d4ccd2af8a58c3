//! Arguments of the sweep, and of what operators do with devices.

use std::path::PathBuf;

use clap::Args;
use lifecycle::{DeviceId, TenantId};

use super::{OfTenant, OneDevice};

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Only this tenant's devices.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Repair even if that disables or deletes more devices than `sweep.max_change_share`.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also take in accepted devices that no event was ever about, even if Mender had them before
    /// the integration was set.
    #[arg(long)]
    pub(crate) include_unrecorded: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Adopt {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// Device ids, the same in Mender and in the hub.
    #[arg(value_name = "ID", required_unless_present_any = ["from_file", "all_in_mender"])]
    pub(crate) devices: Vec<DeviceId>,
    /// Read ids from this file, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Every device that Mender has accepted.
    #[arg(long, conflicts_with_all = ["devices", "from_file"])]
    pub(crate) all_in_mender: bool,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resync {
    #[command(flatten)]
    pub(crate) device: OneDevice,
    /// Give the device a new key. The present one works beside it until `--end-old-key`, so the
    /// device stays connected.
    #[arg(long)]
    pub(crate) rotate_keys: bool,
    /// End the key that the last rotation has replaced: for when the device has connected with its
    /// new one. Nothing is delivered.
    #[arg(long, conflicts_with = "rotate_keys")]
    pub(crate) end_old_key: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// Device ids, the same in Mender and in the hub.
    #[arg(value_name = "ID", required_unless_present_any = ["all_parked", "all_in_other_hub"])]
    pub(crate) devices: Vec<DeviceId>,
    /// Every device of the tenant whose work was given up.
    #[arg(long, conflicts_with = "devices")]
    pub(crate) all_parked: bool,
    /// Every accepted device of the tenant whose record is about a hub that the tenant has left: it moves to
    /// the present one.
    #[arg(long, conflicts_with = "devices")]
    pub(crate) all_in_other_hub: bool,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
