//! What one record says beside what Mender and the hub show: no I/O, each rule a function.

use std::cmp::Ordering;
use std::time::Duration;

use lifecycle::{
    DeviceRef, Event, EventId, HubView, IntegrationRef, Key, Record, Status, Timestamp, Wanted,
};

use super::{HubRow, Known};

/// Names of looks begin with this, so that they are known in the log of outcomes.
const FIRST_LOOK: &str = "sweep-1-";
const SECOND_LOOK: &str = "sweep-2-";

/// Whether a record has work that nobody is going to take up: unfinished and long overdue.
pub(crate) fn is_stalled(record: &Record, now: Timestamp, grace: Duration) -> bool {
    let given_up = super::is_given_up(record);
    let unfinished = !record.outbox.is_empty() || !(record.is_settled() || given_up);
    let due = record.retry.not_before.unwrap_or_default();
    unfinished && due.plus(grace) < now
}

/// The event that Mender must have lost, if its status asks for something else than the record's.
///
/// It bears the record's own key: at the worker it is an event of one revision that disagrees, so
/// the worker asks Mender itself, whose word wins; a newer event wins over it, and an older one
/// still does not.
pub(crate) fn correction(
    record: &Record,
    known: &Known,
    about: &DeviceRef,
    id: EventId,
) -> Option<Event> {
    if known.decommissioning {
        return None;
    }
    let event = |revision, created| Event {
        id,
        about: about.clone(),
        status: known.status,
        revision,
        created,
        replay: 0,
    };
    let closed = record.status == Status::Decommissioned;
    let incarnation = record.closed.filter(|_| closed).or(record.key.incarnation);
    let newer = matches!((known.created, incarnation), (Some(new), Some(old)) if new > old);
    if newer && closed {
        return reopening(record, known).map(|key| event(key.revision, key.incarnation));
    }
    if newer {
        return Some(event(None, known.created));
    }
    if closed {
        return None;
    }
    let differs = known.status.wanted() != record.wanted()
        || known.status.creates() != record.status.creates();
    differs.then(|| event(record.key.revision, record.key.incarnation))
}

/// The key of an accept of a newer incarnation that opens a closed id. Where something else was heard
/// of that incarnation already it is the record's own, so that the worker asks Mender itself. `None`
/// where nothing opens it.
fn reopening(record: &Record, known: &Known) -> Option<Key> {
    if !known.status.creates() {
        return None;
    }
    match record.key.incarnation.cmp(&known.created) {
        Ordering::Less => Some(Key {
            incarnation: known.created,
            revision: None,
        }),
        Ordering::Equal => Some(record.key),
        Ordering::Greater => None,
    }
}

/// Whether a record is about the hub that the tenant has now.
pub(crate) fn is_of(record: &Record, integration: &IntegrationRef) -> bool {
    record.integration.id == integration.id && record.integration.hub == integration.hub
}

/// Whether a row of the hub's query contradicts what a settled record knows of the hub. A query tells
/// no generation, but whoever made the identity anew, or changed it, gave it another ETag.
pub(crate) fn contradicts(row: &HubRow, record: &Record) -> bool {
    let marked = row
        .mark
        .as_ref()
        .is_some_and(|mark| mark.integration == record.integration.id);
    match &record.hub {
        HubView::Ours { etag, enabled, .. } => {
            let replaced = row.etag.as_ref().is_some_and(|shown| shown != etag);
            *enabled != row.enabled || replaced
        }
        HubView::Absent | HubView::Unknown | HubView::Foreign => marked,
    }
}

/// Whether a settled record expects an identity that the hub's query should show.
pub(crate) fn should_be_listed(record: &Record) -> bool {
    match record.hub {
        HubView::Ours { .. } => true,
        HubView::Foreign => record.status.creates(),
        HubView::Absent | HubView::Unknown => false,
    }
}

/// Beginning of the name of the look that a deleted device is due for: one after the lease, one
/// after ten times that. Each look is the last event of its record, so its name counts them.
pub(crate) fn due_tombstone(
    record: &Record,
    age: Duration,
    lease: Duration,
) -> Option<&'static str> {
    if record.status != Status::Decommissioned || !record.is_settled() {
        return None;
    }
    let last = record
        .done
        .as_ref()
        .map_or("", |done| done.event.id.0.as_str());
    if last.starts_with(SECOND_LOOK) {
        None
    } else if last.starts_with(FIRST_LOOK) {
        (age >= lease * 10).then_some(SECOND_LOOK)
    } else {
        (age >= lease).then_some(FIRST_LOOK)
    }
}

/// Whether carrying out an event or a doubt may disable or delete an identity.
pub(crate) fn takes_away(wanted: Wanted) -> bool {
    match wanted {
        Wanted::Enabled => false,
        Wanted::Disabled | Wanted::Absent => true,
    }
}
