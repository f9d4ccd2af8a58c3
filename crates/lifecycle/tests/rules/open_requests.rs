//! Requests that may still take effect: intents, leases, and what waits for them (design
//! section 6, protocol rules 1 to 5).

use lifecycle::{
    Device, Effect, Facts, Failure, Fate, HubWrite, Input, Op, Outcome, ReadReply, Timestamp,
    WriteReply,
};

use crate::scene::{
    LEASE, Scene, Trouble, accepted, decommissioned, down, foreign, mark, rejected,
};

/// A device whose create request went out and was never answered.
fn with_open_create() -> (Scene, HubWrite) {
    let mut scene = Scene::new();
    let Effect::Write(create) = scene.feed(Input::Event(accepted(1))) else {
        panic!("a first accept writes at once");
    };
    scene.crash();
    (scene, create)
}

/// A settled device whose next request, for `event`, went out and was never answered.
fn with_open_change(event: lifecycle::Event) -> (Scene, HubWrite) {
    let mut scene = Scene::after([accepted(1)]);
    let mut effect = scene.feed(Input::Event(event));
    while effect == Effect::Read {
        let seen = scene.read();
        effect = scene.feed(seen);
    }
    let Effect::Write(request) = effect else {
        panic!("{effect:?} is no request");
    };
    scene.crash();
    (scene, request)
}

#[test]
fn a_first_create_needs_no_read_and_is_in_the_record_before_it_is_sent() {
    let mut scene = Scene::new();
    let effect = scene.feed(Input::Event(accepted(1)));
    let Effect::Write(HubWrite::Create { intent, mark }) = &effect else {
        panic!("{effect:?}");
    };
    assert!(effect.needs_saved_record());
    assert_eq!(&mark.intent, intent);
    let [open] = &scene.record().intents[..] else {
        panic!("one intent");
    };
    assert_eq!((&open.id, &open.op), (intent, &Op::Create));
    assert!(!scene.record().confirmed);
}

#[test]
fn a_second_create_looks_first() {
    let (mut scene, _) = with_open_create();
    assert_eq!(scene.feed(Input::Event(accepted(1))), Effect::Read);
}

#[test]
fn a_change_carries_the_etag_that_was_read() {
    let (scene, request) = with_open_change(rejected(2));
    let HubWrite::Update { etag, enable, .. } = request else {
        panic!("{request:?}");
    };
    assert_eq!(Some(etag), scene.identity.map(|facts| facts.etag));
    assert!(!enable);
}

#[test]
fn a_change_of_what_was_confirmed_is_read_again_because_it_replaces_the_whole_identity() {
    let mut scene = Scene::after([accepted(1)]);
    assert_eq!(scene.feed(Input::Event(rejected(2))), Effect::Read);
}

#[test]
fn a_conflict_reads_again_and_never_forces() {
    let mut scene = Scene::after([accepted(1)]);
    scene.trouble = vec![Trouble::Refuse(Failure::Conflict)];
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Applied));
    assert_eq!(scene.requests, ["read", "disable", "read", "disable"]);
    scene.assert_agrees(Some(false));
}

#[test]
fn an_open_create_holds_up_the_settling_of_a_rejection() {
    let (mut scene, _) = with_open_create();
    let effect = scene.play(Input::Event(rejected(2)));
    assert_eq!(effect, Effect::Arm(scene.now.plus(LEASE)));
    assert!(!scene.record().is_settled());
    scene.rest(effect);
    scene.assert_agrees(None);
}

#[test]
fn an_open_create_holds_up_a_delete_so_that_it_cannot_land_after_it() {
    let (mut scene, late) = with_open_create();
    let armed = scene.play(Input::Event(decommissioned()));
    assert_eq!(scene.requests, ["read"], "nothing is deleted yet");
    scene
        .take_effect(&late)
        .expect("there is nothing in its way");
    scene.rest(armed);
    scene.assert_agrees(None);
    assert_eq!(scene.requests.last(), Some(&"delete"));
}

