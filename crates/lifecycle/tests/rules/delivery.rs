//! The connection string: delivered once for each identity, one delivery at a time, then the tag.

use lifecycle::{Effect, Failure, Fate, Input, Outcome};

use crate::scene::{
    C1, C2, DELIVERY_LEASE, LEASE, Scene, Vary, accepted, decommissioned, down, rejected,
};

/// A device that was created, with its delivery planned and stored.
fn at_delivery() -> (Scene, Effect) {
    let mut scene = Scene::new();
    let effect = scene.feed(Input::Event(accepted(1)));
    let created = scene.perform(&effect).expect("is answered");
    let effect = scene.feed(created);
    assert!(matches!(effect, Effect::Deliver { .. }), "{effect:?}");
    (scene, effect)
}

#[test]
fn what_was_created_is_delivered_then_tagged_then_reported() {
    let (mut scene, deliver) = at_delivery();
    let delivered = scene.perform(&deliver).expect("is answered");
    assert!(matches!(scene.feed(delivered), Effect::Tag { .. }));
    assert!(matches!(
        scene.feed(Input::Tagged(Ok(()))),
        Effect::Report(_)
    ));
    assert_eq!(scene.feed(Input::Reported), Effect::Ack);
    let live = scene.identity.clone().expect("made").generation;
    assert_eq!(scene.record().delivery.delivered.as_ref(), Some(&live));
    assert_eq!(scene.record().delivery.tagged.as_ref(), Some(&live));
}

#[test]
fn a_delivery_is_not_repeated_for_later_accepts_of_the_same_identity() {
    let mut scene = Scene::after([accepted(1), rejected(2), accepted(3), accepted(4)]);
    scene.outcome(accepted(5));
    assert_eq!(scene.delivered.len(), 1);
}

#[test]
fn a_device_rejected_before_its_delivery_gets_it_with_the_next_accept() {
    let (mut scene, _) = at_delivery();
    scene.pass(LEASE);
    scene.outcome(rejected(2));
    assert!(scene.delivered.is_empty());
    let effect = scene.play(Input::Event(accepted(3)));
    scene.rest(effect);
    assert_eq!(scene.delivered.len(), 1);
    scene.assert_agrees(Some(true));
}

#[test]
fn a_delivery_that_another_handling_may_have_begun_is_waited_for() {
    let (mut scene, _) = at_delivery();
    let effect = scene.play(Input::Event(accepted(1)));
    assert_eq!(effect, Effect::Arm(scene.now.plus(DELIVERY_LEASE)));
    assert!(scene.delivered.is_empty());
    scene.rest(effect);
    assert_eq!(scene.delivered.len(), 1);
}

#[test]
fn a_delivery_to_the_incarnation_before_cannot_overtake_that_to_the_next() {
    let mut scene = Scene::new();
    let effect = scene.feed(Input::Event(accepted(1).of(C1)));
    let created = scene.perform(&effect).expect("is answered");
    let Effect::Deliver { .. } = scene.feed(created) else {
        panic!("delivers");
    };
    scene.play(Input::Event(decommissioned()));
    let effect = scene.play(Input::Event(accepted(1).of(C2)));
    assert!(
        scene.delivered.is_empty(),
        "the old one may still be under way"
    );
    scene.rest(effect);
    let live = scene.identity.expect("made").generation;
    assert_eq!(scene.delivered, [live]);
}

#[test]
fn a_refused_delivery_may_be_tried_again_at_once_and_an_unanswered_one_not() {
    for (fate, wait) in [(Fate::Done, 2), (Fate::Unknown, DELIVERY_LEASE.as_secs())] {
        let mut scene = Scene::new();
        scene.undelivered = vec![(down(), fate)];
        let began = scene.now;
        let effect = scene.play(Input::Event(accepted(1)));
        scene.rest(effect);
        assert_eq!(scene.delivered.len(), 1);
        let waited = scene.now.since(began).as_secs();
        assert!((wait..wait + 10).contains(&waited), "{fate:?}: {waited} s");
    }
}

#[test]
fn a_delivery_that_finds_another_identity_looks_again() {
    let mut scene = Scene::new();
    scene.undelivered = vec![(Failure::Conflict, Fate::Done)];
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Applied));
    assert_eq!(scene.requests, ["create", "read"]);
}

#[test]
fn a_device_that_exists_but_cannot_be_delivered_to_ends_as_a_dead_letter() {
    let mut scene = Scene::new();
    scene.undelivered = vec![(Failure::Permanent("no key".into()), Fate::Done)];
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Dead));
    assert_eq!(scene.dead, [accepted(1)]);
    assert!(scene.identity.is_some(), "created, undelivered");
}

#[test]
fn a_hub_without_twins_needs_no_tag() {
    let (mut scene, deliver) = at_delivery();
    let delivered = scene.perform(&deliver).expect("is answered");
    scene.feed(delivered);
    let refused = Input::Tagged(Err(Failure::Permanent("basic tier".into())));
    assert!(matches!(scene.feed(refused), Effect::Report(_)));
}

#[test]
fn a_tag_that_fails_does_not_deliver_again() {
    let (mut scene, deliver) = at_delivery();
    let delivered = scene.perform(&deliver).expect("is answered");
    scene.feed(delivered);
    let effect = scene.feed(Input::Tagged(Err(down())));
    scene.rest(effect);
    assert_eq!(scene.delivered.len(), 1);
    scene.assert_agrees(Some(true));
}
