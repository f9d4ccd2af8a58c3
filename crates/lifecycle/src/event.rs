//! Events and the order among the events of one device.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{DeviceRef, Status, Timestamp};

/// Name of one published event, the same for every delivery and replay of it:
/// `<stream>-<sequence>`, with `-<index>` for the further devices of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

/// One message about one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// Whom it is about.
    pub about: DeviceRef,
    /// What it says.
    pub status: Status,
    /// Its place among the events of one incarnation; `None` where the sender gives none.
    pub revision: Option<u64>,
    /// When Mender created the device (`created_ts`): names the incarnation.
    pub created: Option<Timestamp>,
    /// Which life of the event this is: 0 for the first, and greater with every replay. Two
    /// replays of one letter may share a number, those of different letters must not, or the
    /// second one would be taken for a redelivery of the first.
    pub replay: u64,
}

impl Event {
    /// Whether this is the same event in any of its lives. The name alone does not tell: a source
    /// stream that was made anew counts from one again.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.key() == other.key() && self.status == other.status
    }

    /// Its place in the order of the device's events.
    #[must_use]
    pub const fn key(&self) -> Key {
        Key {
            incarnation: self.created,
            revision: self.revision,
        }
    }
}

/// Place of an event in the order of one device's events.
///
/// Mender counts a `revision` up with every write to a device, and never reuses a device id;
/// other publishers may, so a newer `created_ts` starts a new incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Key {
    /// `created_ts` of the device, where known.
    pub incarnation: Option<Timestamp>,
    /// Revision, where the sender gave one. None sorts below any number.
    pub revision: Option<u64>,
}

impl Key {
    /// Order of two incarnations; unknown counts as the same one.
    #[must_use]
    pub fn compare_incarnation(&self, other: &Self) -> Ordering {
        match (self.incarnation, other.incarnation) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs),
            _ => Ordering::Equal,
        }
    }

    /// Order of two events of a device: by incarnation, then by revision.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.compare_incarnation(other)
            .then_with(|| self.revision.cmp(&other.revision))
    }

    /// This key with the incarnation taken from `other` where it was not known here.
    #[must_use]
    pub fn learn(self, other: &Self) -> Self {
        Self {
            incarnation: self.incarnation.or(other.incarnation),
            ..self
        }
    }
}
