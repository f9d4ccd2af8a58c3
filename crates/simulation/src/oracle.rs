//! What must always hold, judged by what the servers saw (design section 6).
//!
//! The oracle reads records as data. Of the core's code it uses none: order of keys, what a status
//! asks for and when a record is settled are written here once more.

use std::cmp::Ordering;

use lifecycle::{
    Done, Event, Failure, HubWrite, IntegrationRef, Key, MenderView, Op, Outcome, Record, Status,
};
use tokio::time::Instant;

use crate::case::Identity;
use crate::hub::{Flight, OneHub};
use crate::mender::Delivery;
use crate::queue::Message;
use crate::world::{World, hub_number};

/// More than this of anything in one record would mean that it piles up.
const MANY: usize = 30;
/// How long a refused credential is left alone.
const PROBE_EVERY: u64 = 60;

/// Order of two keys: by incarnation where both are known, then by revision.
pub(crate) fn order(one: &Key, other: &Key) -> Ordering {
    match (one.incarnation, other.incarnation) {
        (Some(mine), Some(theirs)) if mine != theirs => mine.cmp(&theirs),
        _ => one.revision.cmp(&other.revision),
    }
}

/// Whether what the hub shows is what a status asks for. What is foreign is nobody's business.
pub(crate) fn agrees(status: Status, shown: Option<&Identity>) -> bool {
    let Some(identity) = shown else {
        return status != Status::Accepted;
    };
    let may_connect = match status {
        Status::Accepted | Status::Preauthorized => true,
        Status::Pending | Status::Rejected | Status::Noauth => false,
        Status::Decommissioned => return !identity.ours,
    };
    !identity.ours || identity.facts.enabled == may_connect
}

pub(crate) fn is_settled(record: &Record) -> bool {
    record.confirmed && record.intents.is_empty() && record.working.is_none()
}

impl World {
    /// A record is about to be stored as `version`.
    pub(crate) fn check_stored(&mut self, case: usize, record: &Record, version: u64) {
        if let Some(before) = &self.cases[case].stored {
            let back = order(&record.key, &before.record.key) == Ordering::Less;
            self.require(!back, "S2: the key of a record went backwards");
        }
        self.require(record.intents.len() < MANY, "S12: open requests pile up");
        self.require(record.outbox.len() < MANY, "S12: outcomes pile up");
        self.remember_intents(case, record, version);
        self.check_claim(case, record);
        if !is_settled(record) {
            return;
        }
        let hub = hub_number(&record.integration.hub);
        let (edited, forgotten) = (self.cases[case].edited, self.cases[case].forgotten);
        let place = &mut self.cases[case].places[hub];
        place.settled = (version, record.key);
        let shown = place.identity.clone();
        // A record that ends its event without an integration, or for the one before, judges nothing.
        let tenant = self.cases[case].tenant;
        let present = self.tenants[tenant].integration.as_ref();
        let present = present.is_some_and(|present| present.id == record.integration.id);
        if !edited && !forgotten && present {
            let agrees = agrees(record.status, shown.as_ref());
            self.require(agrees, "L2: settled, but the hub shows something else");
        }
    }

    /// Remembers what a record announces that is about to be stored as `version`.
    fn remember_intents(&mut self, case: usize, record: &Record, version: u64) {
        let announced = &mut self.cases[case].announced;
        for intent in &record.intents {
            let first = || (intent.op.clone(), intent.key, version);
            announced.entry(intent.id.clone()).or_insert_with(first);
        }
    }

    /// Whoever claims a delivery must not know that it was made. Another one may still arrive while it
    /// is under way: nobody can take back what was sent, and it is the same.
    fn check_claim(&mut self, case: usize, record: &Record) {
        let here = &mut self.cases[case];
        let stored = here.stored.as_ref();
        let before = stored.and_then(|stored| stored.record.delivery.claim.as_ref());
        let Some(claim) = &record.delivery.claim else {
            return;
        };
        if before.is_some_and(|before| before.id == claim.id) {
            return;
        }
        here.claimed.extend(claim.generation.clone());
        let again = claim.generation == record.delivery.delivered;
        self.require(!again, "S5: delivered again without need");
    }

