//! What another service made becomes ours by import: nothing is written for it, and what follows is
//! as if we had made it.

use lifecycle::{DeviceRef, EventId, Facts, HubView, Input, Keys, Outcome, Record, Status};

use crate::scene::{C1, Scene, Vary, accepted, decommissioned, event, foreign, hub, rejected};

fn theirs(enabled: bool) -> Facts {
    let keys = Keys {
        primary: "theirs".into(),
        secondary: "theirs too".into(),
    };
    Facts {
        enabled,
        keys: Some(keys),
        ..foreign()
    }
}

fn about() -> DeviceRef {
    accepted(1).about
}

fn look() -> EventId {
    EventId("import-1".into())
}

/// An import of an identity, while Mender says this of its device.
fn imported(status: Status, facts: &Facts) -> Scene {
    let said = event(status, 0).of(C1).unnumbered().named("import-1");
    let mut scene = Scene::new();
    scene.device.record = Some(Record::imported(&said, &hub("h"), facts));
    scene.identity = Some(facts.clone());
    scene
}

/// How the look of an import that found work ended.
fn outcome_of_look(scene: &mut Scene) -> Option<Outcome> {
    let effect = scene.play(Input::Woken);
    scene.rest(effect);
    let done = scene.ended.iter().find(|done| done.event.id == look())?;
    Some(done.outcome)
}

#[test]
fn what_is_as_mender_wants_it_is_settled_and_no_event_about_it_finds_work() {
    for (status, enabled) in [
        (Status::Accepted, true),
        (Status::Preauthorized, true),
        (Status::Pending, false),
        (Status::Rejected, false),
        (Status::Noauth, false),
    ] {
        let mut scene = imported(status, &theirs(enabled));
        scene.assert_agrees(Some(enabled));
        for repeated in [
            event(status, 7).of(C1),
            event(status, 7),
            event(status, 0).of(C1).unnumbered(),
            event(status, 9),
        ] {
            let ended = scene.outcome(repeated.clone());
            let idle = [Some(Outcome::Unchanged), Some(Outcome::Superseded)];
            assert!(idle.contains(&ended), "{repeated:?}: {ended:?}");
        }
        scene.play(Input::Woken);
        let writes: Vec<_> = scene.requests.iter().filter(|it| **it != "read").collect();
        assert!(writes.is_empty(), "{status}: {writes:?}");
        assert!(scene.delivered.is_empty(), "{status}");
        scene.assert_agrees(Some(enabled));
    }
}

#[test]
fn what_follows_an_import_is_as_if_we_had_made_the_identity() {
    let mut scene = imported(Status::Accepted, &theirs(true));
    assert_eq!(scene.outcome(rejected(5)), Some(Outcome::Applied));
    scene.assert_agrees(Some(false));
    assert_eq!(scene.outcome(accepted(6)), Some(Outcome::Applied));
    scene.assert_agrees(Some(true));
    assert!(scene.delivered.is_empty(), "the device has its key");
    assert_eq!(scene.outcome(decommissioned()), Some(Outcome::Applied));
    scene.assert_agrees(None);
}

#[test]
fn what_is_not_as_mender_wants_it_is_put_right_by_a_wake_up() {
    for (status, enabled) in [(Status::Accepted, true), (Status::Rejected, false)] {
        let mut scene = imported(status, &theirs(!enabled));
        assert!(!scene.record().is_settled());
        assert_eq!(outcome_of_look(&mut scene), Some(Outcome::Applied));
        scene.assert_agrees(Some(enabled));
        assert!(scene.delivered.is_empty());
    }
}

#[test]
fn an_identity_that_takes_the_place_of_an_imported_one_is_foreign() {
    let mut scene = imported(Status::Accepted, &theirs(true));
    let other = Facts {
        generation: "g-other".into(),
        etag: "e-other".into(),
        ..foreign()
    };
    scene.identity = Some(other.clone());
    assert_eq!(scene.outcome(rejected(5)), Some(Outcome::Ignored));
    assert_eq!(scene.identity, Some(other));
}

#[test]
fn a_key_that_was_changed_since_the_import_is_delivered() {
    let mut scene = imported(Status::Accepted, &theirs(true));
    let identity = scene.identity.as_mut().unwrap();
    identity.keys.as_mut().unwrap().primary = "changed by hand".into();
    identity.etag = "by-hand".into();
    scene
        .device
        .record
        .as_mut()
        .unwrap()
        .doubt(&about(), look());
    assert_eq!(outcome_of_look(&mut scene), Some(Outcome::Applied));
    scene.assert_online();
}

#[test]
fn what_a_worker_took_for_foreign_becomes_ours_and_keeps_the_place_of_its_events() {
    let mut scene = Scene::new();
    scene.identity = Some(theirs(true));
    assert_eq!(scene.outcome(accepted(3)), Some(Outcome::Ignored));
    let mut record = scene.record().clone();
    let key = record.key;
    assert!(record.import(&about(), look(), &theirs(true)));
    assert_eq!(record.key, key);
    assert!(
        !record.import(&about(), look(), &theirs(true)),
        "it is no foreign one any more"
    );
    scene.device.record = Some(record);
    scene.assert_agrees(Some(true));
    assert_eq!(scene.outcome(rejected(2)), Some(Outcome::Superseded));
    assert_eq!(scene.outcome(rejected(4)), Some(Outcome::Applied));
    scene.assert_agrees(Some(false));
    assert!(scene.delivered.is_empty());
}

#[test]
fn a_decommission_that_a_worker_could_not_carry_out_is_carried_out_after_the_import() {
    let mut scene = Scene::new();
    scene.identity = Some(theirs(true));
    assert_eq!(scene.outcome(decommissioned()), Some(Outcome::Ignored));
    let mut record = scene.record().clone();
    assert!(record.import(&about(), look(), &theirs(true)));
    scene.device.record = Some(record);
    assert_eq!(outcome_of_look(&mut scene), Some(Outcome::Applied));
    scene.assert_agrees(None);
}

#[test]
fn a_record_in_work_is_not_touched_by_an_import() {
    let mut scene = Scene::new();
    scene.identity = Some(theirs(true));
    scene.outcome(accepted(3));
    let mut record = scene.record().clone();
    record.doubt(&about(), EventId("sweep-1".into()));
    let before = record.clone();
    assert!(!record.import(&about(), look(), &theirs(true)));
    assert_eq!(record, before);
    record.hub = HubView::Absent;
    assert!(!record.import(&about(), look(), &theirs(true)));
}
