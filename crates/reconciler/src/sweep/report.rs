//! What a pass found, for people and for the log.

use std::collections::BTreeMap;

use lifecycle::DeviceId;
use serde::{Deserialize, Serialize};

use crate::Census;

/// How many ids of a kind are named.
const NAMED: usize = 10;

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A record with open work that nobody was going to take up again.
    Stalled,
    /// Mender has another status than the newest event said.
    LostEvent,
    /// Mender has an accepted device of which no event came.
    Unrecorded,
    /// As [`Finding::Unrecorded`], but perhaps older than the integration: left alone.
    BeforeIntegration,
    /// Mender says for the first time that it does not have a device of ours.
    Vanished,
    /// Mender says so again: decommissioned.
    LostDecommission,
    /// The hub seems to have something else than was last confirmed.
    Drift,
    /// An identity with our mark of which there is no record.
    Orphan,
    /// A deleted device that was looked at again, as every one is twice.
    Tombstone,
    /// An accepted device whose identity somebody else made: left alone.
    Foreign,
    /// A record whose work was given up: see the dead letters.
    GivenUp,
    /// A record of an earlier hub of the tenant: left alone.
    OtherHub,
}

impl Finding {
    /// All of them, in their order.
    pub const ALL: [Self; 12] = [
        Self::Stalled,
        Self::LostEvent,
        Self::Unrecorded,
        Self::BeforeIntegration,
        Self::Vanished,
        Self::LostDecommission,
        Self::Drift,
        Self::Orphan,
        Self::Tombstone,
        Self::Foreign,
        Self::GivenUp,
        Self::OtherHub,
    ];
}

/// How often, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How many devices.
    pub count: u64,
    /// Some of them.
    pub first: Vec<DeviceId>,
}

/// Why a pass is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The hub could not be listed: only what Mender and the records show was compared.
    Hub(String),
    /// deviceauth could not be listed: nothing was concluded from its silence.
    Mender(String),
}

/// The result of one pass over one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Identities that the hub's query showed.
    pub in_hub: u64,
    /// Devices in deviceauth's list.
    pub in_mender: u64,
    /// Records.
    pub records: u64,
    /// The same, by what is wanted and what is.
    pub census: Census,
    /// Hub requests that these records say may still take effect.
    pub open_intents: u64,
    /// What was found.
    pub findings: BTreeMap<Finding, Found>,
    /// Devices that were handed to the worker, or would be in a dry run.
    pub repaired: u64,
    /// Devices that would have been disabled or deleted, but were too many: all left alone.
    pub held_back: u64,
    /// What kept the pass from being complete.
    pub troubles: Vec<Trouble>,
    /// Nothing was done.
    pub dry_run: bool,
}

impl Report {
    pub(crate) fn found(&mut self, finding: Finding, device: &DeviceId) {
        let found = self.findings.entry(finding).or_default();
        found.count += 1;
        if found.first.len() < NAMED {
            found.first.push(device.clone());
        }
    }

    /// How many devices were found to be so.
    #[must_use]
    pub fn count(&self, finding: Finding) -> u64 {
        self.findings.get(&finding).map_or(0, |found| found.count)
    }
}
