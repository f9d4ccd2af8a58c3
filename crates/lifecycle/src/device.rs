//! What is known of a device while it is being handled.

use crate::{Done, Facts, IntentId, Keys, Record, Timestamp};

/// One device as it is being handled: its record, and what only this handling knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Device {
    /// The record, or `None` before the first event.
    pub record: Option<Record>,
    /// `record.hub` was read, or replied, in this handling.
    pub fresh: bool,
    /// The whole identity of this ETag is at hand for an update.
    pub held: Option<String>,
    /// The keys of the identity at hand.
    pub(crate) keys: Option<Keys>,
    /// An outcome to publish for an event whose message is still to be acknowledged.
    pub report: Option<Done>,
    /// The delivery of this handling.
    pub(crate) claim: Option<IntentId>,
    /// The request that the last step planned.
    pub(crate) planned: Option<IntentId>,
}

impl Device {
    /// The hub has just shown this.
    pub(crate) fn hold(&mut self, found: Option<Facts>) {
        self.fresh = true;
        self.keys = found.as_ref().and_then(|facts| facts.keys.clone());
        self.held = found.map(|facts| facts.etag);
    }

    /// A device as loaded: `written_at` is the time of the stored version by the store's clock.
    #[must_use]
    pub fn loaded(mut record: Record, written_at: Timestamp) -> Self {
        for intent in &mut record.intents {
            intent.seen_at.get_or_insert(written_at);
        }
        if let Some(claim) = &mut record.delivery.claim {
            claim.seen_at.get_or_insert(written_at);
        }
        Self {
            record: Some(record),
            ..Self::default()
        }
    }

    /// Takes back a request or a delivery of which the caller knows that it was never sent,
    /// although its intent may have been stored.
    pub fn withdraw(&mut self, never_sent: &IntentId) {
        if let Some(record) = &mut self.record {
            record.intents.retain(|intent| &intent.id != never_sent);
            if record
                .delivery
                .claim
                .as_ref()
                .is_some_and(|claim| &claim.id == never_sent)
            {
                record.delivery.claim = None;
            }
        }
    }

    /// The request or delivery that the last step planned, if it planned one.
    #[must_use]
    pub fn planned_id(&self) -> Option<&IntentId> {
        self.planned.as_ref().or(self.claim.as_ref())
    }

    /// A device without a record.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }
}
