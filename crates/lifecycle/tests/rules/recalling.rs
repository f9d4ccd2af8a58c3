//! Answers whose save was lost: what they say of their own request still counts.

use lifecycle::{Answer, Effect, Fate, HubView, Input, WriteReply};

use crate::scene::{C1, C2, DELIVERY_LEASE, Scene, Vary, accepted, down, hub, rejected};

/// A worker whose delivery took longer than its lease, with the answer at hand, and another one
/// that has claimed it since and delivers.
fn robbed() -> (Scene, Input, Effect) {
    let mut scene = Scene::new();
    let effect = scene.feed(Input::Event(accepted(1).of(C1)));
    let created = scene.perform(&effect).expect("is answered");
    let deliver = scene.feed(created);
    let answer = scene.perform(&deliver).expect("is answered");
    scene.crash();
    scene.pass(DELIVERY_LEASE);
    let again = scene.feed(Input::Event(accepted(1).of(C1)));
    assert!(matches!(again, Effect::Read), "{again:?}");
    let read = scene.read();
    let again = scene.feed(read);
    assert!(matches!(again, Effect::Deliver { .. }), "{again:?}");
    (scene, answer, again)
}

fn recall(scene: &mut Scene, answer: &Input) {
    scene.crash();
    let answer = Answer::of(answer, &hub("h")).expect("tells something");
    scene.device.recall(&answer);
}

#[test]
fn a_delivery_counts_though_another_worker_has_claimed_it_since() {
    let (mut scene, answer, again) = robbed();
    recall(&mut scene, &answer);
    let delivery = &scene.record().delivery;
    assert!(delivery.delivered.is_some(), "{delivery:?}");
    assert!(delivery.claim.is_some(), "the other one is still at it");
    let answer = scene.perform(&again).expect("is answered");
    recall(&mut scene, &answer);
    assert_eq!(scene.record().delivery.claim, None);
    scene.play(Input::Event(accepted(1).of(C1)));
    assert_eq!(scene.delivered.len(), 2, "and no third time");
    scene.assert_agrees(Some(true));
}

#[test]
fn a_delivery_for_an_identity_that_was_replaced_since_does_not_count() {
    let (mut scene, answer, _) = robbed();
    scene.crash();
    scene.pass(DELIVERY_LEASE);
    let next = accepted(1).of(C2);
    let mut effect = scene.feed(Input::Event(next));
    while !matches!(effect, Effect::Deliver { .. }) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
    recall(&mut scene, &answer);
    assert_eq!(scene.record().delivery.delivered, None);
    assert!(scene.record().delivery.claim.is_some());
}

#[test]
fn a_delivery_that_was_refused_frees_its_own_claim_only() {
    let (mut scene, mut answer, _) = robbed();
    if let Input::Delivered(reply) = &mut answer {
        reply.result = Err((down(), Fate::Done));
    }
    let before = scene.record().delivery.clone();
    recall(&mut scene, &answer);
    let after = &scene.record().delivery;
    assert_eq!(
        after.claim.as_ref().map(|claim| &claim.id),
        before.claim.as_ref().map(|claim| &claim.id)
    );
    assert_eq!(after.delivered, None);
}

#[test]
fn an_answer_that_tells_nothing_is_not_kept() {
    let timed_out = Input::Replied(WriteReply {
        intent: lifecycle::IntentId("x".into()),
        result: Err((down(), Fate::Unknown)),
    });
    assert_eq!(Answer::of(&timed_out, &hub("h")), None);
    assert_eq!(Answer::of(&Input::Woken, &hub("h")), None);
}

#[test]
fn an_answer_that_others_have_read_back_meanwhile_tells_nothing_new() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1).of(C1)));
    let answer = scene.perform(&create).expect("is answered");
    scene.play(Input::Event(rejected(2).of(C1)));
    let before = scene.record().clone();
    recall(&mut scene, &answer);
    assert_eq!(*scene.record(), before);
}

#[test]
fn an_answer_of_another_hub_closes_its_request_and_tells_nothing_of_this_one() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let answer = scene.perform(&create).expect("is answered");
    scene.integration = Some(hub("other"));
    scene.crash();
    let effect = scene.feed(Input::Event(rejected(2)));
    assert!(matches!(effect, Effect::Read), "{effect:?}");
    recall(&mut scene, &answer);
    assert!(scene.record().intents.is_empty());
    assert_eq!(scene.record().hub, HubView::Unknown);
    assert_eq!(scene.record().made, None);
}

#[test]
fn a_create_whose_answer_comes_first_is_remembered_with_its_incarnation() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1).of(C1)));
    let answer = scene.perform(&create).expect("is answered");
    recall(&mut scene, &answer);
    let made = scene.record().made.clone().expect("made");
    assert_eq!(
        made.incarnation.map(lifecycle::Timestamp::as_micros),
        Some(C1)
    );
    assert!(scene.record().intents.is_empty());
    let effect = scene.feed(Input::Event(accepted(1).of(C1)));
    assert!(matches!(effect, Effect::Read), "looks first: {effect:?}");
}

#[test]
fn a_late_create_is_remembered_until_a_read_has_shown_whether_it_is_there() {
    // Two creates are under way; the one for the present incarnation lands first, somebody deletes
    // that identity by hand, and then the other one lands.
    let mut scene = Scene::new();
    let early = scene.feed(Input::Event(accepted(1).of(C1)));
    scene.crash();
    let effect = scene.play(Input::Event(accepted(1).of(C2)));
    assert!(matches!(effect, Effect::Arm(_)), "{effect:?}");
    let live = scene.identity.take().expect("made for the second");
    let answer = scene.perform(&early).expect("is answered");
    let late = scene.identity.clone().expect("made for the first");
    assert_ne!(live.generation, late.generation);
    recall(&mut scene, &answer);
    scene.rest(effect);
    scene.assert_agrees(Some(true));
    let kept = scene.identity.as_ref().expect("there");
    assert_ne!(kept.generation, late.generation, "it is an outlived one");
}
