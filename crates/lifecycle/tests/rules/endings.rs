//! How events end: each with one outcome, the same one however often it is delivered (S6, S8).

use lifecycle::{Effect, Event, Failure, Input, MenderView, Outcome, Status};

use crate::scene::{
    C1, C2, MAX_AGE, Scene, Trouble, Vary, accepted, decommissioned, down, event, foreign, rejected,
};

fn refused() -> Trouble {
    Trouble::Refuse(Failure::Permanent("400".into()))
}

/// A device whose last event was dead-lettered.
fn dead_after(before: impl IntoIterator<Item = Event>, last: Event) -> Scene {
    let mut scene = Scene::after(before);
    scene.trouble = vec![refused()];
    assert_eq!(scene.outcome(last), Some(Outcome::Dead));
    scene
}

#[test]
fn a_redelivered_event_ends_as_it_ended_before() {
    let settled = |event: Event| {
        let mut scene = Scene::new();
        let first = scene.outcome(event.clone());
        (first, scene.outcome(event))
    };
    let applied = Some(Outcome::Applied);
    assert_eq!(settled(accepted(1)), (applied, applied));
    let unchanged = Some(Outcome::Unchanged);
    assert_eq!(settled(rejected(1)), (unchanged, unchanged));

    let mut scene = Scene::after([accepted(5)]);
    for _ in 0..2 {
        assert_eq!(scene.outcome(rejected(4)), Some(Outcome::Superseded));
    }
    let mut scene = Scene::new();
    scene.identity = Some(foreign());
    for _ in 0..2 {
        assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Ignored));
    }
    let mut scene = dead_after([], accepted(1));
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Dead));
    assert_eq!(scene.dead.len(), 1, "one dead letter");
}

#[test]
fn another_event_of_the_same_name_is_not_taken_for_a_redelivery() {
    let mut scene = Scene::after([accepted(5).named("WORKFLOWS-1")]);
    let later = rejected(6).named("WORKFLOWS-1");
    assert_eq!(scene.outcome(later), Some(Outcome::Applied));
    assert!(scene.identity.is_some_and(|identity| !identity.enabled));
}

#[test]
fn an_ended_event_is_reported_before_its_message_is_acknowledged() {
    let mut scene = Scene::after([accepted(5)]);
    scene.crash();
    let effect = scene.feed(Input::Event(rejected(4)));
    let Effect::Report(ended) = &effect else {
        panic!("{effect:?}");
    };
    assert_eq!(ended.len(), 1);
    assert!(effect.needs_saved_record());
    assert_eq!(scene.feed(Input::Reported), Effect::Ack);
}

#[test]
fn a_superseded_event_does_not_join_the_work_for_another() {
    let mut scene = Scene::new();
    scene.feed(Input::Event(accepted(5)));
    assert_eq!(scene.outcome(rejected(4)), Some(Outcome::Superseded));
    assert!(scene.requests.is_empty(), "{:?}", scene.requests);
    let working = scene.record().working.as_ref().expect("still worked for");
    assert_eq!(working.event, accepted(5));
}

#[test]
fn an_owed_outcome_stays_in_the_record_until_it_is_reported() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    scene.play(Input::Event(accepted(1)));
    scene.feed(Input::Event(accepted(2)));
    scene.crash();
    let effect = scene.feed(Input::Woken);
    let Effect::Report(ended) = effect else {
        panic!("the superseded one first: {effect:?}");
    };
    assert_eq!(ended[0].event, accepted(1));
    assert_eq!(scene.record().outbox.len(), 1);
    scene.feed(Input::Reported);
    assert!(scene.record().outbox.is_empty());
}

#[test]
fn a_permanent_failure_is_dead_lettered_at_once_and_names_the_reason() {
    let scene = dead_after([], accepted(1));
    assert_eq!(scene.dead, [accepted(1)]);
    let parked = scene.record().parked.as_ref().expect("given up");
    assert_eq!(
        (parked.error.as_str(), parked.exhausted),
        ("refused: 400", false)
    );
    assert_eq!(scene.ended[0].reason.as_deref(), Some("refused: 400"));
}

#[test]
fn lasting_trouble_is_dead_lettered_in_the_end_and_after_a_bounded_number_of_attempts() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down()); 500];
    let began = scene.now;
    let effect = scene.play(Input::Event(accepted(1)));
    scene.rest(effect);
    assert_eq!(scene.dead.len(), 1);
    assert!(scene.now.since(began) >= MAX_AGE);
    assert!(
        scene.requests.len() < 200,
        "{} requests",
        scene.requests.len()
    );
    assert!(scene.record().parked.as_ref().is_some_and(|p| p.exhausted));
}

#[test]
fn a_dead_letter_is_published_again_until_the_record_knows_that_it_was() {
    let mut scene = Scene::new();
    scene.trouble = vec![refused()];
    let mut effect = scene.feed(Input::Event(accepted(1)));
    while !matches!(effect, Effect::DeadLetter(..)) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
    for input in [Input::Event(accepted(1)), Input::Woken] {
        scene.crash();
        assert_eq!(scene.feed(input), effect);
    }
}

#[test]
fn a_replay_that_comes_before_the_record_knows_of_the_dead_letter_is_worked_for() {
    let mut scene = Scene::new();
    scene.trouble = vec![refused()];
    let mut effect = scene.feed(Input::Event(accepted(1)));
    while !matches!(effect, Effect::DeadLetter(..)) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
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
fn a_newer_event_takes_given_up_work_up_again() {
    let mut scene = dead_after([], accepted(1));
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
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
fn a_decommission_of_a_newer_incarnation_takes_up_a_delete_that_was_given_up() {
    let mut scene = dead_after([accepted(1).of(C1)], decommissioned());
    assert_eq!(
        scene.outcome(decommissioned().of(C2)),
        Some(Outcome::Applied)
    );
    scene.assert_agrees(None);
}

#[test]
fn without_integration_events_are_ignored_and_nothing_is_sent() {
    let mut scene = Scene::new();
    scene.integration = None;
    for _ in 0..2 {
        assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Ignored));
    }
    assert!(scene.requests.is_empty());
    assert_eq!(scene.device.record, None, "nothing to remember");
}

#[test]
fn an_integration_set_later_does_not_change_how_an_ended_event_ended() {
    let mut scene = Scene::after([accepted(1)]);
    scene.integration = None;
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Applied));
}

#[test]
fn what_was_owed_is_ignored_when_the_integration_goes() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    scene.play(Input::Event(accepted(1)));
    scene.integration = None;
    assert_eq!(scene.play(Input::Woken), Effect::Ack);
    let [done] = &scene.ended[..] else {
        panic!("one outcome: {:?}", scene.ended);
    };
    assert_eq!(
        (&done.event, done.outcome),
        (&accepted(1), Outcome::Ignored)
    );
    assert_eq!(scene.requests.len(), 1);
}

#[test]
fn an_owed_event_and_the_one_in_hand_both_end_when_the_integration_goes() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    scene.play(Input::Event(accepted(1)));
    scene.integration = None;
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Ignored));
    assert_eq!(scene.ended.len(), 2);
}
