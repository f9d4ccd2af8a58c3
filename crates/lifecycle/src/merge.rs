//! Who wins when an event meets the record.
//!
//! The rules, in the order they are asked:
//! - the event being worked for, or one that has ended, was only delivered again;
//! - a decommission closes its incarnation for good, and only an accept of a newer incarnation
//!   opens the id again;
//! - otherwise the greater key wins, an equal or lower one is superseded;
//! - two events of one revision that disagree are settled by asking Mender;
//! - an accept without a revision never replaces anything, it only makes us look.

use std::cmp::Ordering;

use crate::{Device, Done, Event, IntegrationRef, Key, Outcome, Question, Record, Status, Working};

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the event being worked for.
    Work,
    /// It has ended; nothing else is to be done for it.
    Ended(Done),
}

/// Merges `event` into the device's record, making one if there is none.
pub(crate) fn merge(device: &mut Device, event: Event, integration: &IntegrationRef) -> Verdict {
    let Some(record) = &mut device.record else {
        let mut record = Record::first(&event, integration);
        start(&mut record, event);
        device.record = Some(record);
        return Verdict::Work;
    };
    if let Some(verdict) = redelivered(record, &event) {
        return verdict;
    }
    let closed = record.status == Status::Decommissioned;
    match (event.status, closed) {
        (Status::Decommissioned, _) => decommission(record, event, closed),
        (_, true) => reopen(record, event),
        (_, false) => update(record, event),
    }
}

/// The same event again: go on with it, or end it the way it ended before.
fn redelivered(record: &mut Record, event: &Event) -> Option<Verdict> {
    if record.is_working_for(&event.id) {
        if let Some(working) = &mut record.working {
            working.event.replay = working.event.replay.max(event.replay);
        }
        return Some(Verdict::Work);
    }
    let done = record.done.as_ref().filter(|done| done.is_of(event))?;
    Some(Verdict::Ended(done.clone()))
}

fn decommission(record: &mut Record, event: Event, closed: bool) -> Verdict {
    match event.key().compare_incarnation(&record.key) {
        Ordering::Less => superseded(record, event),
        Ordering::Greater if closed => {
            record.key.incarnation = event.created;
            superseded(record, event)
        }
        _ if closed && record.parked.is_some() && event.replay > 0 => take(record, event),
        _ if closed => superseded(record, event),
        Ordering::Equal if record.reopened && event.created.is_none() => {
            let status = record.status;
            take(record, event);
            record.status = status;
            record.question = Some(Question::Close);
            Verdict::Work
        }
        _ => take(record, event),
    }
}

fn reopen(record: &mut Record, event: Event) -> Verdict {
    let newer = event.key().compare_incarnation(&record.key) == Ordering::Greater;
    if newer && event.status.creates() {
        record.reopened = true;
        return take(record, event);
    }
    if newer {
        // It opens nothing, but an older accept of its incarnation must not come after it.
        record.key = event.key();
    }
    superseded(record, event)
}

fn update(record: &mut Record, event: Event) -> Verdict {
    match event.key().compare(&record.key) {
        Ordering::Greater => {
            record.reopened |= event.key().compare_incarnation(&record.key) == Ordering::Greater;
            take(record, event)
        }
        Ordering::Equal if event.status != record.status => {
            let status = record.status;
            take(record, event);
            record.status = status;
            record.question = Some(Question::Tie);
            Verdict::Work
        }
        Ordering::Equal if record.parked.is_some() && event.replay > 0 => take(record, event),
        Ordering::Less if is_a_hint(record, &event) => {
            record.key = record.key.learn(&event.key());
            record.confirmed = false;
            start(record, event);
            Verdict::Work
        }
        _ => superseded(record, event),
    }
}

/// An accept without revision (Mender v4.x `provision_device`) that says what holds already.
fn is_a_hint(record: &Record, event: &Event) -> bool {
    event.revision.is_none()
        && event.status.creates()
        && record.status == event.status
        && event.key().compare_incarnation(&record.key) == Ordering::Equal
        && record.working.is_none()
        && record.parked.is_none()
}

/// Makes `event` the newest one and the one being worked for.
fn take(record: &mut Record, event: Event) -> Verdict {
    if let Some(previous) = record.working.take().filter(|previous| previous.owed) {
        record.outbox.push(Done {
            event: previous.event,
            outcome: Outcome::Superseded,
            reason: None,
        });
    }
    let incarnation = event.created.max(record.key.incarnation);
    let revision = match event.key().compare_incarnation(&record.key) {
        Ordering::Greater => event.revision,
        _ => event.revision.max(record.key.revision),
    };
    record.key = Key {
        incarnation,
        revision,
    };
    record.status = event.status;
    record.question = None;
    record.parked = None;
    start(record, event);
    Verdict::Work
}

fn start(record: &mut Record, event: Event) {
    record.retry = crate::Retry::default();
    record.working = Some(Working {
        event,
        owed: false,
        changed: false,
    });
}

fn superseded(record: &mut Record, event: Event) -> Verdict {
    if event.key().compare_incarnation(&record.key) == Ordering::Equal {
        record.key = record.key.learn(&event.key());
    }
    Verdict::Ended(Done {
        event,
        outcome: Outcome::Superseded,
        reason: None,
    })
}
