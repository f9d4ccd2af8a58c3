//! Waiting: what a failure asks for, what is owed meanwhile, and what a deferral takes back.

use std::time::Duration;

use lifecycle::{Effect, Failure, Input, Outcome};

use crate::scene::{LEASE, Scene, Trouble, accepted, down, hub, rejected};

#[test]
fn a_failure_arms_a_wake_up_and_the_record_owes_the_event() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    let effect = scene.play(Input::Event(accepted(1)));
    assert_eq!(effect, Effect::Arm(scene.now.plus(Duration::from_secs(2))));
    let working = scene.record().working.as_ref().expect("owed");
    assert!(working.owed);
    assert_eq!(
        scene.record().retry.last_error.as_deref(),
        Some("unavailable: down")
    );
    scene.rest(effect);
    scene.assert_agrees(Some(true));
    assert_eq!(scene.ended.len(), 1, "ended by the wake-up");
}

#[test]
fn a_wake_up_before_its_time_is_armed_again() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    let armed = scene.play(Input::Event(accepted(1)));
    assert_eq!(scene.play(Input::Woken), armed);
    assert_eq!(scene.requests.len(), 1, "nothing is sent before it");
}

#[test]
fn a_newer_event_does_not_wait_for_the_trouble_of_the_one_before() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    scene.play(Input::Event(accepted(1)));
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Applied));
    assert_eq!(scene.ended.len(), 2, "the owed one is superseded");
    assert_eq!(scene.ended[0].outcome, Outcome::Superseded);
}

#[test]
fn a_wake_up_of_a_settled_device_does_nothing() {
    let mut scene = Scene::after([accepted(1)]);
    assert_eq!(scene.play(Input::Woken), Effect::Ack);
    assert!(scene.requests.is_empty());
}

#[test]
fn a_wake_up_that_finds_nothing_to_do_is_ended_by_a_compare_and_set() {
    // The store may show a copy from before the work that hangs on this very wake-up. Without a
    // change nobody would notice, and the wake-up would be lost.
    let mut scene = Scene::after([accepted(1)]);
    let behind = scene.record().clone();
    assert_eq!(scene.play(Input::Woken), Effect::Ack);
    assert_ne!(*scene.record(), behind);
    assert!(scene.record().is_settled());
    assert_eq!(scene.record().hub, behind.hub);
}

#[test]
fn a_wake_up_of_a_device_never_heard_of_does_nothing() {
    assert_eq!(Scene::new().play(Input::Woken), Effect::Ack);
}

#[test]
fn refused_credentials_spend_nothing_and_a_full_hub_waits_long() {
    for (failure, secs) in [
        (Failure::Credentials("401".into()), 60),
        (Failure::Full("403002".into()), 900),
    ] {
        let mut scene = Scene::new();
        scene.trouble = vec![Trouble::Refuse(failure); 200];
        let mut effect = scene.play(Input::Event(accepted(1)));
        for _ in 0..150 {
            assert_eq!(
                effect,
                Effect::Arm(scene.now.plus(Duration::from_secs(secs)))
            );
            scene.pass(Duration::from_secs(secs));
            effect = scene.play(Input::Woken);
        }
        assert!(scene.dead.is_empty());
        assert_eq!(scene.record().retry.attempt, 0);
    }
}

#[test]
fn trouble_after_days_of_refused_credentials_is_still_the_first_trouble() {
    let mut scene = Scene::new();
    scene.trouble = vec![
        Trouble::Refuse(Failure::Credentials("401".into())),
        Trouble::Refuse(down()),
    ];
    scene.play(Input::Event(accepted(1)));
    scene.pass(Duration::from_secs(100 * 3600));
    let effect = scene.play(Input::Woken);
    scene.pass(Duration::from_secs(100 * 3600));
    scene.trouble = vec![Trouble::Refuse(down())];
    assert!(matches!(effect, Effect::Arm(_)));
    let effect = scene.play(Input::Woken);
    assert!(matches!(effect, Effect::Arm(_)), "not given up: {effect:?}");
    scene.rest(effect);
    scene.assert_agrees(Some(true));
}