    /// The key of a request's intent, and the first version of the record that held it.
    pub(crate) fn intent_of(&mut self, case: usize, request: &HubWrite) -> (Key, u64) {
        let announced = self.cases[case].announced.get(request.intent());
        let as_announced = announced.is_some_and(|(op, _, _)| match (op, request) {
            (Op::Create, HubWrite::Create { .. }) => true,
            (
                Op::Update { etag, enable },
                HubWrite::Update {
                    etag: e,
                    enable: on,
                    ..
                },
            ) => etag == e && enable == on,
            (
                Op::Keys { etag, change },
                HubWrite::Keys {
                    etag: e, change: c, ..
                },
            ) => etag == e && change == c,
            (Op::Delete { etag }, HubWrite::Delete { etag: e, .. }) => etag == e,
            _ => false,
        });
        let found = announced.map(|(_, key, version)| (*key, *version));
        self.require(
            as_announced,
            "rule 1: a request whose intent was not stored before",
        );
        found.unwrap_or_default()
    }

    /// A request has changed a hub.
    pub(crate) fn check_effect(&mut self, flight: &Flight, before: Option<&Identity>) {
        let ours = before.is_none_or(|identity| identity.ours);
        let ours = ours || !self.is_of_now(flight);
        self.require(ours, "S1: a foreign identity was changed");
        let case = &self.cases[flight.case];
        if case.forgotten || case.edited {
            return;
        }
        let place = &case.places[flight.hub];
        let ((settled, settled_key), (last, last_key)) = (place.settled, place.effective);
        self.require(
            flight.stored > settled,
            "S2, S3: a request took effect after a later record was settled",
        );
        self.require(
            order(&flight.key, &settled_key) != Ordering::Less,
            "S2: an older key took effect after a newer one was settled",
        );
        self.require(
            flight.stored >= last && order(&flight.key, &last_key) != Ordering::Less,
            "S4: hub writes took effect in the wrong order",
        );
        self.cases[flight.case].places[flight.hub].effective = (flight.stored, flight.key);
        self.check_announced(flight);
        self.check_wish(flight);
        self.check_online(flight.case, flight.hub);
    }

    /// The device stays online while its keys are changed: the one that it has opens the hub.
    pub(crate) fn check_online(&mut self, case: usize, hub: usize) {
        let here = &self.cases[case];
        let live = here.places[hub].identity.as_ref();
        let (Some(live), Some(has)) = (live, &here.configured) else {
            return;
        };
        let Some(keys) = &live.facts.keys else { return };
        let is_of_it = has.hub == hub && has.generation == live.facts.generation;
        let opens = has.key == keys.primary || has.key == keys.secondary;
        let holds = !is_of_it || here.forgotten || here.edited || opens;
        self.require(holds, "S5: the key that the device has was taken from it");
    }

    fn check_announced(&mut self, flight: &Flight) {
        let stored = self.cases[flight.case].stored.as_ref();
        if let (HubWrite::Create { .. }, Some(stored)) = (&flight.request, stored) {
            let mut open = stored.record.intents.iter();
            let known = open.any(|open| open.id == *flight.request.intent());
            self.require(known, "S5: an identity was made that no intent announces");
        }
    }

    /// What takes away needs a wish of Mender's.
    fn check_wish(&mut self, flight: &Flight) {
        if !matches!(flight.request, HubWrite::Delete { .. }) {
            return;
        }
        let case = &self.cases[flight.case];
        let said = case.script.emissions.iter().take(case.emitted);
        let gone = said.filter(|said| said.truth == MenderView::Absent).count();
        self.require(gone > 0, "S9: deleted, and Mender never decommissioned it");
    }

