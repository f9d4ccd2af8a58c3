//! Another hub, another credential (S10, F33).

use lifecycle::{Effect, Failure, HubView, Input, Outcome};

use crate::scene::{
    DELIVERY_LEASE, LEASE, Scene, Trouble, Vary, accepted, decommissioned, hub, rejected,
};

#[test]
fn another_hub_is_looked_at_afresh_and_delivered_from() {
    let mut scene = Scene::after([accepted(1)]);
    scene.integration = Some(hub("h2"));
    scene.identity = None;
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.delivered.len(), 2, "the new hub's key");
    assert_eq!(scene.record().integration, hub("h2"));
}

#[test]
fn a_wake_up_moves_a_device_too() {
    let mut scene = Scene::after([accepted(1)]);
    scene.integration = Some(hub("h2"));
    scene.identity = None;
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    scene.assert_agrees(Some(true));
}

#[test]
fn what_was_given_up_at_one_hub_is_not_given_up_at_another() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(Failure::Permanent("400".into()))];
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Dead));
    scene.integration = None;
    let replayed = scene.outcome(accepted(1).replayed(1));
    assert_eq!(replayed, Some(Outcome::Ignored), "and its letter is gone");
    scene.integration = Some(hub("h2"));
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    scene.assert_agrees(Some(true));
}

#[test]
fn a_new_credential_for_the_same_hub_changes_nothing() {
    let mut scene = Scene::after([accepted(1)]);
    let mut renewed = hub("h");
    renewed.generation = 2;
    scene.integration = Some(renewed.clone());
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Unchanged));
    assert!(scene.requests.is_empty());
    assert_eq!(scene.record().integration, renewed);
}

#[test]
fn a_hub_that_comes_back_within_the_lease_still_has_its_late_create_to_wait_for() {
    let mut scene = Scene::new();
    let Effect::Write(late) = scene.feed(Input::Event(accepted(1))) else {
        panic!("writes");
    };
    scene.integration = Some(hub("h2"));
    let away = scene.play(Input::Event(decommissioned()));
    assert!(matches!(away, Effect::Arm(_)), "{away:?}");
    scene.integration = Some(hub("h"));
    let back = scene.play(Input::Woken);
    scene
        .take_effect(&late)
        .expect("there is nothing in its way");
    scene.rest(back);
    scene.assert_agrees(None);
}

#[test]
fn a_hub_that_comes_back_within_the_lease_still_has_its_late_change_to_wait_for() {
    let mut scene = Scene::after([accepted(1)]);
    let Effect::Read = scene.feed(Input::Event(rejected(2))) else {
        panic!("looks");
    };
    let shown = scene.read();
    let Effect::Write(late) = scene.feed(shown) else {
        panic!("writes");
    };
    let left_behind = scene.identity.take();
    scene.integration = Some(hub("h2"));
    // That nothing is there says nothing of the hub before.
    let away = scene.play(Input::Event(rejected(3)));
    assert!(matches!(away, Effect::Arm(_)), "{away:?}");
    scene.integration = Some(hub("h"));
    scene.identity = left_behind;
    let back = scene.play(Input::Event(accepted(4)));
    scene.take_effect(&late).expect("nobody has changed it");
    scene.rest(back);
    scene.assert_agrees(Some(true));
}

#[test]
fn a_delivery_from_the_hub_before_cannot_overtake_that_from_the_next() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let created = scene.perform(&create).expect("is answered");
    assert!(matches!(scene.feed(created), Effect::Deliver { .. }));
    scene.integration = Some(hub("h2"));
    scene.identity = None;
    let began = scene.now;
    let effect = scene.play(Input::Event(accepted(2)));
    assert!(
        scene.delivered.is_empty(),
        "the old one may still be under way"
    );
    scene.rest(effect);
    assert_eq!(scene.delivered.len(), 1);
    assert!(scene.now.since(began) >= DELIVERY_LEASE);
}

#[test]
fn knowledge_of_the_hub_before_is_not_used() {
    let mut scene = Scene::after([accepted(1)]);
    scene.integration = Some(hub("h2"));
    scene.identity = None;
    scene.pass(LEASE);
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Unchanged));
    assert_eq!(scene.requests, ["read"]);
    assert_eq!(scene.record().hub, HubView::Absent);
}

#[test]
fn an_event_that_asks_for_nothing_leaves_a_record_of_the_hub_before_as_it_is() {
    let mut scene = Scene::after([accepted(1), rejected(2)]);
    let before = scene.record().clone();
    scene.integration = Some(hub("h2"));
    for event in [accepted(1), rejected(2), rejected(1)] {
        scene.play(Input::Event(event));
    }
    let mut after = scene.record().clone();
    after.retry = before.retry.clone();
    assert_eq!(after, before, "settled, and left to the sweep to tell of");
    assert!(scene.requests.is_empty());
}
