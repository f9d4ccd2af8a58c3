//! How events end: each with one outcome, the same one however often it is delivered (S6, S8).

use lifecycle::{Effect, Event, Failure, Input, Outcome};

use crate::scene::{
    C1, C2, MAX_AGE, Scene, Trouble, Vary, accepted, decommissioned, down, foreign, rejected,
};

pub(crate) fn refused() -> Trouble {
    Trouble::Refuse(Failure::Permanent("400".into()))
}

/// A device whose last event was dead-lettered.
pub(crate) fn dead_after(before: impl IntoIterator<Item = Event>, last: Event) -> Scene {
    let mut scene = Scene::after(before);
    scene.trouble = vec![refused()];
    assert_eq!(scene.outcome(last), Some(Outcome::Dead));
    scene
}

/// The device when `last` was given up and its dead letter is still to be published.
pub(crate) fn about_to_be_dead_lettered(mut scene: Scene, last: Event) -> (Scene, Effect) {
    scene.trouble = vec![refused()];
    scene.crash();
    let mut effect = scene.feed(Input::Event(last));
    while !matches!(effect, Effect::DeadLetter(..)) {
        let input = scene.perform(&effect).expect("goes on");
        effect = scene.feed(input);
    }
    (scene, effect)
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
fn a_redelivery_of_an_ended_event_is_ended_by_a_compare_and_set() {
    // By now the record may owe this very event again: others have ended since, and it was taken up
    // as if it were new.
    let mut scene = Scene::after([accepted(5)]);
    let behind = scene.record().clone();
    assert_eq!(scene.outcome(accepted(5)), Some(Outcome::Applied));
    assert_ne!(*scene.record(), behind);
    scene.assert_agrees(Some(true));
}

#[test]
fn an_event_that_finds_outcomes_to_publish_ends_by_the_compare_and_set_that_takes_them_out() {
    // By two of them, workers that each find the same outcomes would rob each other for ever.
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::Refuse(down())];
    scene.play(Input::Event(accepted(1)));
    scene.feed(Input::Event(accepted(3)));
    scene.crash();
    let before = scene.record().clone();
    assert_eq!(before.outbox.len(), 1);
    let effect = scene.feed(Input::Event(rejected(2)));
    assert!(matches!(effect, Effect::Report(_)), "{effect:?}");
    assert_eq!(*scene.record(), before);
    assert_eq!(scene.feed(Input::Reported), Effect::Ack);
    assert!(scene.record().outbox.is_empty());
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
    let (mut scene, effect) = about_to_be_dead_lettered(Scene::new(), accepted(1));
    for input in [Input::Event(accepted(1)), Input::Woken] {
        scene.crash();
        assert_eq!(scene.feed(input), effect);
    }
}

#[test]
fn a_newer_event_takes_given_up_work_up_again() {
    let mut scene = dead_after([], accepted(1));
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
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
