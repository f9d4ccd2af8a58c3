//! New keys: the secondary one first, and the device stays online whatever happens on the way.

use lifecycle::{Effect, EventId, Failure, Fate, Input, Record, Rotation, Wish};

use crate::scene::{
    C1, C2, DELIVERY_LEASE, LEASE, Scene, Trouble, Vary, accepted, decommissioned, down, rejected,
};

/// A device that has its key, of which somebody wishes this.
fn wished(wish: Wish) -> Scene {
    let mut scene = Scene::after([accepted(1).of(C1)]);
    wish_for(&mut scene, wish);
    scene.crash();
    scene
}

fn wish_for(scene: &mut Scene, wish: Wish) {
    let about = accepted(1).about;
    let record = scene.device.record.as_mut().expect("a record");
    let look = EventId(format!("resync-{wish:?}"));
    assert!(record.grant(wish, &about, look));
}

fn finish(scene: &mut Scene) {
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    scene.assert_agrees(Some(true));
    scene.assert_online();
}

/// Whether the device has the primary key, as it does at rest.
fn has_primary(scene: &Scene) -> bool {
    let live = scene.identity.as_ref().expect("an identity");
    scene.in_hand == live.keys.as_ref().map(|keys| keys.primary.clone())
}

#[test]
fn the_secondary_key_is_renewed_and_delivered_before_the_keys_change_places() {
    let mut scene = wished(Wish::NewKey);
    let old = scene.in_hand.clone();
    finish(&mut scene);
    assert_eq!(scene.requests, ["read", "renew", "swap"]);
    assert_eq!(scene.delivered.len(), 2);
    assert_ne!(scene.in_hand, old);
    assert!(has_primary(&scene));
    let keys = scene.identity.clone().and_then(|facts| facts.keys);
    assert_eq!(keys.map(|keys| keys.secondary), old, "it still works");
    assert_eq!(scene.record().rotation, None);
}

#[test]
fn the_old_key_ends_when_it_is_asked_for_and_nothing_is_delivered() {
    let mut scene = wished(Wish::NewKey);
    let old = scene.in_hand.clone().expect("a key");
    finish(&mut scene);
    wish_for(&mut scene, Wish::EndOldKey);
    scene.requests.clear();
    finish(&mut scene);
    assert_eq!(scene.requests, ["read", "renew"]);
    assert_eq!(scene.delivered.len(), 2, "no third time");
    let keys = scene
        .identity
        .clone()
        .and_then(|facts| facts.keys)
        .expect("keys");
    assert!(![keys.primary, keys.secondary].contains(&old));
    assert!(has_primary(&scene));
}

#[test]
fn a_rotation_ends_the_same_way_wherever_the_worker_died_and_the_device_is_online_all_the_while() {
    for died in 0..20 {
        let mut scene = wished(Wish::NewKey);
        let mut effect = scene.feed(Input::Woken);
        for _ in 0..died {
            let Some(input) = scene.perform(&effect) else {
                break;
            };
            scene.assert_online();
            effect = scene.feed(input);
        }
        // The effect was performed, and nobody heard of it.
        scene.perform(&effect);
        scene.assert_online();
        scene.crash();
        scene.pass(LEASE.max(DELIVERY_LEASE));
        finish(&mut scene);
        assert!(has_primary(&scene), "died after {died} steps");
        assert_eq!(scene.record().rotation, None, "died after {died} steps");
    }
}

#[test]
fn requests_that_fail_lose_their_replies_or_never_arrive_do_not_hurt() {
    for trouble in [
        Trouble::LoseReply,
        Trouble::LoseRequest,
        Trouble::Refuse(Failure::Conflict),
        Trouble::Refuse(down()),
    ] {
        for place in 0..2 {
            let mut scene = wished(Wish::NewKey);
            let mut effect = scene.feed(Input::Woken);
            let mut writes = 0;
            while let Some(input) = {
                if matches!(effect, Effect::Write(_)) {
                    if writes == place {
                        scene.trouble.push(trouble.clone());
                    }
                    writes += 1;
                }
                scene.perform(&effect)
            } {
                scene.assert_online();
                effect = scene.feed(input);
            }
            scene.rest(effect);
            scene.assert_online();
            assert!(has_primary(&scene));
            assert_eq!(scene.record().rotation, None);
        }
    }
}

#[test]
fn a_new_key_whose_answer_was_lost_is_not_made_again() {
    let mut scene = wished(Wish::NewKey);
    let renewals = |scene: &Scene| {
        let made = scene.requests.iter();
        made.filter(|made| **made == "renew").count()
    };
    scene.trouble = vec![Trouble::LoseReply];
    finish(&mut scene);
    assert!(has_primary(&scene));
    assert_eq!(renewals(&scene), 1);
    wish_for(&mut scene, Wish::EndOldKey);
    scene.trouble = vec![Trouble::LoseReply];
    finish(&mut scene);
    assert!(has_primary(&scene));
    assert_eq!(renewals(&scene), 2);
}

#[test]
fn a_delivery_that_fails_leaves_the_old_key_in_place_and_is_tried_again() {
    let mut scene = wished(Wish::NewKey);
    scene.undelivered = vec![(down(), Fate::Unknown), (down(), Fate::Done)];
    finish(&mut scene);
    assert_eq!(
        scene
            .requests
            .iter()
            .filter(|made| **made == "swap")
            .count(),
        1
    );
    assert!(has_primary(&scene));
}

