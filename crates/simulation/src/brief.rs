//! Short words for long values, so that the trace of a failing run can be read.

use std::fmt::Write as _;

use lifecycle::{Done, Event, HubView, Key, Op, Record};

pub(crate) fn key(key: &Key) -> String {
    let created = key
        .incarnation
        .map_or("?".into(), |c| c.as_micros().to_string());
    let revision = key.revision.map_or("-".into(), |r| r.to_string());
    format!("{created}/{revision}")
}

pub(crate) fn event(event: &Event) -> String {
    format!(
        "{}({} {} life {})",
        event.id.0,
        event.status,
        key(&event.key()),
        event.replay
    )
}

pub(crate) fn done(done: &Done) -> String {
    format!("{} {:?}", done.event.id.0, done.outcome)
}

/// A list of dones.
pub(crate) fn dones(list: &[Done]) -> String {
    list.iter().map(done).collect::<Vec<_>>().join(", ")
}

pub(crate) fn record(record: &Record) -> String {
    let mut text = format!("{} {}", record.status, key(&record.key));
    let hub = match &record.hub {
        HubView::Ours {
            generation,
            etag,
            enabled,
        } => format!("{generation}@{etag} on={enabled}"),
        other => format!("{other:?}"),
    };
    let _ = write!(
        text,
        " hub[{hub}]{}",
        if record.confirmed { " confirmed" } else { "" }
    );
    for intent in &record.intents {
        let op = match &intent.op {
            Op::Create => "create".into(),
            Op::Update { etag, enable } => format!("update@{etag} on={enable}"),
            Op::Keys { etag, change } => format!("{change:?}@{etag}"),
            Op::Delete { etag } => format!("delete@{etag}"),
        };
        let _ = write!(text, " {}:{op}:{}", intent.id.0, key(&intent.key));
    }
    if let Some(working) = &record.working {
        let owed = if working.owed { " owed" } else { "" };
        let _ = write!(text, " working[{}{owed}]", event(&working.event));
    }
    if let Some(last) = &record.done {
        let _ = write!(text, " done[{}]", done(last));
    }
    let made = record
        .made
        .as_ref()
        .map(|made| (&made.generation, made.incarnation));
    let _ = write!(
        text,
        " made={made:?} delivered={:?} claim={:?} tagged={:?} question={:?} rotation={:?} key={:?} parked={} outbox=[{}] retry={}/{} before={:?} closed={:?}",
        record.delivery.delivered,
        record.delivery.claim.as_ref().map(|claim| &claim.id.0),
        record.delivery.tagged,
        record.question,
        record.rotation,
        record.delivery.fingerprint,
        record.parked.is_some(),
        dones(&record.outbox),
        record.retry.attempt,
        record.retry.conflicts,
        record.retry.not_before,
        record.closed,
    );
    text
}