#[test]
fn an_open_create_holds_up_the_delete_of_another_identity_of_ours() {
    let (mut scene, _) = with_open_create();
    scene.identity = Some(Facts {
        mark: Some(mark("i", "another")),
        keys: None,
        ..foreign()
    });
    let effect = scene.play(Input::Event(decommissioned()));
    assert!(matches!(effect, Effect::Arm(_)), "{effect:?}");
    assert_eq!(scene.requests, ["read"]);
    scene.rest(effect);
    scene.assert_agrees(None);
}

#[test]
fn a_create_that_landed_late_is_recognised_by_its_mark_and_delivered_once() {
    let (mut scene, late) = with_open_create();
    scene
        .take_effect(&late)
        .expect("there is nothing in its way");
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.requests, ["read"]);
    assert_eq!(scene.delivered.len(), 1);
}

#[test]
fn two_open_creates_make_one_identity() {
    let (mut scene, first) = with_open_create();
    let mut effect = scene.feed(Input::Event(accepted(1)));
    while effect == Effect::Read {
        let seen = scene.read();
        effect = scene.feed(seen);
    }
    let Effect::Write(second) = effect else {
        panic!("{effect:?} is no request");
    };
    scene
        .take_effect(&first)
        .expect("there is nothing in its way");
    let refused = scene.take_effect(&second).expect_err("create-only");
    let effect = scene.feed(Input::Replied(WriteReply {
        intent: second.intent().clone(),
        result: Err(refused),
    }));
    assert_eq!(effect, Effect::Read);
    let seen = scene.read();
    let effect = scene.feed(seen);
    assert!(matches!(effect, Effect::Deliver { .. }), "{effect:?}");
    assert!(scene.record().intents.is_empty(), "both are accounted for");
}

#[test]
fn an_own_success_does_not_settle_while_another_create_is_open() {
    let (mut scene, _) = with_open_create();
    let effect = scene.play(Input::Event(accepted(1)));
    assert_eq!(scene.requests, ["read", "create"]);
    assert!(matches!(effect, Effect::Arm(_)), "{effect:?}");
    assert_eq!(scene.delivered.len(), 1, "the device need not wait for it");
    scene.rest(effect);
    scene.assert_agrees(Some(true));
}

#[test]
fn an_own_success_does_not_settle_while_another_change_with_its_etag_is_open() {
    let (mut scene, _) = with_open_change(rejected(2));
    // Accepted again before anybody knows of the first change: nothing to change, but to wait.
    let effect = scene.play(Input::Event(accepted(3)));
    assert!(matches!(effect, Effect::Arm(_)), "{effect:?}");
}

#[test]
fn an_open_disabling_that_lands_after_the_next_accept_is_undone() {
    let (mut scene, late) = with_open_change(rejected(2));
    let armed = scene.play(Input::Event(accepted(3)));
    scene.take_effect(&late).expect("its ETag still holds");
    scene.rest(armed);
    scene.assert_agrees(Some(true));
}

#[test]
fn an_open_enabling_that_lands_after_the_next_rejection_is_undone() {
    let mut scene = Scene::after([accepted(1), rejected(2)]);
    scene.feed(Input::Event(accepted(3)));
    let seen = scene.read();
    let Effect::Write(late) = scene.feed(seen) else {
        panic!("enables");
    };
    let armed = scene.play(Input::Event(rejected(4)));
    assert!(matches!(armed, Effect::Arm(_)), "{armed:?}");
    scene.take_effect(&late).expect("its ETag still holds");
    scene.rest(armed);
    scene.assert_agrees(Some(false));
}

#[test]
fn an_etag_that_has_moved_on_proves_an_open_change_dead() {
    for open in [rejected(2), decommissioned()] {
        let (mut scene, _) = with_open_change(open.clone());
        scene.identity.as_mut().expect("it exists").etag = "edited".into();
        let effect = scene.play(Input::Event(open));
        assert_eq!(effect, Effect::Ack, "no lease to wait for");
        assert!(scene.record().is_settled());
    }
}