#[test]
fn a_device_that_is_rejected_meanwhile_gets_its_new_key_with_the_next_accept() {
    let mut scene = wished(Wish::NewKey);
    scene.undelivered = vec![(down(), Fate::Done)];
    scene.play(Input::Woken);
    scene.outcome(rejected(2).of(C1));
    scene.assert_agrees(Some(false));
    let effect = scene.play(Input::Event(accepted(3).of(C1)));
    scene.rest(effect);
    scene.assert_agrees(Some(true));
    assert!(has_primary(&scene));
    assert_eq!(scene.record().rotation, None);
}

#[test]
fn a_rotation_ends_with_the_identity() {
    let mut scene = wished(Wish::NewKey);
    scene.undelivered = vec![(down(), Fate::Done)];
    scene.play(Input::Woken);
    let effect = scene.play(Input::Event(decommissioned().of(C1)));
    scene.rest(effect);
    let effect = scene.play(Input::Event(accepted(1).of(C2)));
    scene.rest(effect);
    assert_eq!(scene.record().rotation, None);
    assert!(has_primary(&scene));
    scene.assert_agrees(Some(true));
}

#[test]
fn a_rotation_that_has_begun_is_not_begun_anew() {
    let mut scene = wished(Wish::NewKey);
    let record = scene.device.record.as_mut().expect("a record");
    record.rotation = Some(Rotation::Swap);
    record.working = None;
    record.confirmed = true;
    wish_for(&mut scene, Wish::NewKey);
    assert_eq!(scene.record().rotation, Some(Rotation::Swap));
}

#[test]
fn keys_that_somebody_else_has_replaced_are_delivered() {
    let mut scene = wished(Wish::Delivery);
    finish(&mut scene);
    let look = EventId("sweep-look".into());
    let about = accepted(1).about;
    let facts = scene.identity.as_mut().expect("an identity");
    let keys = facts.keys.as_mut().expect("keys");
    keys.primary = "made by hand".into();
    facts.etag = "by hand".into();
    let record = scene.device.record.as_mut().expect("a record");
    assert!(record.doubt(&about, look));
    finish(&mut scene);
    assert!(has_primary(&scene));
    assert_eq!(scene.in_hand.as_deref(), Some("made by hand"));
}

/// The records that are stored while the device gets a new key, from before the wish to the end.
fn rotated() -> (Scene, Vec<Record>) {
    let mut scene = Scene::after([accepted(1).of(C1)]);
    let mut stored = vec![scene.record().clone()];
    wish_for(&mut scene, Wish::NewKey);
    stored.push(scene.record().clone());
    let mut effect = scene.feed(Input::Woken);
    while let Some(input) = {
        stored.push(scene.record().clone());
        scene.perform(&effect)
    } {
        effect = scene.feed(input);
    }
    scene.rest(effect);
    assert!(has_primary(&scene));
    (scene, stored)
}

#[test]
fn whatever_a_record_that_was_put_back_in_time_has_forgotten_the_device_stays_online() {
    let steps = rotated().1.len();
    for back_to in 0..steps {
        for wish in [None, Some(Wish::NewKey), Some(Wish::EndOldKey)] {
            let (mut scene, mut stored) = rotated();
            scene.device.record = Some(stored.swap_remove(back_to));
            scene.crash();
            scene.pass(LEASE.max(DELIVERY_LEASE));
            let record = scene.device.record.as_mut().expect("a record");
            if record.is_settled() {
                let about = accepted(1).about;
                record.outbox.clear();
                assert!(record.doubt(&about, EventId("sweep-look".into())));
            }
            if let Some(wish) = wish {
                let rotation = match wish {
                    Wish::EndOldKey => Rotation::End,
                    _ => Rotation::Renew,
                };
                record.rotation.get_or_insert(rotation);
            }
            let mut effect = scene.feed(Input::Woken);
            while let Some(input) = scene.perform(&effect) {
                scene.assert_online();
                effect = scene.feed(input);
            }
            scene.rest(effect);
            finish(&mut scene);
            assert!(has_primary(&scene), "back to {back_to}, {wish:?}");
            assert_eq!(scene.record().rotation, None);
        }
    }
}

#[test]
fn a_secondary_key_that_somebody_else_has_made_may_be_the_one_that_the_device_holds() {
    let mut scene = wished(Wish::Delivery);
    finish(&mut scene);
    let delivered = scene.delivered.len();
    let facts = scene.identity.as_mut().expect("an identity");
    facts.keys.as_mut().expect("keys").secondary = "made by nobody knows whom".into();
    facts.etag = "by nobody knows whom".into();
    let record = scene.device.record.as_mut().expect("a record");
    assert!(record.doubt(&accepted(1).about, EventId("sweep-look".into())));
    finish(&mut scene);
    assert_eq!(scene.delivered.len(), delivered + 1);
    assert!(has_primary(&scene));
}

#[test]
fn an_identity_without_keys_has_none_to_rotate() {
    let mut scene = wished(Wish::NewKey);
    let facts = scene.identity.as_mut().expect("an identity");
    facts.keys = None;
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    assert_eq!(scene.record().rotation, None);
    assert_eq!(scene.delivered.len(), 1);
}
