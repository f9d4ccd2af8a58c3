//! What only Mender can answer: two events of one revision, and a decommission that may be about
//! an incarnation before.

use lifecycle::{Effect, Event, Input, MenderView, Outcome, Status};

use crate::scene::{
    C1, C2, LEASE, Scene, Trouble, Vary, accepted, decommissioned, down, event, rejected,
};

/// Mender's answer decides how `last` ends and what the hub shows.
#[track_caller]
fn check(
    before: impl IntoIterator<Item = Event>,
    last: Event,
    mender: MenderView,
    ends: Outcome,
    enabled: Option<bool>,
) {
    let mut scene = Scene::after(before);
    scene.mender = mender;
    assert_eq!(scene.outcome(last), Some(ends));
    scene.assert_agrees(enabled);
}

#[test]
fn of_two_events_of_one_revision_the_one_that_mender_confirms_wins() {
    let rejected_now = MenderView::Known(Status::Rejected);
    check(
        [accepted(5)],
        rejected(5),
        rejected_now,
        Outcome::Applied,
        Some(false),
    );
    let accepted_now = MenderView::Known(Status::Accepted);
    check(
        [accepted(5)],
        rejected(5),
        accepted_now,
        Outcome::Superseded,
        Some(true),
    );
    check(
        [rejected(5)],
        accepted(5),
        accepted_now,
        Outcome::Applied,
        Some(true),
    );
    check(
        [rejected(5)],
        accepted(5),
        rejected_now,
        Outcome::Superseded,
        None,
    );
}

#[test]
fn a_third_status_in_mender_wins_over_both() {
    let pending = MenderView::Known(Status::Pending);
    check(
        [accepted(5)],
        rejected(5),
        pending,
        Outcome::Superseded,
        Some(false),
    );
}

#[test]
fn where_mender_knows_nothing_the_status_that_allows_less_wins() {
    for gone in [MenderView::Absent, MenderView::Decommissioning] {
        check(
            [accepted(5)],
            rejected(5),
            gone,
            Outcome::Applied,
            Some(false),
        );
        check([rejected(5)], accepted(5), gone, Outcome::Superseded, None);
    }
}

#[test]
fn nothing_is_written_to_the_hub_before_mender_has_answered() {
    let mut scene = Scene::new();
    let (first, other) = (accepted(5), rejected(5));
    scene.feed(Input::Event(first));
    scene.crash();
    assert_eq!(scene.feed(Input::Event(other)), Effect::AskMender);
    let Effect::Arm(_) = scene.feed(Input::Mender(Err(down()))) else {
        panic!("waits for Mender");
    };
    scene.crash();
    scene.pass(LEASE);
    assert_eq!(scene.feed(Input::Woken), Effect::AskMender, "asked again");
}

#[test]
fn the_question_outlives_a_crash() {
    let mut scene = Scene::after([accepted(5)]);
    scene.mender = MenderView::Known(Status::Rejected);
    scene.feed(Input::Event(rejected(5)));
    scene.crash();
    assert_eq!(scene.feed(Input::Event(rejected(5))), Effect::AskMender);
}

#[test]
fn work_taken_over_by_a_question_goes_on_when_the_old_status_holds() {
    let mut scene = Scene::new();
    scene.trouble = vec![Trouble::LoseRequest];
    let armed = scene.play(Input::Event(accepted(5)));
    assert!(matches!(armed, Effect::Arm(_)));
    scene.mender = MenderView::Known(Status::Accepted);
    let next = scene.play(Input::Event(rejected(5)));
    scene.rest(next);
    scene.assert_agrees(Some(true));
    assert!(
        scene
            .ended
            .iter()
            .all(|done| done.outcome == Outcome::Superseded)
    );
    assert_eq!(scene.ended.len(), 2, "both events have ended");
}

#[test]
fn the_question_works_for_a_message_that_is_still_unacknowledged() {
    // The first worker died with the accept in hand; another one takes the tie.
    let mut scene = Scene::new();
    scene.feed(Input::Event(accepted(5)));
    scene.mender = MenderView::Known(Status::Accepted);
    scene.pass(LEASE);
    let next = scene.play(Input::Event(rejected(5)));
    scene.rest(next);
    assert_eq!(scene.outcome(accepted(5)), Some(Outcome::Superseded));
    scene.assert_agrees(Some(true));
}