#[test]
fn a_change_whose_reply_was_lost_is_recognised_by_what_it_did() {
    for (open, enabled) in [(rejected(2), Some(false)), (decommissioned(), None)] {
        let mut scene = Scene::after([accepted(1)]);
        scene.trouble = vec![Trouble::LoseReply];
        let effect = scene.play(Input::Event(open));
        let requests = scene.requests.len();
        scene.rest(effect);
        scene.assert_agrees(enabled);
        assert_eq!(scene.requests[requests..], ["read"]);
    }
}

#[test]
fn an_identity_that_is_gone_proves_an_open_change_dead_but_not_an_open_create() {
    let (mut scene, _) = with_open_change(rejected(2));
    scene.identity = None;
    scene.play(Input::Event(rejected(3)));
    scene.assert_agrees(None);
    let (mut scene, _) = with_open_create();
    scene.play(Input::Event(rejected(3)));
    assert_eq!(scene.record().intents.len(), 1);
}

#[test]
fn a_refusal_closes_its_request_and_silence_does_not() {
    for (fate, open) in [(Fate::Done, 0), (Fate::Unknown, 1)] {
        let mut scene = Scene::new();
        let Effect::Write(request) = scene.feed(Input::Event(accepted(1))) else {
            panic!("writes");
        };
        scene.feed(Input::Replied(WriteReply {
            intent: request.intent().clone(),
            result: Err((down(), fate)),
        }));
        assert_eq!(scene.record().intents.len(), open, "{fate:?}");
    }
}

#[test]
fn a_lease_counts_from_when_somebody_saw_the_intent_stored() {
    let (mut scene, _) = with_open_create();
    let stored = scene.now;
    assert_eq!(scene.record().intents[0].seen_at, Some(stored));
    scene.pass(LEASE / 2);
    let record = scene.record().clone();
    let reloaded = Device::loaded(record, scene.now).record.expect("loaded");
    assert_eq!(
        reloaded.intents[0].seen_at,
        Some(stored),
        "kept from then on"
    );
}

#[test]
fn an_intent_that_nobody_has_seen_stored_is_never_expired() {
    let mut scene = Scene::new();
    scene.feed(Input::Event(accepted(1)));
    // The clock leaps before the reply of the same handling: no reason to give the request up.
    scene.pass(LEASE * 10);
    let seen = scene.read();
    scene.feed(seen);
    assert_eq!(scene.record().intents[0].seen_at, None);
    assert!(scene.record().intents.iter().any(|i| i.op == Op::Create));
}

#[test]
fn only_a_read_that_began_after_the_lease_proves_an_intent_dead() {
    for (began, open) in [(LEASE / 2, 1), (LEASE, 0)] {
        let (mut scene, _) = with_open_create();
        let began = scene.now.plus(began);
        scene.pass(LEASE * 2);
        scene.feed(Input::Event(rejected(2)));
        scene.feed(Input::Read(ReadReply {
            began,
            result: Ok(None),
        }));
        assert_eq!(scene.record().intents.len(), open);
    }
}

#[test]
fn open_requests_do_not_pile_up_while_the_hub_is_silent() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::LoseRequest; 40];
    let mut effect = scene.play(Input::Event(accepted(1)));
    let mut most = 0;
    while let Effect::Arm(due) = effect {
        most = most.max(scene.record().intents.len());
        scene.now = scene.now.max(due);
        effect = scene.play(Input::Woken);
    }
    assert!((2..12).contains(&most), "{most} open at once");
    scene.assert_agrees(Some(true));
}

#[test]
fn a_late_clock_never_shortens_a_lease() {
    let (mut scene, _) = with_open_create();
    // This worker knows of no time later than an hour before the intent was stored.
    let stored = scene.now;
    scene.now = Timestamp::from_micros(stored.as_micros() - 3_600_000_000);
    let effect = scene.play(Input::Event(rejected(2)));
    let Effect::Arm(due) = effect else {
        panic!("{effect:?}");
    };
    assert!(due >= stored, "{due:?}");
    assert!(!scene.record().is_settled());
}
