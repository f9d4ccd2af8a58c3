//! The sweep against a store, a hub, a Mender and streams in memory. What the worker makes of what is
//! handed over is tested in `lifecycle` and with the real binary.
//!
//! A record is made by the core itself from an event, so no test invents a record.

#[path = "sweeping/world.rs"]
mod world;

use std::time::Duration;

use lifecycle::{Status, Wanted};
use reconciler::sweep::{Finding, SweepSettings, Trouble};

use world::{CREATED_AGAIN, GRACE, World};

#[tokio::test(start_paused = true)]
async fn where_all_agree_nothing_is_done() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.settled("b", Status::Rejected, Some(false));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!((report.in_hub, report.in_mender, report.records), (2, 2, 2));
    assert!(
        report.findings.is_empty() && report.repaired == 0,
        "{report:?}"
    );
    assert!(world.published().is_empty() && world.armed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_event_is_made_up_for_with_the_record_s_own_key() {
    let world = World::new();
    world.settled("a", Status::Rejected, None);
    world.mender("a", Some(Status::Accepted));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::LostEvent), 1);
    let [event] = &world.published()[..] else {
        panic!("one event");
    };
    let key = world.record("a").unwrap().key;
    assert_eq!((event.status, event.key()), (Status::Accepted, key), "S4");
    assert!(event.id.0.starts_with("sweep-"));
}

