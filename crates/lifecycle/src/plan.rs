//! What is missing between what is wanted and what the hub has.
//!
//! The order of the questions carries the protocol: nothing is planned on unconfirmed
//! knowledge, a create needs no knowledge because it is create-only, a delete waits for open
//! creates, and nothing is settled while a request may still take effect.

use crate::keys::rotate;
use crate::{
    Device, HubView, Intent, KeySlot, Op, Record, RetryPolicy, Rotation, Timestamp, Wanted,
};

/// The next thing to do for a device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    AskMender,
    Read,
    Write(Op),
    Deliver { generation: String, key: KeySlot },
    Tag { etag: String },
    Await(Timestamp),
    Nothing,
}

/// What to do next for `device`.
pub(crate) fn plan(device: &Device, now: Timestamp, policy: &RetryPolicy) -> Plan {
    let Some(record) = &device.record else {
        return Plan::Nothing;
    };
    if record.question.is_some() {
        return Plan::AskMender;
    }
    if may_create_blind(device, record) {
        return Plan::Write(Op::Create);
    }
    if !is_known(device, record) {
        return Plan::Read;
    }
    match &record.hub {
        HubView::Unknown => Plan::Read,
        HubView::Absent if record.wanted() == Wanted::Enabled && record.status.creates() => {
            Plan::Write(Op::Create)
        }
        HubView::Absent | HubView::Foreign => {
            wait_for_open(record, now, policy, |_| true).unwrap_or(Plan::Nothing)
        }
        HubView::Ours { etag, .. } if record.wanted() == Wanted::Absent || is_outlived(record) => {
            wait_for_open(record, now, policy, |intent| intent.op == Op::Create)
                .unwrap_or_else(|| Plan::Write(Op::Delete { etag: etag.clone() }))
        }
        HubView::Ours {
            generation,
            etag,
            enabled,
        } => {
            let enable = record.wanted() == Wanted::Enabled;
            if *enabled != enable {
                return update(device, etag, enable);
            }
            rotate(device, record, etag)
                .or_else(|| deliver(device, record, generation, etag, now, policy))
                .or_else(|| wait_for_open(record, now, policy, |_| true))
                .unwrap_or(Plan::Nothing)
        }
    }
}

/// The very first create of a record: PUT without `If-Match` is create-only, so it needs no read,
/// which saves half of the registry allowance. Once anything went wrong, look first.
fn may_create_blind(device: &Device, record: &Record) -> bool {
    record.hub == HubView::Unknown
        && record.status.creates()
        && record.intents.is_empty()
        && record.retry.attempt == 0
        && record.retry.conflicts == 0
        && !device.fresh
}

/// Knowledge to plan on: from this handling, or confirmed when the record was last settled.
/// That a foreign identity is in the way is not worth remembering: it may be gone.
fn is_known(device: &Device, record: &Record) -> bool {
    device.fresh || (record.confirmed && record.hub != HubView::Foreign)
}

/// Whether the identity was made for an incarnation that a newer one has replaced.
fn is_outlived(record: &Record) -> bool {
    let made_for = record.made.as_ref().and_then(|made| made.incarnation);
    matches!((made_for, record.key.incarnation), (Some(old), Some(new)) if old < new)
}

/// An update replaces the whole identity, keys included, so it must be at hand.
fn update(device: &Device, etag: &str, enable: bool) -> Plan {
    if device.held.as_deref() == Some(etag) {
        Plan::Write(Op::Update {
            etag: etag.to_owned(),
            enable,
        })
    } else {
        Plan::Read
    }
}

fn deliver(
    device: &Device,
    record: &Record,
    generation: &str,
    etag: &str,
    now: Timestamp,
    policy: &RetryPolicy,
) -> Option<Plan> {
    if !record.status.creates() {
        return None;
    }
    let delivery = &record.delivery;
    let has_key = delivery.delivered.as_deref() == Some(generation);
    if has_key && record.rotation != Some(Rotation::Deliver) {
        let tagged = delivery.tagged.as_deref() == Some(generation);
        return (!tagged).then(|| Plan::Tag {
            etag: etag.to_owned(),
        });
    }
    let due = delivery
        .claim
        .as_ref()
        .filter(|claim| device.claim.as_ref() != Some(&claim.id));
    let due = due.map(|claim| claim.seen_at.unwrap_or(now).plus(policy.delivery_lease));
    match due {
        Some(due) if due > now => Some(Plan::Await(due)),
        _ => Some(Plan::Deliver {
            generation: generation.to_owned(),
            key: record.key_to_deliver(),
        }),
    }
}

/// Waits until the last open intent that `blocks` can take effect no more, then reads again.
fn wait_for_open(
    record: &Record,
    now: Timestamp,
    policy: &RetryPolicy,
    blocks: impl Fn(&Intent) -> bool,
) -> Option<Plan> {
    let open = record.intents.iter().filter(|intent| blocks(intent));
    let due = open.map(|intent| intent.expiry(now, policy)).max()?;
    Some(if due <= now {
        Plan::Read
    } else {
        Plan::Await(due)
    })
}

impl Intent {
    /// From this time on the request cannot take effect any more. While nobody has seen when it
    /// was stored, its lease counts from now.
    pub(crate) fn expiry(&self, now: Timestamp, policy: &RetryPolicy) -> Timestamp {
        self.seen_at.unwrap_or(now).plus(policy.lease)
    }
}
