//! Replays of dead letters: as if the event had never died, and twice is as good as once (S8).

use lifecycle::{Event, EventId, Input, MenderView, Outcome, Status};

use crate::endings::{about_to_be_dead_lettered, dead_after, refused};
use crate::scene::{C1, C2, Scene, Vary, accepted, decommissioned, event, rejected};

#[test]
fn a_replay_that_comes_before_the_record_knows_of_the_dead_letter_is_worked_for() {
    let (mut scene, _) = about_to_be_dead_lettered(Scene::new(), accepted(1));
    // The letter is out, the worker dies, and an operator is quick.
    assert_eq!(
        scene.outcome(accepted(1).replayed(1)),
        Some(Outcome::Applied)
    );
    scene.assert_agrees(Some(true));
    assert_eq!(
        scene.outcome(accepted(1)),
        Some(Outcome::Applied),
        "the first life too"
    );
}

#[test]
fn a_replay_works_as_if_the_event_had_never_died_and_twice_is_as_good_as_once() {
    for (before, last, enabled) in [
        (vec![], accepted(1), Some(true)),
        (vec![accepted(1)], rejected(2), Some(false)),
        (vec![accepted(1)], decommissioned(), None),
        (
            vec![accepted(1).of(C1), decommissioned()],
            accepted(1).of(C2),
            Some(true),
        ),
    ] {
        let mut scene = dead_after(before, last.clone());
        let again = last.clone().replayed(1);
        assert_eq!(
            scene.outcome(again.clone()),
            Some(Outcome::Applied),
            "{last:?}"
        );
        scene.assert_agrees(enabled);
        let requests = scene.requests.len();
        assert_eq!(scene.outcome(again), Some(Outcome::Applied));
        assert_eq!(scene.outcome(last.replayed(2)), Some(Outcome::Superseded));
        assert_eq!(
            scene.requests.len(),
            requests,
            "no request for the second time"
        );
    }
}

#[test]
fn a_replay_of_an_accept_without_revision_is_worked_for() {
    let hint = accepted(0).unnumbered();
    let mut scene = Scene::after([accepted(3)]);
    scene.identity = None;
    scene.trouble = vec![refused()];
    assert_eq!(scene.outcome(hint.clone()), Some(Outcome::Dead));
    assert_eq!(scene.outcome(hint.replayed(1)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
}

#[test]
fn a_stale_replay_is_superseded() {
    let mut scene = dead_after([], accepted(1));
    scene.outcome(rejected(2));
    assert_eq!(
        scene.outcome(accepted(1).replayed(1)),
        Some(Outcome::Superseded)
    );
    scene.assert_agrees(None);
}

#[test]
fn a_replay_takes_up_what_was_given_up_even_where_it_decides_nothing_any_more() {
    // The delete was given up, then an accept that contradicts what was heard of its incarnation,
    // and what was heard since makes that accept a stale one.
    let created = accepted(1).of(C1);
    let mut scene = dead_after([created], event(Status::Decommissioned, 0).of(C1));
    scene.outcome(event(Status::Pending, 2).of(C2));
    scene.mender = MenderView::Known(Status::Pending);
    scene.trouble = vec![refused()];
    let accept = accepted(2).of(C2);
    assert_eq!(scene.outcome(accept.clone()), Some(Outcome::Dead));
    scene.outcome(event(Status::Pending, 3).of(C2));
    assert!(scene.identity.is_some(), "nobody works on it");
    let replay = accept.replayed(1);
    assert_eq!(scene.outcome(replay), Some(Outcome::Superseded));
    scene.assert_agrees(None);
}

#[test]
fn whatever_says_that_it_is_a_replay_takes_up_what_was_given_up() {
    // After a roll-back the letter may be gone; so an operator publishes an event of his own.
    let mut scene = dead_after([], accepted(1));
    let by_hand = Event {
        id: EventId("by hand".into()),
        revision: None,
        ..accepted(1)
    };
    assert_eq!(scene.outcome(by_hand.clone()), Some(Outcome::Superseded));
    assert!(scene.identity.is_none(), "that alone does not");
    assert_eq!(scene.outcome(by_hand.replayed(1)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
}

#[test]
fn a_replay_may_die_again() {
    let mut scene = dead_after([], accepted(1));
    scene.trouble = vec![refused()];
    assert_eq!(scene.outcome(accepted(1).replayed(1)), Some(Outcome::Dead));
    assert_eq!(
        scene.dead.last(),
        Some(&accepted(1).replayed(1)),
        "a new life of the letter"
    );
    assert_eq!(
        scene.outcome(accepted(1).replayed(2)),
        Some(Outcome::Applied)
    );
}

#[test]
fn a_replay_leaves_an_event_that_is_about_to_be_dead_lettered_its_letter() {
    let scene = dead_after([accepted(1)], rejected(2));
    let (mut scene, letter) = about_to_be_dead_lettered(scene, rejected(3));
    let replay = rejected(2).replayed(1);
    assert_eq!(scene.outcome(replay), Some(Outcome::Superseded));
    scene.crash();
    assert_eq!(scene.feed(Input::Event(rejected(3))), letter);
    assert_eq!(scene.outcome(rejected(3)), Some(Outcome::Dead));
    let replay = rejected(3).replayed(1);
    assert_eq!(scene.outcome(replay), Some(Outcome::Applied));
    scene.assert_agrees(Some(false));
}

#[test]
fn a_replay_that_ends_without_work_is_ended_by_a_compare_and_set() {
    // The store may show a copy from before the device was given up, and the letter is used up.
    let mut scene = Scene::after([accepted(1).of(C1), rejected(3).of(C1)]);
    let behind = scene.record().clone();
    let replay = rejected(2).of(C1).replayed(1);
    assert_eq!(scene.outcome(replay), Some(Outcome::Superseded));
    assert_ne!(*scene.record(), behind);
    scene.assert_agrees(Some(false));
}
