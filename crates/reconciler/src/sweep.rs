//! The slow comparison of Mender, records and hub, which repairs what events missed.
//!
//! It changes neither hub nor record itself, but for one thing: it may *doubt* a record. What it
//! finds becomes an event or a wake-up, and the ordinary way does the rest, with its conditional
//! writes, its pace and its outcomes. So whatever the sweep gets wrong costs a look.
//!
//! No list is believed. Lists move while they are read, queries lag and show what is gone: they
//! raise suspicions, and a fresh look at the one device decides. Nothing is deleted because it is
//! missing: [`Seen::Gone`] must be heard twice, a grace apart. What would disable or delete is
//! kept until the whole tenant was looked at, and thrown away if it is too much (see `brake`).
//!
//! A pass walks through the hub's query, then through deviceauth's list, then through the records.
//! Of the two lists it keeps one number for each device, so that memory stays small.

mod brake;
mod judge;
mod pass;
mod ports;
mod repair;
mod report;
mod retry;
mod suspect;

use std::time::Duration;

pub use pass::Sweeper;
pub use ports::{HubList, HubPage, HubRow, Known, Notebook, Notices, Registry, RegistryPage, Seen};
pub use report::{Finding, Found, Report, Trouble};
pub use retry::{Retried, is_given_up};

/// How a pass goes about it.
#[derive(Debug, Clone)]
pub struct SweepSettings {
    /// What changed within this time is left alone: its events may still be under way.
    pub grace: Duration,
    /// After this time a request to the hub cannot take effect any more.
    pub lease: Duration,
    /// Share of a tenant's devices, in thousandths, that one pass may disable or delete.
    pub max_change_permille: u32,
    /// So many may always be.
    pub max_change_least: usize,
    /// Take in devices without a record even if Mender had them before the integration.
    pub adopt_unrecorded: bool,
    /// When the tenant's integration was first set, where that is known.
    pub integrated_since: Option<lifecycle::Timestamp>,
    /// Only tell.
    pub dry_run: bool,
    /// Repair even if that disables or deletes more than the share.
    pub force: bool,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(300),
            lease: Duration::from_secs(130),
            max_change_permille: 100,
            max_change_least: 20,
            adopt_unrecorded: false,
            integrated_since: None,
            dry_run: false,
            force: false,
        }
    }
}
