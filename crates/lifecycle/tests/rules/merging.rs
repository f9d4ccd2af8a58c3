//! Who wins when events meet (design section 5).

use lifecycle::{Effect, Event, Input, MenderView, Outcome, Status, Timestamp};

use crate::scene::{C1, C2, Scene, Vary, accepted, decommissioned, event, rejected};

/// After these events have been worked through, `last` ends so, and the hub shows this.
#[track_caller]
fn check(
    before: impl IntoIterator<Item = lifecycle::Event>,
    last: lifecycle::Event,
    ends: Outcome,
    enabled: Option<bool>,
) {
    let mut scene = Scene::after(before);
    assert_eq!(scene.outcome(last), Some(ends));
    scene.assert_agrees(enabled);
}

#[test]
fn the_first_accept_makes_an_enabled_identity() {
    check([], accepted(1), Outcome::Applied, Some(true));
}

#[test]
fn pending_rejected_dismissed_and_preauthorized_make_nothing() {
    for status in [
        Status::Pending,
        Status::Rejected,
        Status::Noauth,
        Status::Preauthorized,
        Status::Decommissioned,
    ] {
        check([], event(status, 1), Outcome::Unchanged, None);
    }
}

#[test]
fn a_greater_revision_replaces_what_was_wanted() {
    for status in [Status::Pending, Status::Rejected, Status::Noauth] {
        check(
            [accepted(1)],
            event(status, 2),
            Outcome::Applied,
            Some(false),
        );
    }
    check(
        [accepted(1), rejected(2)],
        accepted(3),
        Outcome::Applied,
        Some(true),
    );
}

#[test]
fn a_preauthorized_device_is_enabled_if_it_exists() {
    let preauthorized = event(Status::Preauthorized, 3);
    check(
        [accepted(1), rejected(2)],
        preauthorized,
        Outcome::Applied,
        Some(true),
    );
}

#[test]
fn a_lower_revision_is_superseded() {
    check([accepted(3)], rejected(2), Outcome::Superseded, Some(true));
    check([rejected(3)], accepted(2), Outcome::Superseded, None);
}

#[test]
fn the_same_content_under_another_name_is_superseded() {
    check(
        [accepted(3)],
        accepted(3).named("again"),
        Outcome::Superseded,
        Some(true),
    );
}

#[test]
fn a_decommission_removes_the_identity_whatever_its_revision() {
    check([accepted(5)], decommissioned(), Outcome::Applied, None);
    check(
        [accepted(5)],
        event(Status::Decommissioned, 0),
        Outcome::Applied,
        None,
    );
}

#[test]
fn a_stale_event_after_a_decommission_is_superseded() {
    for late in [accepted(2), accepted(9), rejected(9), accepted(9).of(C1)] {
        check(
            [accepted(1).of(C1), decommissioned()],
            late,
            Outcome::Superseded,
            None,
        );
    }
}

#[test]
fn an_accept_whose_incarnation_cannot_be_compared_does_not_reopen() {
    check(
        [accepted(1), decommissioned()],
        accepted(9).of(C2),
        Outcome::Superseded,
        None,
    );
}

#[test]
fn an_accept_of_a_newer_incarnation_opens_the_id_again() {
    check(
        [accepted(7).of(C1), decommissioned()],
        accepted(1).of(C2),
        Outcome::Applied,
        Some(true),
    );
}

#[test]
fn a_rejection_of_a_newer_incarnation_opens_nothing_but_holds_back_its_older_accept() {
    let before = [accepted(7).of(C1), decommissioned(), rejected(4).of(C2)];
    check(
        before.clone(),
        accepted(3).of(C2),
        Outcome::Superseded,
        None,
    );
    check(before, rejected(5).of(C2), Outcome::Superseded, None);
}

#[test]
fn a_rejection_of_a_newer_incarnation_does_not_keep_its_newer_accept_out() {
    let before = [accepted(7).of(C1), decommissioned(), rejected(4).of(C2)];
    check(before, accepted(5).of(C2), Outcome::Applied, Some(true));
}

#[test]
fn a_decommission_of_the_newer_incarnation_closes_it_before_it_was_accepted() {
    let closed = decommissioned().of(C2);
    let before = [
        accepted(7).of(C1),
        decommissioned(),
        rejected(4).of(C2),
        closed,
    ];
    check(before, accepted(5).of(C2), Outcome::Superseded, None);
}

#[test]
fn a_decommission_of_an_incarnation_never_heard_of_closes_that_one_too() {
    let before = [
        accepted(7).of(C1),
        decommissioned(),
        decommissioned().of(C2),
    ];
    check(before, accepted(1).of(C2), Outcome::Superseded, None);
}

