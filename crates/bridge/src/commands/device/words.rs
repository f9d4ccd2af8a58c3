//! A record in plain words.

use lifecycle::{HubView, Op, Record, Wanted};

pub(super) fn wanted(record: &Record) -> &'static str {
    match record.wanted() {
        Wanted::Enabled => "present and enabled",
        Wanted::Disabled => "disabled if present",
        Wanted::Absent => "absent",
    }
}

pub(super) fn hub(record: &Record) -> String {
    let confirmed = if record.confirmed {
        ""
    } else {
        " (being looked at)"
    };
    match &record.hub {
        HubView::Unknown => "not asked yet".to_owned(),
        HubView::Absent => format!("absent{confirmed}"),
        HubView::Foreign => format!("an identity made by somebody else, left alone{confirmed}"),
        HubView::Ours {
            enabled,
            generation,
            ..
        } => {
            let status = if *enabled { "enabled" } else { "disabled" };
            format!("{status}, made by us, generation {generation}{confirmed}")
        }
    }
}

pub(super) fn delivered(record: &Record) -> &'static str {
    match (&record.hub, &record.delivery.delivered) {
        (HubView::Ours { generation, .. }, Some(delivered)) if generation == delivered => {
            "the connection string of this identity"
        }
        (_, Some(_)) => "the connection string of an earlier identity",
        (_, None) => "nothing",
    }
}

pub(super) fn state(record: &Record) -> String {
    if let Some(parked) = &record.parked {
        return format!(
            "given up after {} attempts: {}",
            parked.attempts, parked.error
        );
    }
    if record.is_settled() {
        return "settled".to_owned();
    }
    let name = |op: &Op| match op {
        Op::Create => "create",
        Op::Update { .. } => "update",
        Op::Keys { .. } => "change of keys",
        Op::Delete { .. } => "delete",
    };
    let open: Vec<_> = record
        .intents
        .iter()
        .map(|intent| name(&intent.op))
        .collect();
    if open.is_empty() {
        "in work".to_owned()
    } else {
        format!("in work; requests whose fate is open: {}", open.join(", "))
    }
}
