//! One device: what Mender, the store and the hubs hold of it, and what the oracle remembers.

use std::collections::{BTreeMap, BTreeSet};

use lifecycle::{DeviceRef, Facts, IntentId, Key, MenderView, Op, Timestamp};
use reconciler::ports::{Payload, Stored};
use reconciler::sweep::HubRow;

use crate::script::Script;

/// What a hub holds under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) facts: Facts,
    /// A create of the tenant's integration made it: the truth that marks and generations stand
    /// for. To a later integration of another name it is somebody else's.
    pub(crate) ours: bool,
    /// The incarnation of the event that it was made for.
    pub(crate) made_for: Option<Timestamp>,
}

/// One device in one hub: what is there, and what the oracle remembers of it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) identity: Option<Identity>,
    /// What the query shows: it may lag.
    pub(crate) shown: Option<HubRow>,
    /// Generation whose twin bears the tag.
    pub(crate) tagged: Option<String>,
    /// Version of the record that was settled last, and its key.
    pub(crate) settled: (u64, Key),
    /// Where the intent of the last effective request was stored first, and its key.
    pub(crate) effective: (u64, Key),
}

/// The connection string of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configured {
    pub(crate) hub: usize,
    pub(crate) generation: String,
    /// The key in it.
    pub(crate) key: String,
}

/// A wake-up that is scheduled.
#[derive(Debug, Clone)]
pub(crate) struct Alarm {
    pub(crate) due: Timestamp,
    /// The bytes of the event that the record owes.
    pub(crate) payload: Payload,
}

/// Everything about one device.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) about: DeviceRef,
    pub(crate) tenant: usize,
    pub(crate) script: Script,
    /// So many emissions have been made.
    pub(crate) emitted: usize,
    /// What Mender holds, and of which incarnation.
    pub(crate) truth: MenderView,
    pub(crate) created: Option<Timestamp>,
    pub(crate) stored: Option<Stored>,
    /// Earlier versions of the record, the newest last.
    pub(crate) copies: Vec<Stored>,
    pub(crate) places: [Place; 2],
    /// Every intent that was ever stored, with its key and the version that held it first.
    pub(crate) announced: BTreeMap<IntentId, (Op, Key, u64)>,
    /// Generations of which a delivery was ever claimed.
    pub(crate) claimed: BTreeSet<String>,
    /// Deliveries under way.
    pub(crate) deliveries: usize,
    /// The connection string that the device has.
    pub(crate) configured: Option<Configured>,
    pub(crate) alarm: Option<Alarm>,
    /// When the sweep noted that Mender does not have it.
    pub(crate) noted: Option<Timestamp>,
    /// Somebody edited the hub by hand.
    pub(crate) edited: bool,
    /// The store lost its record, or what the record knew.
    pub(crate) forgotten: bool,
    /// Mender said once that it is gone although it was not.
    pub(crate) lied: bool,
}

impl Case {
    pub(crate) const fn new(about: DeviceRef, tenant: usize, script: Script) -> Self {
        const NOWHERE: Place = Place {
            identity: None,
            shown: None,
            tagged: None,
            settled: (0, NO_KEY),
            effective: (0, NO_KEY),
        };
        Self {
            about,
            tenant,
            script,
            emitted: 0,
            truth: MenderView::Absent,
            created: None,
            stored: None,
            copies: Vec::new(),
            places: [NOWHERE; 2],
            announced: BTreeMap::new(),
            claimed: BTreeSet::new(),
            deliveries: 0,
            configured: None,
            alarm: None,
            noted: None,
            edited: false,
            forgotten: false,
            lied: false,
        }
    }
}

const NO_KEY: Key = Key {
    incarnation: None,
    revision: None,
};
