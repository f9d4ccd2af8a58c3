//! What must hold: after every action, and at rest (design section 6).

use std::cmp::Ordering;

use lifecycle::{HubView, HubWrite, MenderView, Record, Status, Wanted};

use crate::hub::{Flight, Identity};
use crate::world::World;

/// More open requests than this in one record would mean that they pile up.
const MANY: usize = 30;

/// Always.
impl World {
    pub(crate) fn require(&mut self, holds: bool, what: &str) {
        if !holds && self.violation.is_none() {
            self.note(|_| format!("VIOLATION: {what}"));
            self.violation = Some(what.to_owned());
        }
    }

    /// A record is about to be stored as `version`.
    pub(crate) fn check_stored(&mut self, record: &Record, version: u64) {
        if let Some(before) = &self.record {
            let back = record.key.compare(&before.record.key) == Ordering::Less;
            self.require(!back, "the key of the record went backwards");
        }
        self.require(record.intents.len() < MANY, "open requests pile up");
        self.require(record.outbox.len() < MANY, "outcomes pile up");
        if !record.is_settled() {
            return;
        }
        self.settled = (version, record.key);
        if !self.edited {
            let shown = self.hub.identity.as_ref();
            let agrees = agrees(record.wanted(), shown, record.status == Status::Accepted);
            self.require(agrees, "L2: settled, but the hub shows something else");
        }
    }

    /// A request has changed the hub.
    pub(crate) fn check_effect(&mut self, flight: &Flight, before: Option<&Identity>) {
        self.require(
            before.is_none_or(|identity| identity.ours),
            "S1: a foreign identity was changed",
        );
        let (version, key) = self.settled;
        self.require(
            flight.stored > version,
            "S2, S3: a request took effect after a later record was settled",
        );
        self.require(
            flight.key.compare(&key) != Ordering::Less,
            "S2: an older key took effect after a newer one was settled",
        );
        if self.edited {
            return;
        }
        let (stored, key) = self.effective;
        self.require(
            flight.stored > stored && flight.key.compare(&key) != Ordering::Less,
            "S4: hub writes took effect in the wrong order",
        );
        self.effective = (flight.stored, flight.key);
        if let (HubWrite::Create { .. }, Some(stored)) = (&flight.request, &self.record) {
            let known = stored
                .record
                .intents
                .iter()
                .any(|open| open.id == *flight.request.intent());
            self.require(known, "S5: an identity was made that no intent announces");
        }
    }

    /// A delivery is about to be sent.
    pub(crate) fn check_delivery(&mut self, generation: &str) {
        self.require(self.deliveries.is_empty(), "S5: two deliveries at once");
        let delivered = self
            .record
            .as_ref()
            .and_then(|stored| stored.record.delivery.delivered.as_deref());
        self.require(
            delivered != Some(generation),
            "S5: delivered again without need",
        );
        let foreign = self
            .hub
            .identity
            .as_ref()
            .is_some_and(|identity| identity.facts.generation == generation && !identity.ours);
        self.require(!foreign, "S1: the key of a foreign identity was delivered");
    }

    /// A message was acknowledged: its event has ended for all to see, or the record owes it.
    pub(crate) fn check_acknowledged(&mut self, message: usize) {
        let Some(event) = self.messages[message].event.clone() else {
            return;
        };
        let reported = self.reported.get(&event.id);
        let ended = reported.is_some_and(|list| list.iter().any(|done| done.is_of(&event)));
        let owed = self.record.as_ref().is_some_and(|stored| {
            let working = stored.record.working.as_ref();
            let works = working.is_some_and(|working| working.owed && working.event.id == event.id);
            works || stored.record.outbox.iter().any(|done| done.is_of(&event))
        });
        self.require(ended || owed, "S6: acknowledged without a durable end");
    }
}

/// Whether what the hub shows is what is wanted. What is foreign is nobody's business.
fn agrees(wanted: Wanted, shown: Option<&Identity>, exists: bool) -> bool {
    match (wanted, shown) {
        (_, Some(identity)) if !identity.ours => true,
        (Wanted::Enabled, Some(identity)) => identity.facts.enabled,
        (Wanted::Enabled, None) => !exists,
        (Wanted::Disabled, shown) => shown.is_none_or(|identity| !identity.facts.enabled),
        (Wanted::Absent, shown) => shown.is_none(),
    }
}

/// At rest.
impl World {
    pub(crate) fn check_at_rest(&mut self) {
        let published = self
            .scenario
            .emissions
            .iter()
            .flat_map(|emission| &emission.events);
        let endless: Vec<_> = published
            .filter(|event| !self.reported.contains_key(&event.id))
            .collect();
        let all = endless.is_empty();
        self.require(all, "S6, L1: an event has no outcome");
        self.require(
            self.letters.is_empty(),
            "S8: a replayed letter died without a reason",
        );
        let Some(stored) = self.record.clone() else {
            return;
        };
        let record = &stored.record;
        self.require(record.is_settled(), "L1: at rest, but not settled");
        self.require(
            record.outbox.is_empty() && record.parked.is_none(),
            "L1: something is left",
        );
        if !self.edited {
            self.check_hub(record);
        }
    }

    fn check_hub(&mut self, record: &Record) {
        let status = match self.scenario.truth(self.emitted) {
            MenderView::Known(status) => status,
            MenderView::Decommissioning | MenderView::Absent => Status::Decommissioned,
        };
        let shown = self.hub.identity.clone();
        let exists = status == Status::Accepted;
        self.require(
            agrees(status.wanted(), shown.as_ref(), exists),
            "L2: the hub is not as Mender wants it",
        );
        let foreign = shown.as_ref().is_some_and(|identity| !identity.ours);
        let known = (record.hub == HubView::Foreign) == foreign;
        self.require(known, "L2: the record is wrong about who made the identity");
        if exists && !foreign {
            let made_for = shown.as_ref().and_then(|identity| identity.made_for);
            let newest = self.scenario.newest;
            self.require(
                newest.is_none() || made_for == newest,
                "S5: the identity was made for an incarnation before",
            );
            let live = shown.map(|identity| identity.facts.generation);
            self.require(
                self.configured == live,
                "L3, S5: the device has not got the live key",
            );
            self.require(self.tagged == live, "L3: the twin is not tagged");
        }
    }
}
