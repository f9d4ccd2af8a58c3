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

use crate::{
    Device, Done, Event, IntegrationRef, Key, Outcome, Question, Record, Status, Timestamp, Working,
};

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
    if record.is_working_for(event) {
        let working = record.working.as_mut()?;
        if event.replay > working.event.replay {
            working.event.replay = event.replay;
            // Its dead letter is out, although that was not recorded any more: a new life.
            if record.parked.take().is_some() {
                record.retry = crate::Retry::default();
            }
        }
        return Some(Verdict::Work);
    }
    let done = record.done.as_ref().filter(|done| done.is_of(event))?;
    let done = done.clone();
    record.looked_in_vain();
    Some(Verdict::Ended(done))
}

fn decommission(record: &mut Record, event: Event, closed: bool) -> Verdict {
    if closed {
        return decommission_again(record, event);
    }
    match event.key().compare_incarnation(&record.key) {
        Ordering::Less => superseded(record, event),
        Ordering::Equal if record.reopened && event.created.is_none() => {
            doubt(record, event, Question::Close)
        }
        Ordering::Equal | Ordering::Greater => {
            record.outlive(&event.key());
            take(record, event)
        }
    }
}

/// A decommission of an id that is closed. It may be about an incarnation that was not closed.
fn decommission_again(record: &mut Record, event: Event) -> Verdict {
    if record.closed.is_some() && event.created.is_none() {
        return doubt(record, event, Question::Close);
    }
    let newer = is_after(event.created, record.closed_incarnation());
    if newer {
        let all = event.key().compare_incarnation(&record.key) != Ordering::Less;
        record.closed = event.created.filter(|_| !all);
        record.key.incarnation = record.key.incarnation.max(event.created);
    }
    if record.parked.is_some() && (newer || event.replay > 0) {
        return take(record, event);
    }
    superseded(record, event)
}

fn reopen(record: &mut Record, event: Event) -> Verdict {
    let closed = record.closed_incarnation();
    if !is_after(event.created, closed) {
        return superseded(record, event);
    }
    match event.key().compare(&record.key) {
        Ordering::Greater => {}
        // What was heard of and did not open the id contradicts this accept.
        Ordering::Equal if event.status.creates() => {
            return doubt(record, event, Question::Tie);
        }
        Ordering::Less | Ordering::Equal => return superseded(record, event),
    }
    record.reopened = true;
    record.outlive(&event.key());
    if event.status.creates() {
        return take(record, event);
    }
    // It opens nothing, but an older accept of its incarnation must not come after it.
    record.closed = closed;
    record.key = event.key();
    superseded(record, event)
}

/// Whether one incarnation is known to be newer than another.
fn is_after(created: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    matches!((created, other), (Some(new), Some(old)) if new > old)
}

fn update(record: &mut Record, event: Event) -> Verdict {
    match event.key().compare(&record.key) {
        Ordering::Greater => {
            record.reopened |= event.key().compare_incarnation(&record.key) == Ordering::Greater;
            record.outlive(&event.key());
            take(record, event)
        }
        Ordering::Equal if event.status != record.status => doubt(record, event, Question::Tie),
        Ordering::Equal if record.parked.is_some() && event.replay > 0 => take(record, event),
        Ordering::Less if is_a_hint(record, &event) => {
            record.key = record.key.learn(&event.key());
            record.confirmed = false;
            record.parked = None;
            start(record, event);
            Verdict::Work
        }
        _ => superseded(record, event),
    }
}

/// An accept without revision (Mender v4.x `provision_device`).
fn may_be_a_hint(event: &Event) -> bool {
    event.revision.is_none() && event.status.creates()
}

/// Such an accept that says what holds already.
fn is_a_hint(record: &Record, event: &Event) -> bool {
    may_be_a_hint(event)
        && record.status == event.status
        && event.key().compare_incarnation(&record.key) == Ordering::Equal
        && record.working.is_none()
        && (record.parked.is_none() || event.replay > 0)
}

/// Works for `event`, but keeps the status until Mender has answered.
fn doubt(record: &mut Record, event: Event, question: Question) -> Verdict {
    let (status, closed) = (record.status, record.closed);
    let asked = record.question.map_or(question, |open| open.and(question));
    take(record, event);
    record.status = status;
    record.closed = closed;
    record.question = Some(asked);
    Verdict::Work
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
    let open = record.question.take();
    if event.status != Status::Decommissioned {
        record.closed = None;
        record.question = open.and_then(Question::after_a_newer_event);
    }
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

/// The event decides nothing. A replay of it takes up what was given up all the same: its letter may
/// be the last one that could. Where an event is still to get its letter, that one can.
fn superseded(record: &mut Record, event: Event) -> Verdict {
    let for_good = event.replay == 0 && is_behind_for_good(record, &event);
    if event.key().compare_incarnation(&record.key) == Ordering::Equal {
        record.key = record.key.learn(&event.key());
    }
    let given_up = record.parked.is_some() && record.working.is_none();
    if event.replay > 0 && given_up {
        record.parked = None;
        record.confirmed = false;
        start(record, event);
        return Verdict::Work;
    }
    if !for_good {
        record.looked_in_vain();
    }
    Verdict::Ended(Done {
        event,
        outcome: Outcome::Superseded,
        reason: None,
    })
}

/// Whether the event decides nothing whatever the record becomes. Keys never go back, so it costs no
/// compare-and-set to make sure that this is not a copy of the store that has fallen behind.
fn is_behind_for_good(record: &Record, event: &Event) -> bool {
    let closed = record.status == Status::Decommissioned;
    let (Some(created), Some(newest)) = (event.created, record.key.incarnation) else {
        return false;
    };
    match record.closed_incarnation().filter(|_| closed) {
        Some(closed) => created <= closed,
        None if created < newest => true,
        // Whether it is one depends on what the record is at work on.
        None if may_be_a_hint(event) => false,
        None => event.key().compare(&record.key) == Ordering::Less,
    }
}
