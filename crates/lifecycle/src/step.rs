//! One step: an input changes the device and asks for an effect.

use crate::advance::{advance, arm, fail, report};
use crate::merge::{Verdict, merge};
use crate::{
    Context, DeliveryReply, Device, Done, Effect, Event, Failure, Fate, Input, MenderView, Outcome,
    Question, ReadReply, Status, Step, Timestamp, Wanted, WriteReply,
};

/// Decides what to do next.
///
/// The caller stores the record of the returned device, if it changed, by compare-and-set before
/// it performs an effect of which [`Effect::needs_saved_record`] holds; if somebody else changed
/// the record meanwhile, it loads again and starts over with the message in hand. It says
/// [`Input::Deferred`] instead of storing the step and performing its effect. What it knows of its
/// own requests by then goes into the record it loads: [`Device::withdraw`], [`Device::recall`].
#[must_use]
pub fn next(mut device: Device, input: Input, ctx: &Context<'_>) -> Step {
    let effect = match input {
        Input::Event(event) => on_event(&mut device, event, ctx),
        Input::Woken => on_woken(&mut device, ctx),
        Input::Deferred(until) => on_deferred(&mut device, until),
        Input::Reported => on_reported(&mut device, ctx),
        Input::DeadLettered => on_dead_lettered(&mut device),
        Input::Read(reply) => on_read(&mut device, reply, ctx),
        Input::Replied(reply) => on_reply(&mut device, reply, ctx),
        Input::Delivered(reply) => on_delivered(&mut device, reply, ctx),
        Input::Tagged(result) => on_tagged(&mut device, result, ctx),
        Input::Mender(result) => on_mender(&mut device, result, ctx),
    };
    Step { device, effect }
}

fn on_event(device: &mut Device, event: Event, ctx: &Context<'_>) -> Effect {
    let Some(integration) = ctx.integration else {
        return ignore(device, event);
    };
    match merge(device, event, integration) {
        Verdict::Work => {
            // An event that asks for nothing leaves a record of an earlier hub settled as it is.
            if let Some(record) = &mut device.record {
                record.move_to(integration);
            }
            advance(device, ctx)
        }
        Verdict::Ended(done) => {
            device.report = Some(done);
            report(device)
        }
    }
}

/// Without an integration there is no hub to speak of; what the record owed is ignored too.
fn ignore(device: &mut Device, event: Event) -> Effect {
    const REASON: &str = "the tenant has no integration";
    let ended = device
        .record
        .as_mut()
        .and_then(|record| record.finish(Outcome::Ignored, Some(REASON)));
    let repeated = device
        .record
        .as_ref()
        .and_then(|record| record.done.clone().filter(|done| done.is_of(&event)));
    let reason = Some(REASON.to_owned());
    let fresh = Done {
        event,
        outcome: Outcome::Ignored,
        reason,
    };
    // What `finish` returned is about a message that somebody else still holds, unless it is ours.
    device.report = Some(
        ended
            .filter(|done| done.is_of(&fresh.event))
            .or(repeated)
            .unwrap_or(fresh),
    );
    report(device)
}

fn on_woken(device: &mut Device, ctx: &Context<'_>) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    let Some(integration) = ctx.integration else {
        record.finish(Outcome::Ignored, Some("the tenant has no integration"));
        return report(device);
    };
    record.move_to(integration);
    let at_rest = record.is_settled() && record.outbox.is_empty();
    let effect = if at_rest {
        Effect::Ack
    } else {
        advance(device, ctx)
    };
    if let (Effect::Ack, Some(record)) = (&effect, &mut device.record) {
        record.looked_in_vain();
    }
    effect
}

fn on_reported(device: &mut Device, ctx: &Context<'_>) -> Effect {
    let ended_without_work = device.report.take().is_some();
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    record.outbox.clear();
    if ended_without_work || ctx.integration.is_none() || record.is_settled() {
        return Effect::Ack;
    }
    advance(device, ctx)
}

fn on_dead_lettered(device: &mut Device) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    let reason = record.parked.as_ref().map(|parked| parked.error.clone());
    device.report = record.finish(Outcome::Dead, reason.as_deref());
    report(device)
}

/// What was planned was neither stored nor sent, so it is as if it had not been planned.
fn on_deferred(device: &mut Device, until: Timestamp) -> Effect {
    for never_sent in [device.planned.take(), device.claim.take()]
        .into_iter()
        .flatten()
    {
        device.withdraw(&never_sent);
    }
    arm(device, until)
}

fn on_read(device: &mut Device, reply: ReadReply, ctx: &Context<'_>) -> Effect {
    let found = match reply.result {
        Ok(found) => found,
        Err(failure) => return fail(device, &failure, ctx),
    };
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    record.see(found.as_ref());
    record.close_dead_intents(found.as_ref(), |intent| {
        intent.expiry(reply.began, ctx.policy) <= reply.began && intent.seen_at.is_some()
    });
    device.hold(found);
    advance(device, ctx)
}

fn on_reply(device: &mut Device, reply: WriteReply, ctx: &Context<'_>) -> Effect {
    device.planned = None;
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    match reply.result {
        Ok(found) => {
            record.see(found.as_ref());
            record.succeeded(&reply.intent);
            record.close_dead_intents(found.as_ref(), |_| false);
            record.retry.succeeded();
            device.hold(found);
            advance(device, ctx)
        }
        Err((failure, fate)) => {
            if fate == Fate::Done {
                record.intents.retain(|intent| intent.id != reply.intent);
            }
            fail(device, &failure, ctx)
        }
    }
}

fn on_delivered(device: &mut Device, reply: DeliveryReply, ctx: &Context<'_>) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    device.claim = None;
    record.take_delivery(&reply);
    match reply.result {
        Ok(_) => {
            record.retry.succeeded();
            advance(device, ctx)
        }
        Err((failure, _)) => fail(device, &failure, ctx),
    }
}

fn on_tagged(device: &mut Device, result: Result<(), Failure>, ctx: &Context<'_>) -> Effect {
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    match result {
        // A hub of the Basic tier has no twins: the device works all the same.
        Ok(()) | Err(Failure::Permanent(_)) => {
            record.delivery.tagged = record.live_generation();
            record.retry.succeeded();
            advance(device, ctx)
        }
        Err(failure) => fail(device, &failure, ctx),
    }
}

fn on_mender(
    device: &mut Device,
    result: Result<MenderView, Failure>,
    ctx: &Context<'_>,
) -> Effect {
    let view = match result {
        Ok(view) => view,
        Err(failure) => return fail(device, &failure, ctx),
    };
    let Some(record) = &mut device.record else {
        return Effect::Ack;
    };
    let asked = record.working.as_ref().map(|working| working.event.status);
    if let (Some(question), Some(other)) = (record.question.take(), asked) {
        let gone = matches!(view, MenderView::Absent | MenderView::Decommissioning);
        let closes = gone && question != Question::Tie;
        if closes {
            record.status = Status::Decommissioned;
        } else if question != Question::Close {
            record.status = settle_tie(record.status, other, view);
        }
        if closes || record.status != Status::Decommissioned {
            record.closed = None;
        }
    }
    advance(device, ctx)
}

/// Mender's word, if it is one a status event can carry; else the one that allows less.
fn settle_tie(held: Status, other: Status, view: MenderView) -> Status {
    let opens = held != Status::Decommissioned;
    match view {
        MenderView::Known(status) if status.creates() => status,
        MenderView::Known(status) if status != Status::Decommissioned && opens => status,
        _ if other.wanted() == Wanted::Disabled && opens => other,
        _ => held,
    }
}
