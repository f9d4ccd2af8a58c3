//! Occasions to look again that no event of Mender's gave: the sweep and operators make them.
//!
//! They change no key and no status, so nothing an event has decided is decided anew. The look
//! has a name like an event's, and the record owes its outcome: what was repaired can be read in
//! the log of outcomes.

use crate::{DeviceRef, Event, EventId, Record, Retry, Status, Working};

impl Record {
    /// Takes the hub's state for unknown, so that the next wake-up reads it and repairs what
    /// differs. `look` names the occasion.
    ///
    /// A look at a deleted device is a decommission of what was closed, and of nothing that was heard
    /// of since: as a dead letter it may be replayed when that is open.
    ///
    /// False, and nothing is changed, where the record is not settled: it is being worked on, or
    /// was given up.
    pub fn doubt(&mut self, about: &DeviceRef, look: EventId) -> bool {
        if !self.is_settled() || !self.outbox.is_empty() || self.parked.is_some() {
            return false;
        }
        let closed = self.status == Status::Decommissioned;
        let (revision, created) = if closed {
            (None, self.closed_incarnation())
        } else {
            (self.key.revision, self.key.incarnation)
        };
        self.confirmed = false;
        self.retry = Retry::default();
        self.working = Some(Working {
            event: Event {
                id: look,
                about: about.clone(),
                status: self.status,
                revision,
                created,
                replay: 0,
            },
            owed: true,
            changed: false,
        });
        true
    }
}
