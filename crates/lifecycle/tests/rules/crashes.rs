//! Each phase repeats what it owes: after any crash, the event or the wake-up asks for it again.

use lifecycle::{Effect, Input, MenderView, Outcome, Status};

use crate::scene::{DELIVERY_LEASE, LEASE, Scene, accepted, decommissioned, rejected};

/// Plays `event` on a device that has seen `before`, crashing after each step with the record
/// stored, both before and after the effect was performed: it always ends the same way.
fn check_every_crash(before: &[lifecycle::Event], event: &lifecycle::Event, enabled: Option<bool>) {
    for performed in [false, true] {
        for steps in 0..20 {
            let mut scene = Scene::after(before.to_vec());
            scene.mender = MenderView::Known(Status::Accepted);
            if play_and_crash(&mut scene, event, steps, performed) {
                break;
            }
            let effect = scene.play(Input::Event(event.clone()));
            scene.rest(effect);
            scene.assert_agrees(enabled);
            let ends = scene.ended.iter().filter(|done| done.event.id == event.id);
            let ends: Vec<_> = ends.map(|done| done.outcome).collect();
            assert!(!ends.is_empty(), "no outcome after a crash at step {steps}");
            assert!(
                ends.iter().all(|end| *end == ends[0]),
                "{ends:?} after a crash at step {steps}"
            );
        }
    }
}

/// Goes `steps` steps, then crashes with the record stored; whether it came to the end.
fn play_and_crash(
    scene: &mut Scene,
    event: &lifecycle::Event,
    steps: usize,
    performed: bool,
) -> bool {
    let mut effect = scene.feed(Input::Event(event.clone()));
    for _ in 0..steps {
        let Some(input) = scene.perform(&effect) else {
            return true;
        };
        effect = scene.feed(input);
    }
    if performed {
        scene.perform(&effect);
    }
    scene.crash();
    false
}

#[test]
fn an_accept_ends_the_same_way_wherever_the_worker_died() {
    check_every_crash(&[], &accepted(1), Some(true));
    check_every_crash(&[accepted(1), rejected(2)], &accepted(3), Some(true));
}

#[test]
fn a_rejection_ends_the_same_way_wherever_the_worker_died() {
    check_every_crash(&[accepted(1)], &rejected(2), Some(false));
}

#[test]
fn a_decommission_ends_the_same_way_wherever_the_worker_died() {
    check_every_crash(&[accepted(1)], &decommissioned(), None);
}

#[test]
fn a_tie_ends_the_same_way_wherever_the_worker_died() {
    check_every_crash(&[accepted(1)], &rejected(1), Some(true));
    check_every_crash(&[rejected(1)], &accepted(1), Some(true));
}

#[test]
fn a_delivery_is_repeated_after_a_crash_but_never_to_two_places_at_once() {
    let mut scene = Scene::new();
    let create = scene.feed(Input::Event(accepted(1)));
    let created = scene.perform(&create).expect("is answered");
    let deliver = scene.feed(created);
    scene.crash();
    scene.pass(LEASE.max(DELIVERY_LEASE));
    assert_eq!(scene.feed(Input::Event(accepted(1))), Effect::Read);
    let seen = scene.read();
    let again = scene.feed(seen);
    let (
        Effect::Deliver {
            generation: one, ..
        },
        Effect::Deliver {
            generation: other, ..
        },
    ) = (&deliver, &again)
    else {
        panic!("{deliver:?}, {again:?}");
    };
    assert_eq!(one, other);
}

#[test]
fn a_tag_is_repeated_after_a_crash() {
    let mut scene = Scene::new();
    let mut effect = scene.feed(Input::Event(accepted(1)));
    while !matches!(effect, Effect::Tag { .. }) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
    scene.crash();
    assert_eq!(scene.feed(Input::Event(accepted(1))), Effect::Read);
    let seen = scene.read();
    assert_eq!(scene.feed(seen), effect);
    assert_eq!(scene.delivered.len(), 1);
}

#[test]
fn an_outcome_is_reported_again_after_a_crash() {
    let mut scene = Scene::new();
    let mut effect = scene.feed(Input::Event(accepted(1)));
    while !matches!(effect, Effect::Report(_)) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
    scene.crash();
    assert_eq!(scene.feed(Input::Event(accepted(1))), effect);
    assert_eq!(scene.feed(Input::Reported), Effect::Ack);
}

#[test]
fn an_armed_wake_up_is_armed_again_by_a_redelivery() {
    let mut scene = Scene::new();
    scene.trouble = vec![crate::scene::Trouble::LoseRequest];
    let armed = scene.play(Input::Event(accepted(1)));
    assert_eq!(scene.play(Input::Event(accepted(1))), armed);
    assert_eq!(scene.outcome(accepted(1)), None::<Outcome>, "still owed");
}
