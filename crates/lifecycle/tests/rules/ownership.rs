//! What is ours and what is not: marks, generations, incarnations (S1, S5, F24, F38).

use lifecycle::{Effect, Facts, HubView, Input, Outcome};

use crate::scene::{
    C1, C2, LEASE, Scene, Vary, accepted, decommissioned, event, foreign, mark, rejected,
};

fn marked(integration: &str) -> Facts {
    Facts {
        mark: Some(mark(integration, "x-old")),
        keys: None,
        ..foreign()
    }
}

/// Whatever is said of the device, this identity stays as it is and every event is ignored.
#[track_caller]
fn check_untouched(identity: &Facts) {
    for last in [
        accepted(1),
        rejected(1),
        event(lifecycle::Status::Preauthorized, 1),
        decommissioned(),
    ] {
        let mut scene = Scene::new();
        scene.identity = Some(identity.clone());
        assert_eq!(scene.outcome(last), Some(Outcome::Ignored));
        assert_eq!(scene.identity.as_ref(), Some(identity));
        assert_eq!(scene.record().hub, HubView::Foreign);
        assert!(scene.delivered.is_empty());
    }
}

#[test]
fn an_identity_without_mark_is_never_touched() {
    check_untouched(&foreign());
}

#[test]
fn an_identity_with_the_mark_of_another_integration_is_never_touched() {
    check_untouched(&marked("other"));
}

#[test]
fn an_identity_with_our_mark_is_ours_even_if_every_record_was_lost() {
    let mut scene = Scene::new();
    scene.identity = Some(marked("i"));
    assert_eq!(scene.outcome(accepted(1)), Some(Outcome::Applied));
    assert_eq!(scene.delivered, ["g-foreign"], "delivered, not made again");
    assert_eq!(scene.outcome(decommissioned()), Some(Outcome::Applied));
    scene.assert_agrees(None);
}

#[test]
fn an_identity_made_by_hand_in_place_of_ours_is_foreign() {
    let mut scene = Scene::after([accepted(1)]);
    scene.identity = Some(foreign());
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Ignored));
    assert_eq!(scene.identity, Some(foreign()));
}

#[test]
fn a_copy_of_our_mark_on_another_generation_is_foreign() {
    let mut scene = Scene::after([accepted(1)]);
    let copied = Facts {
        generation: "g-by-hand".into(),
        ..scene.identity.clone().expect("made")
    };
    scene.identity = Some(copied.clone());
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Ignored));
    assert_eq!(scene.identity, Some(copied));
}

#[test]
fn our_generation_stays_ours_when_its_mark_was_edited_away() {
    let mut scene = Scene::after([accepted(1)]);
    scene.identity.as_mut().expect("made").mark = None;
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(false));
}

#[test]
fn that_an_identity_was_foreign_is_looked_at_again() {
    let mut scene = Scene::new();
    scene.identity = Some(foreign());
    scene.outcome(accepted(1));
    scene.identity = None;
    assert_eq!(scene.outcome(accepted(2)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
}

#[test]
fn an_identity_deleted_by_hand_is_made_again_only_for_an_accept() {
    let mut scene = Scene::after([accepted(1)]);
    scene.identity = None;
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Unchanged));
    scene.assert_agrees(None);
    assert_eq!(scene.outcome(accepted(3)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert_eq!(scene.delivered.len(), 2);
}

#[test]
fn an_identity_that_is_gone_when_a_write_to_it_arrives_is_made_again_only_if_it_is_wanted() {
    let off = [accepted(1), rejected(2)];
    for (before, event, wanted) in [
        (&off[..1], decommissioned(), None),
        (&off[..1], rejected(2), None),
        (&off[..], accepted(3), Some(true)),
    ] {
        let mut scene = Scene::after(before.to_vec());
        let mut effect = scene.feed(Input::Event(event.clone()));
        while !matches!(effect, Effect::Write(_)) {
            let input = scene.perform(&effect).expect("goes on");
            effect = scene.feed(input);
        }
        scene.identity = None;
        while let Some(input) = scene.perform(&effect) {
            effect = scene.feed(input);
        }
        scene.rest(effect);
        scene.assert_agrees(wanted);
        assert_eq!(scene.dead, [], "{event:?}");
        let made = scene.requests.iter().filter(|it| **it == "create").count();
        assert_eq!(made, usize::from(wanted.is_some()), "{:?}", scene.requests);
    }
}

#[test]
fn a_late_create_of_an_outlived_incarnation_is_deleted_not_adopted() {
    let mut scene = Scene::new();
    let Effect::Write(late) = scene.feed(Input::Event(accepted(1).of(C1))) else {
        panic!("writes");
    };
    scene.play(Input::Event(decommissioned()));
    scene
        .take_effect(&late)
        .expect("there is nothing in its way");
    let effect = scene.play(Input::Event(accepted(1).of(C2)));
    scene.rest(effect);
    scene.assert_agrees(Some(true));
    assert!(
        scene.requests.ends_with(&["read", "delete", "create"]),
        "{:?}",
        scene.requests
    );
    let live = scene.identity.expect("made").generation;
    assert_eq!(scene.delivered, [live], "only the live key");
}

#[test]
fn an_outlived_identity_is_deleted_even_for_a_rejection() {
    let mut scene = Scene::after([accepted(1).of(C1)]);
    scene.pass(LEASE);
    assert_eq!(scene.outcome(rejected(1).of(C2)), Some(Outcome::Applied));
    scene.assert_agrees(None);
}