#[test]
fn a_decommission_of_an_older_incarnation_is_superseded() {
    check(
        [accepted(1).of(C2)],
        decommissioned().of(C1),
        Outcome::Superseded,
        Some(true),
    );
}

#[test]
fn a_newer_incarnation_gets_an_identity_of_its_own() {
    let mut scene = Scene::after([accepted(7).of(C1)]);
    assert_eq!(scene.outcome(accepted(1).of(C2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.requests, ["delete", "create"]);
    assert_eq!(scene.delivered.len(), 2, "the new key is delivered");
}

#[test]
fn an_identity_made_before_its_incarnation_was_known_is_outlived_too() {
    let hint = accepted(0).unnumbered().of(C1);
    let mut scene = Scene::after([accepted(7), hint]);
    assert_eq!(scene.outcome(accepted(1).of(C2)), Some(Outcome::Applied));
    assert_eq!(
        scene.delivered.len(),
        2,
        "not the key of the incarnation before"
    );
}

#[test]
fn an_accept_without_revision_only_looks() {
    let hint = accepted(0).unnumbered();
    let mut scene = Scene::after([accepted(3)]);
    assert_eq!(scene.outcome(hint), Some(Outcome::Unchanged));
    assert_eq!(scene.requests, ["read"]);
    assert_eq!(scene.record().key.revision, Some(3));
}

#[test]
fn an_accept_without_revision_repairs_what_it_finds_wrong() {
    let mut scene = Scene::after([accepted(3)]);
    scene.identity = None;
    assert_eq!(
        scene.outcome(accepted(0).unnumbered()),
        Some(Outcome::Applied)
    );
    scene.assert_agrees(Some(true));
}

#[test]
fn an_accept_without_revision_never_replaces_a_rejection() {
    let hint = accepted(0).unnumbered();
    check(
        [accepted(1), rejected(2)],
        hint,
        Outcome::Superseded,
        Some(false),
    );
}

#[test]
fn an_accept_without_revision_is_enough_for_a_device_never_heard_of() {
    let first = accepted(0).unnumbered().of(C1);
    check([], first.clone(), Outcome::Applied, Some(true));
    check([first], accepted(3), Outcome::Unchanged, Some(true));
}

#[test]
fn an_accept_without_revision_teaches_the_incarnation() {
    let hint = accepted(0).unnumbered().of(C1);
    let scene = Scene::after([accepted(3), hint]);
    let incarnation = scene.record().key.incarnation;
    assert_eq!(incarnation, Some(Timestamp::from_micros(C1)));
}

#[test]
fn an_event_without_revision_never_contradicts_without_asking() {
    let mut scene = Scene::after([accepted(0).unnumbered()]);
    scene.mender = MenderView::Known(Status::Accepted);
    scene.crash();
    let effect = scene.feed(Input::Event(rejected(0).unnumbered()));
    assert_eq!(effect, Effect::AskMender);
}

/// Whether `last` ends superseded after `before` and leaves the record as it was, so that nothing is
/// stored for it.
fn ends_without_a_save(before: &[Event], last: Event) -> bool {
    let mut scene = Scene::after(before.to_vec());
    let known = scene.record().clone();
    assert_eq!(scene.outcome(last), Some(Outcome::Superseded));
    *scene.record() == known
}

#[test]
fn what_a_newer_copy_of_the_record_could_judge_otherwise_is_ended_by_a_compare_and_set() {
    let one = [accepted(1).of(C1), decommissioned()];
    // A newer copy may know of an incarnation that this one closes.
    assert!(!ends_without_a_save(&one, decommissioned().named("again")));
    let two = [accepted(1).of(C1), rejected(3).of(C1)];
    // One of another side of the tie, which was taken since.
    assert!(!ends_without_a_save(
        &two,
        rejected(3).of(C1).named("again")
    ));
    // One of a newer incarnation with a lower revision.
    assert!(!ends_without_a_save(&two, accepted(2)));
    // One that is at work on this very event, which makes it look.
    let hint = accepted(0).of(C1).unnumbered();
    assert!(!ends_without_a_save(&two, hint));
}

#[test]
fn what_is_older_for_good_costs_no_write() {
    let two = [accepted(1).of(C1), rejected(3).of(C1)];
    assert!(ends_without_a_save(&two, accepted(2).of(C1)));
    let gone = [accepted(1).of(C1), decommissioned().of(C1)];
    assert!(ends_without_a_save(&gone, accepted(0).of(C1).unnumbered()));
    let gone_again = decommissioned().of(C1).named("again");
    assert!(ends_without_a_save(&gone, gone_again));
    let reborn = [accepted(1).of(C1), decommissioned(), accepted(1).of(C2)];
    assert!(ends_without_a_save(&reborn, decommissioned().of(C1)));
}