#[test]
fn a_nameless_decommission_of_a_reopened_id_asks_which_one_it_means() {
    let reopened = [accepted(7).of(C1), decommissioned(), accepted(1).of(C2)];
    let late = decommissioned().named("late");
    for gone in [MenderView::Absent, MenderView::Decommissioning] {
        check(reopened.clone(), late.clone(), gone, Outcome::Applied, None);
    }
    let alive = MenderView::Known(Status::Accepted);
    check(reopened, late, alive, Outcome::Superseded, Some(true));
}

#[test]
fn a_named_decommission_of_a_reopened_id_asks_nobody() {
    let mut scene = Scene::after([accepted(7).of(C1), decommissioned(), accepted(1).of(C2)]);
    scene.mender = MenderView::Known(Status::Accepted);
    assert_eq!(
        scene.outcome(decommissioned().of(C2)),
        Some(Outcome::Applied)
    );
    scene.assert_agrees(None);
}

#[test]
fn a_nameless_decommission_asks_too_where_a_newer_incarnation_was_only_heard_of() {
    let heard = [
        accepted(7).of(C1),
        decommissioned(),
        event(Status::Pending, 4).of(C2),
    ];
    let late = decommissioned().named("late");
    let mut alive = Scene::after(heard.clone());
    alive.mender = MenderView::Known(Status::Pending);
    alive.outcome(late.clone());
    assert_eq!(alive.outcome(accepted(5).of(C2)), Some(Outcome::Applied));
    let mut gone = Scene::after(heard);
    gone.outcome(late);
    assert_eq!(gone.outcome(accepted(5).of(C2)), Some(Outcome::Superseded));
}

#[test]
fn an_accept_that_ties_with_what_did_not_open_a_closed_id_asks_too() {
    let heard = [
        accepted(7).of(C1),
        decommissioned(),
        event(Status::Pending, 4).of(C2),
    ];
    let tie = accepted(4).of(C2);
    for (view, ends, enabled) in [
        (Status::Accepted, Outcome::Applied, Some(true)),
        (Status::Pending, Outcome::Superseded, None),
    ] {
        let view = MenderView::Known(view);
        check(heard.clone(), tie.clone(), view, ends, enabled);
    }
    check(heard, tie, MenderView::Absent, Outcome::Superseded, None);
}

/// Mender does not answer the question that `event` raises.
fn unanswered(scene: &mut Scene, event: Event) {
    scene.crash();
    let effect = scene.feed(Input::Event(event));
    assert_eq!(effect, Effect::AskMender);
    let effect = scene.feed(Input::Mender(Err(down())));
    assert!(matches!(effect, Effect::Arm(_)), "{effect:?}");
}

#[test]
fn a_tie_stays_open_while_an_old_decommission_is_asked_about() {
    let reborn = [accepted(1).of(C1), decommissioned(), rejected(5).of(C2)];
    let mut scene = Scene::after(reborn.clone().into_iter().chain([accepted(6).of(C2)]));
    unanswered(&mut scene, rejected(6).of(C2));
    scene.mender = MenderView::Known(Status::Rejected);
    let old = decommissioned().named("late");
    assert_eq!(scene.outcome(old), Some(Outcome::Superseded));
    scene.assert_agrees(Some(false));

    let mut scene = Scene::after(reborn.into_iter().chain([accepted(6).of(C2)]));
    unanswered(&mut scene, rejected(6).of(C2));
    scene.mender = MenderView::Absent;
    let last = decommissioned().named("last");
    assert_eq!(scene.outcome(last), Some(Outcome::Applied));
    scene.assert_agrees(None);
}

#[test]
fn a_decommission_that_is_asked_about_is_not_forgotten_for_an_event_that_comes_late() {
    for (late, mender, ends, enabled) in [
        (accepted(7), MenderView::Absent, Outcome::Superseded, None),
        (rejected(6), MenderView::Absent, Outcome::Superseded, None),
        (
            accepted(7),
            MenderView::Known(Status::Accepted),
            Outcome::Unchanged,
            Some(true),
        ),
    ] {
        let opened = [accepted(1).of(C1), decommissioned(), accepted(6).of(C2)];
        let mut scene = Scene::after(opened);
        unanswered(&mut scene, decommissioned().named("last"));
        scene.mender = mender;
        assert_eq!(scene.outcome(late.of(C2)), Some(ends));
        scene.assert_agrees(enabled);
    }
}