#[tokio::test(start_paused = true)]
async fn what_changed_lately_is_left_alone() {
    let world = World::new();
    world.settled("a", Status::Rejected, None);
    world.mender("a", Some(Status::Accepted));
    world.touch("a");
    let report = world.sweep(&SweepSettings::default()).await;
    assert!(report.findings.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_the_fresh_look_contradicts_is_not_believed() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.listed("a", Some(Status::Rejected));
    let report = world.sweep(&SweepSettings::default()).await;
    assert!(world.published().is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_gone_from_mender_is_decommissioned_only_at_the_second_positive_answer() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.mender("a", None);
    let first = world.sweep(&SweepSettings::default()).await;
    assert_eq!(first.count(Finding::Vanished), 1);
    let soon = world.sweep(&SweepSettings::default()).await;
    assert_eq!(soon.count(Finding::LostDecommission), 0, "within the grace");
    assert!(world.published().is_empty());
    world.pass(GRACE).await;
    let second = world.sweep(&SweepSettings::default()).await;
    assert_eq!(second.count(Finding::LostDecommission), 1);
    assert_eq!(world.published()[0].status, Status::Decommissioned);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_came_back_between_two_answers_starts_over() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.mender("a", None);
    world.sweep(&SweepSettings::default()).await;
    world.mender("a", Some(Status::Accepted));
    world.pass(GRACE).await;
    world.sweep(&SweepSettings::default()).await;
    world.mender("a", None);
    let third = world.sweep(&SweepSettings::default()).await;
    assert_eq!(third.count(Finding::Vanished), 1, "S9");
    assert!(world.published().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_an_error_and_half_a_list_delete_nothing() {
    let world = World::new();
    for n in 0..50 {
        world.settled(&format!("d{n}"), Status::Accepted, Some(true));
    }
    for trouble in ["empty", "fails", "half"] {
        world.list_trouble(trouble);
        for _ in 0..3 {
            let report = world.sweep(&SweepSettings::default()).await;
            assert_eq!(report.count(Finding::Vanished), 0, "{trouble}");
            let told = report
                .troubles
                .iter()
                .any(|told| matches!(told, Trouble::Mender(_)));
            assert_eq!(told, trouble != "empty", "{trouble}");
            world.pass(GRACE).await;
        }
    }
    assert!(world.published().is_empty() && world.armed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mender_that_has_lost_everything_is_not_followed_unless_forced() {
    let world = World::new();
    for n in 0..50 {
        world.settled(&format!("d{n}"), Status::Accepted, Some(true));
        world.mender(&format!("d{n}"), None);
    }
    world.sweep(&SweepSettings::default()).await;
    world.pass(GRACE).await;
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!((report.held_back, report.repaired), (50, 0));
    assert!(world.published().is_empty());
    let force = SweepSettings {
        force: true,
        ..SweepSettings::default()
    };
    assert_eq!(world.sweep(&force).await.repaired, 50);
}

#[tokio::test(start_paused = true)]
async fn drift_is_doubted_and_the_worker_woken() {
    let world = World::new();
    world.settled("disabled-by-hand", Status::Accepted, Some(true));
    world.hub("disabled-by-hand", Some((false, true)));
    world.settled("enabled-by-hand", Status::Rejected, Some(false));
    world.hub("enabled-by-hand", Some((true, true)));
    world.settled("deleted-by-hand", Status::Accepted, Some(true));
    world.hub("deleted-by-hand", None);
    // A query shows no generation: it bears our mark and is as it should be.
    world.settled("made-anew-by-hand", Status::Accepted, Some(true));
    world.copied("made-anew-by-hand");
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::Drift), 4, "{report:?}");
    assert_eq!(world.armed().len(), 4);
    for id in [
        "disabled-by-hand",
        "enabled-by-hand",
        "deleted-by-hand",
        "made-anew-by-hand",
    ] {
        let record = world.record(id).unwrap();
        assert!(!record.confirmed, "{id}");
        let look = record.working.unwrap();
        assert!(look.owed && look.event.id.0.starts_with("sweep-"), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn drift_from_a_record_that_mender_has_left_behind_follows_mender() {
    // The store was rolled back: the record says accepted, Mender and the hub know better.
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.hub("a", Some((false, true)));
    world.mender("a", Some(Status::Rejected));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(
        report.count(Finding::Drift),
        0,
        "no mass enable: {report:?}"
    );
    assert_eq!(world.published()[0].status.wanted(), Wanted::Disabled);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_cannot_be_listed_has_lost_nothing() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.hub_fails();
    let report = world.sweep(&SweepSettings::default()).await;
    assert!(
        matches!(&report.troubles[..], [Trouble::Hub(_)]),
        "{report:?}"
    );
    assert!(report.findings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn foreign_identities_are_reported_and_left_alone() {
    let world = World::new();
    world.settled("a", Status::Accepted, None);
    world.hub("a", Some((true, false)));
    world.hub("nobody-s", Some((true, false)));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::Foreign), 1);
    assert_eq!(report.repaired, 0);
}

#[tokio::test(start_paused = true)]
async fn when_the_store_was_lost_the_marks_and_mender_bring_it_back() {
    let world = World::new();
    for (id, status) in [("a", Status::Accepted), ("r", Status::Rejected)] {
        world.hub(id, Some((status == Status::Accepted, true)));
        world.mender(id, Some(status));
    }
    world.hub("gone", Some((true, true)));
    world.hub("foreign", Some((true, false)));
    world.mender("foreign", Some(Status::Accepted));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::Orphan), 2, "{report:?}");
    assert_eq!(report.count(Finding::Vanished), 1);
    let told = |world: &World| {
        let events = world.published().into_iter();
        let mut told: Vec<_> = events
            .map(|e| (e.about.device.to_string(), e.status))
            .collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    };
    let expected = [
        ("a".to_owned(), Status::Accepted),
        ("r".to_owned(), Status::Rejected),
    ];
    assert_eq!(told(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn devices_from_before_the_integration_are_swept_in_only_on_request() {
    let world = World::new();
    world.mender("old", Some(Status::Accepted));
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::BeforeIntegration), 1);
    assert!(world.published().is_empty(), "F32");
    let later = SweepSettings {
        integrated_since: Some(world::CREATED),
        ..SweepSettings::default()
    };
    assert_eq!(world.sweep(&later).await.count(Finding::Unrecorded), 0);
    let before = SweepSettings {
        integrated_since: Some(lifecycle::Timestamp::from_micros(1)),
        ..SweepSettings::default()
    };
    assert_eq!(world.sweep(&before).await.count(Finding::Unrecorded), 1);
    let asked = SweepSettings {
        adopt_unrecorded: true,
        ..SweepSettings::default()
    };
    assert_eq!(world.sweep(&asked).await.count(Finding::Unrecorded), 1);
    assert_eq!(world.published().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_the_same_and_does_nothing() {
    let world = World::new();
    world.settled("a", Status::Rejected, None);
    world.mender("a", Some(Status::Accepted));
    world.settled("b", Status::Accepted, Some(true));
    world.hub("b", None);
    world.settled("c", Status::Accepted, Some(true));
    world.mender("c", None);
    let dry = SweepSettings {
        dry_run: true,
        ..SweepSettings::default()
    };
    let told = world.sweep(&dry).await;
    assert_eq!(told.repaired, 2, "{told:?}");
    assert!(world.published().is_empty() && world.armed().is_empty());
    assert!(world.notes().is_empty() && world.record("b").unwrap().confirmed);
    let done = world.sweep(&SweepSettings::default()).await;
    assert_eq!(done.findings, told.findings);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_wake_up_was_lost_is_woken() {
    let world = World::new();
    world.unfinished("a");
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::Stalled), 1, "L1: {report:?}");
    assert_eq!(world.armed(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn deleted_devices_are_looked_at_twice_and_then_no_more() {
    let world = World::new();
    world.settled("a", Status::Decommissioned, None);
    let mut looks = 0;
    for _ in 0..6 {
        let report = world.sweep(&SweepSettings::default()).await;
        looks += report.count(Finding::Tombstone);
        world.finish_looks();
        world.pass(Duration::from_secs(3600)).await;
    }
    assert_eq!(looks, 2);
}

#[tokio::test(start_paused = true)]
async fn a_decommissioned_device_that_mender_still_lists_stays_deleted() {
    let world = World::new();
    world.settled("a", Status::Decommissioned, None);
    world.mender("a", Some(Status::Accepted));
    world.sweep(&SweepSettings::default()).await;
    assert!(
        world.published().is_empty(),
        "F3: of the same incarnation it stays deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_newer_incarnation_that_may_not_connect_ends_the_older_one() {
    let world = World::new();
    world.settled("a", Status::Accepted, Some(true));
    world.mender_made_again("a", Status::Rejected);
    world.sweep(&SweepSettings::default()).await;
    let [event] = &world.published()[..] else {
        panic!("L7: its decommission and its rejection were lost");
    };
    assert_eq!(
        (event.status, event.created),
        (Status::Rejected, Some(CREATED_AGAIN))
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_accept_of_an_incarnation_that_was_heard_of_opens_the_id() {
    let world = World::new();
    world.settled("a", Status::Decommissioned, None);
    world.hears_of_newer("a", Status::Pending);
    world.mender_made_again("a", Status::Accepted);
    world.sweep(&SweepSettings::default()).await;
    let [event] = &world.published()[..] else {
        panic!("L7: its accept was lost");
    };
    let key = world.record("a").unwrap().key;
    assert_eq!(
        (event.status, event.key()),
        (Status::Accepted, key),
        "of its own key, so that Mender is asked"
    );
}

#[tokio::test(start_paused = true)]
async fn drift_does_not_keep_a_stalled_record_from_being_woken() {
    let world = World::new();
    world.settled("a", Status::Rejected, Some(false));
    world.hub("a", Some((true, true)));
    world.owes_outcome("a");
    let report = world.sweep(&SweepSettings::default()).await;
    assert_eq!(report.count(Finding::Stalled), 1);
    assert_eq!(
        world.armed(),
        ["a"],
        "its outcome comes first, the drift next time"
    );
}