    /// A delivery is about to be sent.
    pub(crate) fn check_delivery(&mut self, delivery: &Delivery) {
        let case = &self.cases[delivery.case];
        let shown = case.places[delivery.hub].identity.as_ref();
        let foreign = shown.is_some_and(|identity| {
            identity.facts.generation == delivery.generation && !identity.ours
        });
        let (alone, forgotten) = (case.deliveries == 0, case.forgotten);
        let claimed = case.claimed.contains(&delivery.generation);
        self.require(!foreign, "S1: the key of a foreign identity was delivered");
        if forgotten {
            return;
        }
        self.require(alone, "S5: two deliveries at once");
        self.require(
            claimed,
            "rule 1: a delivery whose claim was not stored before",
        );
    }

    /// A message was acknowledged: its event has ended for all to see, or the record owes it.
    pub(crate) fn check_acknowledged(&mut self, message: &Message) {
        let Some(event) = &message.event else { return };
        let held = self.ledger.has_ended(event) || self.owes(message.case, event);
        let held = held || self.cases[message.case].forgotten;
        self.require(held, "S6: acknowledged without a durable end");
    }

    /// Whether the stored record owes the outcome of an event.
    pub(crate) fn owes(&self, case: usize, event: &Event) -> bool {
        let Some(stored) = &self.cases[case].stored else {
            return false;
        };
        let working = stored.record.working.as_ref();
        let works = working.is_some_and(|working| working.owed && working.event.id == event.id);
        let mut outbox = stored.record.outbox.iter();
        works || outbox.any(|done| done.event.id == event.id && done.event.replay >= event.replay)
    }

    /// An outcome is out.
    pub(crate) fn check_outcome(&mut self, done: &Done) {
        if done.outcome == Outcome::Dead {
            let buried = self.ledger.was_buried(&done.event);
            self.require(buried, "S7: an event died without its dead letter");
        }
    }

    /// The sweep publishes an event.
    pub(crate) fn check_notice(&mut self, event: &Event) {
        if event.status == Status::Decommissioned {
            let case = self.case_of(&event.about);
            let gone = self.cases[case].truth == MenderView::Absent;
            self.require(
                gone,
                "S9: the sweep decommissioned a device that Mender has",
            );
        }
    }

    /// Something leaves for a tenant's hub or device.
    pub(crate) fn check_integration(&mut self, used: &IntegrationRef, tenant: usize, what: &str) {
        let current = self.tenants[tenant].integration.as_ref() == Some(used);
        if !current {
            self.require(
                false,
                &format!("S10: a {what} with an integration that was replaced"),
            );
        }
    }

    /// A request goes out: with a refused credential only now and then.
    pub(crate) fn check_suspension(&mut self, hub: &OneHub) {
        // Those who passed the gate before the refusal, one for each device, and a probe.
        let most = self.scale.devices + 1;
        let process = (hub.port.life.number, hub.integration.generation);
        let refused = &mut self.tenants[hub.tenant].refused;
        let Some((since, asked)) = refused.get_mut(&process) else {
            return;
        };
        if since.elapsed().as_secs() < PROBE_EVERY {
            *asked += 1;
            let calm = *asked <= most;
            self.require(calm, "F11: a refused credential was tried again and again");
        }
    }

    /// A hub's answer has reached the process.
    pub(crate) fn answered(&mut self, hub: &OneHub, failure: Option<&Failure>) {
        let process = (hub.port.life.number, hub.integration.generation);
        let refused = &mut self.tenants[hub.tenant].refused;
        match failure {
            Some(Failure::Credentials(_)) => {
                let entry = refused.entry(process).or_insert((Instant::now(), 0));
                if entry.0.elapsed().as_secs() >= PROBE_EVERY {
                    *entry = (Instant::now(), 0);
                }
            }
            None | Some(Failure::Conflict | Failure::Permanent(_)) => {
                refused.remove(&process);
            }
            Some(Failure::Transient(_) | Failure::Throttled { .. } | Failure::Full(_)) => {}
        }
    }
}