#[test]
fn a_deferred_create_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.feed(Input::Event(accepted(1)));
    let until = scene.now.plus(Duration::from_secs(30));
    assert_eq!(scene.feed(Input::Deferred(until)), Effect::Arm(until));
    assert!(scene.record().intents.is_empty(), "it was never sent");
    assert_eq!(scene.record().retry.attempt, 0, "no attempt is spent");
    scene.pass(Duration::from_secs(30));
    let effect = scene.play(Input::Woken);
    assert_eq!(effect, Effect::Ack, "no lease to wait for");
    scene.assert_agrees(Some(true));
}

#[test]
fn a_deferred_change_and_a_deferred_read_leave_nothing_behind() {
    let mut scene = Scene::after([accepted(1)]);
    let until = scene.now.plus(Duration::from_secs(30));
    assert_eq!(scene.feed(Input::Event(rejected(2))), Effect::Read);
    assert_eq!(scene.feed(Input::Deferred(until)), Effect::Arm(until));
    scene.pass(Duration::from_secs(30));
    scene.crash();
    assert_eq!(scene.feed(Input::Woken), Effect::Read);
    let seen = scene.read();
    assert!(matches!(scene.feed(seen), Effect::Write(_)));
    scene.feed(Input::Deferred(scene.now));
    assert!(scene.record().intents.is_empty());
}

#[test]
fn a_deferred_delivery_leaves_no_claim_behind() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let created = scene.perform(&create).expect("is answered");
    assert!(matches!(scene.feed(created), Effect::Deliver { .. }));
    scene.feed(Input::Deferred(scene.now));
    assert_eq!(scene.record().delivery.claim, None);
}

#[test]
fn a_deferral_takes_back_only_what_the_last_step_planned() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::LoseRequest];
    scene.play(Input::Event(accepted(1)));
    scene.pass(Duration::from_secs(2));
    scene.crash();
    assert_eq!(scene.feed(Input::Woken), Effect::Read);
    scene.feed(Input::Deferred(scene.now));
    assert_eq!(scene.record().intents.len(), 1, "the first may still land");
}

#[test]
fn a_caller_that_never_sent_what_it_stored_may_take_it_back() {
    let mut scene = Scene::new();
    scene.feed(Input::Event(accepted(1)));
    let planned = scene.device.planned_id().cloned().expect("a create");
    scene.crash();
    scene.device.withdraw(&planned);
    assert!(scene.record().intents.is_empty());
}

#[test]
fn what_was_sent_is_not_planned_any_more() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let created = scene.perform(&create).expect("is answered");
    let deliver = scene.feed(created);
    let delivered = scene.perform(&deliver).expect("is answered");
    scene.feed(delivered);
    assert_eq!(scene.device.planned_id(), None);
}

#[test]
fn a_short_wait_happens_in_the_process() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let Effect::Write(request) = create else {
        panic!("writes");
    };
    let effect = scene.feed(Input::Replied(lifecycle::WriteReply {
        intent: request.intent().clone(),
        result: Err((Failure::Conflict, lifecycle::Fate::Done)),
    }));
    assert_eq!(effect, Effect::Read, "a conflict does not wait at all");
    scene.pass(LEASE);
}

#[test]
fn work_that_no_event_asked_for_is_never_given_up() {
    // The tenant moved to another hub, and only a wake-up came: there is nothing to dead-letter.
    let mut scene = Scene::after([accepted(1)]);
    scene.integration = Some(hub("elsewhere"));
    scene.identity = None;
    scene.trouble = vec![Trouble::Refuse(Failure::Permanent("400".into()))];
    let effect = scene.play(Input::Woken);
    assert_eq!(
        effect,
        Effect::Arm(scene.now.plus(Duration::from_secs(900)))
    );
    assert_eq!(scene.record().parked, None, "nobody could take it up again");
    scene.rest(effect);
    scene.assert_agrees(Some(true));
}
