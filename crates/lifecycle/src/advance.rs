//! Going on: turns what is missing into an effect, and failures into waits or an end.
//!
//! Every input ends here, so whatever a crash interrupted is asked for again by the next input.

use crate::keys::look_at_keys;
use crate::plan::{Plan, plan};
use crate::retry::Remedy;
use crate::{
    Context, Device, Done, Effect, Failure, HubView, HubWrite, Intent, KeySlot, Mark, Op, Outcome,
    Parked, Timestamp,
};

/// Goes on with whatever the record needs next.
pub(crate) fn advance(device: &mut Device, ctx: &Context<'_>) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    if !record.outbox.is_empty() || device.report.is_some() {
        return report(device);
    }
    if let Some(parked) = &record.parked {
        return record.working.as_ref().map_or(Effect::Ack, |working| {
            Effect::DeadLetter(working.event.clone(), parked.clone())
        });
    }
    if let Some(due) = record.retry.not_before.filter(|due| *due > ctx.now) {
        return arm(device, due);
    }
    record.retry.not_before = None;
    look_at_keys(device);
    match plan(device, ctx.now, ctx.policy) {
        Plan::AskMender => Effect::AskMender,
        Plan::Read => Effect::Read,
        Plan::Write(op) => write(device, op, ctx),
        Plan::Deliver { generation, key } => claim(device, generation, key, ctx),
        Plan::Tag { etag } => Effect::Tag { etag },
        Plan::Await(due) => arm(device, due),
        Plan::Nothing => settle(device),
    }
}

fn settle(device: &mut Device) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    record.confirmed = true;
    let working = record.working.as_ref();
    let changed = working.is_some_and(|working| working.changed);
    // Mender was asked and took the other side: the event has carried on with what holds.
    let lost = working.is_some_and(|working| working.event.status != record.status);
    let (outcome, reason) = match &record.hub {
        _ if lost => (Outcome::Superseded, None),
        HubView::Foreign => (Outcome::Ignored, Some("the identity is foreign")),
        _ if changed => (Outcome::Applied, None),
        _ => (Outcome::Unchanged, None),
    };
    device.report = record.finish(outcome, reason);
    report(device)
}

/// Publishes what has ended, or acknowledges if nothing has.
pub(crate) fn report(device: &mut Device) -> Effect {
    let owed = device.record.iter().flat_map(|record| record.outbox.iter());
    let ended: Vec<Done> = owed.chain(device.report.iter()).cloned().collect();
    if ended.is_empty() {
        Effect::Ack
    } else {
        Effect::Report(ended)
    }
}

pub(crate) fn arm(device: &mut Device, due: Timestamp) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    record.retry.not_before = Some(due);
    if let Some(working) = &mut record.working {
        working.owed = true;
    }
    Effect::Arm(due)
}

pub(crate) fn fail(device: &mut Device, failure: &Failure, ctx: &Context<'_>) -> Effect {
    device.fresh = false;
    device.held = None;
    device.keys = None;
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    record.confirmed = false;
    match ctx
        .policy
        .remedy(&mut record.retry, failure, ctx.now, ctx.jitter)
    {
        Remedy::Again => advance(device, ctx),
        Remedy::Wait(wait) if wait <= ctx.policy.in_process => Effect::Pause(wait),
        Remedy::Wait(wait) => arm(device, ctx.now.plus(wait)),
        // No event is at fault, and none could be replayed to take the work up again.
        Remedy::GiveUp if record.working.is_none() => arm(device, ctx.now.plus(ctx.policy.full)),
        Remedy::GiveUp => {
            record.parked = Some(Parked {
                error: failure.to_string(),
                exhausted: !matches!(failure, Failure::Permanent(_)),
                attempts: record.retry.attempt,
            });
            advance(device, ctx)
        }
    }
}

fn write(device: &mut Device, op: Op, ctx: &Context<'_>) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    let intent = ctx.fresh.clone();
    let request = match &op {
        Op::Create => HubWrite::Create {
            intent: intent.clone(),
            mark: Mark {
                integration: record.integration.id.clone(),
                intent: intent.clone(),
            },
        },
        Op::Update { etag, enable } => HubWrite::Update {
            intent: intent.clone(),
            etag: etag.clone(),
            enable: *enable,
        },
        Op::Keys { etag, change } => HubWrite::Keys {
            intent: intent.clone(),
            etag: etag.clone(),
            change: *change,
        },
        Op::Delete { etag } => HubWrite::Delete {
            intent: intent.clone(),
            etag: etag.clone(),
        },
    };
    record.intents.push(Intent {
        id: intent,
        op,
        key: record.key,
        elsewhere: false,
        seen_at: None,
    });
    record.confirmed = false;
    record.work_changed();
    device.planned = Some(request.intent().clone());
    Effect::Write(request)
}

fn claim(device: &mut Device, generation: String, key: KeySlot, ctx: &Context<'_>) -> Effect {
    let claim = ctx.fresh.clone();
    if let Some(record) = &mut device.record {
        device.claim = Some(claim.clone());
        record
            .delivery
            .claim(claim.clone(), generation.clone(), key);
        record.confirmed = false;
        record.work_changed();
    }
    Effect::Deliver {
        claim,
        generation,
        key,
    }
}
