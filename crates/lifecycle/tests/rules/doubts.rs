//! Looks that no event asked for: they repair what somebody changed in the hub, and decide nothing.

use lifecycle::{DeviceRef, Effect, EventId, Failure, Input, Outcome, ReadReply, Status, Wish};

use crate::scene::{
    C1, C2, Scene, Trouble, Vary, accepted, decommissioned, event, foreign, mark, rejected,
};

fn about() -> DeviceRef {
    accepted(1).about
}

fn look() -> EventId {
    EventId("sweep-1".into())
}

/// Doubts the record, then handles the wake-up; how the look ended.
fn doubt(scene: &mut Scene) -> Option<Outcome> {
    let record = scene.device.record.as_mut().expect("a record");
    assert!(record.doubt(&about(), look()));
    let key = record.key;
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    assert_eq!(scene.record().key, key, "a look raises no key");
    let done = scene.ended.iter().find(|done| done.event.id == look())?;
    Some(done.outcome)
}

#[test]
fn a_device_that_was_disabled_by_hand_is_enabled_again() {
    let mut scene = Scene::after([accepted(3)]);
    let identity = scene.identity.as_mut().expect("made");
    identity.enabled = false;
    identity.etag = "by-hand".into();
    assert_eq!(doubt(&mut scene), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.delivered.len(), 1, "nothing is delivered again");
}

#[test]
fn a_device_that_was_deleted_by_hand_comes_back_only_if_it_is_accepted() {
    let mut accepted_one = Scene::after([accepted(3)]);
    accepted_one.identity = None;
    assert_eq!(doubt(&mut accepted_one), Some(Outcome::Applied));
    accepted_one.assert_agrees(Some(true));
    assert_eq!(accepted_one.delivered.len(), 2, "with its new key");
    let mut rejected_one = Scene::after([accepted(3), rejected(4)]);
    rejected_one.identity = None;
    assert_eq!(doubt(&mut rejected_one), Some(Outcome::Unchanged));
    rejected_one.assert_agrees(None);
}

#[test]
fn an_identity_that_somebody_made_in_the_place_of_ours_is_left_alone() {
    let mut scene = Scene::after([accepted(3)]);
    scene.identity = Some(foreign());
    assert_eq!(doubt(&mut scene), Some(Outcome::Ignored));
    assert_eq!(scene.identity, Some(foreign()));
}

#[test]
fn a_foreign_identity_that_got_our_mark_is_ours_from_the_next_look_on() {
    let mut scene = Scene::new();
    scene.identity = Some(foreign());
    scene.outcome(accepted(3));
    let identity = scene.identity.as_mut().expect("there");
    identity.mark = Some(mark("i", "adopted"));
    identity.etag = "adopted".into();
    assert_eq!(doubt(&mut scene), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.delivered, ["g-foreign"]);
}

#[test]
fn what_came_back_after_a_decommission_is_deleted_again() {
    let mut scene = Scene::after([accepted(3)]);
    let ghost = scene.identity.clone();
    scene.outcome(decommissioned());
    scene.identity = ghost;
    assert_eq!(doubt(&mut scene), Some(Outcome::Applied));
    scene.assert_agrees(None);
}

#[test]
fn a_record_in_work_or_given_up_is_not_doubted() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::LoseRequest];
    let armed = scene.play(Input::Event(accepted(3)));
    assert!(matches!(armed, Effect::Arm(_)));
    let before = scene.record().clone();
    let record = scene.device.record.as_mut().expect("a record");
    assert!(!record.doubt(&about(), look()));
    assert_eq!(record, &before);
}

#[test]
fn an_event_that_comes_during_a_look_wins_and_the_look_is_superseded() {
    let mut scene = Scene::after([accepted(3)]);
    let record = scene.device.record.as_mut().expect("a record");
    record.doubt(&about(), look());
    assert_eq!(scene.outcome(rejected(4)), Some(Outcome::Applied));
    let ended = scene.ended.iter().find(|done| done.event.id == look());
    assert_eq!(
        ended.map(|done| done.outcome),
        Some(Outcome::Superseded),
        "S6: the look ends too"
    );
    scene.assert_agrees(Some(false));
}

#[test]
fn a_connection_string_is_delivered_again_on_request() {
    let mut scene = Scene::after([accepted(3)]);
    let record = scene.device.record.as_mut().expect("a record");
    assert!(record.grant(Wish::Delivery, &about(), look()));
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    assert_eq!(scene.delivered.len(), 2);
    scene.assert_agrees(Some(true));
}

#[test]
fn a_look_at_a_deleted_device_closes_nothing_that_was_only_heard_of() {
    // The look is given up, the id is opened by a newer incarnation, and the look is replayed.
    let mut scene = Scene::after([accepted(1).of(C1), decommissioned()]);
    scene.outcome(event(Status::Pending, 2).of(C2));
    let record = scene.device.record.as_mut().expect("a record");
    assert!(record.doubt(&about(), look()));
    assert_eq!(scene.feed(Input::Woken), Effect::Read);
    let refused = Input::Read(ReadReply {
        began: scene.now,
        result: Err(Failure::Permanent("400".into())),
    });
    let Effect::DeadLetter(letter, _) = scene.feed(refused) else {
        panic!("the look is given up");
    };
    scene.feed(Input::DeadLettered);
    assert_eq!(scene.outcome(accepted(3).of(C2)), Some(Outcome::Applied));
    let replay = letter.replayed(1);
    assert_eq!(scene.outcome(replay), Some(Outcome::Superseded));
    scene.assert_agrees(Some(true));
}
