//! The rules of the fleet, one sentence each.

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn key(id: &str) -> DeviceKey {
    DeviceKey {
        tenant: String::new(),
        id: id.to_owned(),
    }
}

fn new(status: Status) -> NewDevice {
    NewDevice {
        key: key("d"),
        status,
        created: None,
        auth_set: "a".to_owned(),
    }
}

fn fleet(version: ServerVersion, status: Status) -> Fleet {
    let mut fleet = Fleet::new(version);
    fleet.add(new(status), NOW).expect("it is new");
    fleet
}

/// Leads the device `d` through the statuses; the revisions of the events, and whether each
/// provisions.
fn walk(fleet: &mut Fleet, statuses: &[Status]) -> Vec<(u64, bool)> {
    let changes: Vec<_> = statuses.iter().map(|status| (key("d"), *status)).collect();
    let changes = fleet.change_all(&changes, NOW).expect("all are allowed");
    let told = |change: Change| (change.device.revision, change.provisions);
    changes.into_iter().map(told).collect()
}

#[test]
fn an_event_carries_the_revision_after_its_change() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    let told = walk(
        &mut fleet,
        &[Status::Rejected, Status::Pending, Status::NoAuth],
    );
    assert_eq!(told, [(3, false), (4, false), (5, false)]);
}

#[test]
fn the_first_acceptance_leaves_a_gap_of_one_behind_in_main() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    let told = walk(
        &mut fleet,
        &[Status::Accepted, Status::Rejected, Status::Accepted],
    );
    assert_eq!(told, [(3, true), (5, false), (6, false)]);
}

#[test]
fn in_v4_nothing_is_written_for_the_first_acceptance() {
    let mut fleet = fleet(ServerVersion::V40, Status::Pending);
    let told = walk(
        &mut fleet,
        &[Status::Accepted, Status::Rejected, Status::Accepted],
    );
    assert_eq!(told, [(3, true), (4, false), (5, false)]);
}

#[test]
fn v4_never_provisions_a_device_that_was_rejected_first() {
    let statuses = [Status::Rejected, Status::Accepted];
    let mut v4 = fleet(ServerVersion::V41, Status::Pending);
    assert_eq!(walk(&mut v4, &statuses), [(3, false), (4, false)]);
    let mut main = fleet(ServerVersion::Main, Status::Pending);
    assert_eq!(walk(&mut main, &statuses), [(3, false), (4, true)]);
}

#[test]
fn the_status_that_is_there_already_is_not_written() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    assert_eq!(walk(&mut fleet, &[Status::Pending]), []);
    assert_eq!(fleet.get(&key("d")).map(|device| device.revision), Some(2));
}

#[test]
fn a_preauthorized_device_begins_at_one_and_may_come_in() {
    let mut fleet = fleet(ServerVersion::Main, Status::Preauthorized);
    assert_eq!(fleet.get(&key("d")).map(|device| device.revision), Some(1));
    assert_eq!(walk(&mut fleet, &[Status::Accepted]), [(2, true)]);
}

#[track_caller]
fn refused(from: &[Status], to: Status) {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    walk(&mut fleet, from);
    let before = fleet.get(&key("d")).cloned();
    let changed = fleet.change_all(&[(key("d"), to)], NOW);
    assert!(matches!(changed, Err(FleetError::Transition { .. })));
    assert_eq!(fleet.get(&key("d")).cloned(), before);
}

#[test]
fn what_mender_never_does_is_refused() {
    refused(&[Status::NoAuth], Status::Accepted);
    refused(&[Status::NoAuth], Status::Rejected);
    refused(&[Status::Preauthorized], Status::Rejected);
    refused(&[Status::Preauthorized], Status::NoAuth);
    refused(&[Status::Accepted], Status::Preauthorized);
}

#[test]
fn one_refused_change_undoes_the_others() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    let before = fleet.get(&key("d")).cloned();
    let changes = [
        (key("d"), Status::Accepted),
        (key("d"), Status::Rejected),
        (key("nobody"), Status::Accepted),
    ];
    let error = fleet.change_all(&changes, NOW).expect_err("one is unknown");
    assert_eq!(error, FleetError::Unknown("nobody".to_owned()));
    assert_eq!(fleet.get(&key("d")).cloned(), before);
}

#[test]
fn a_device_is_there_until_its_decommissioning_ends() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    let device = fleet.decommission(&key("d"), NOW).expect("it is there");
    assert_eq!((device.revision, device.decommissioning), (3, true));
    let again = fleet.change_all(&[(key("d"), Status::Accepted)], NOW);
    assert!(matches!(again, Err(FleetError::Decommissioning(_))));
    fleet.remove(&key("d"));
    assert_eq!(fleet.get(&key("d")), None);
    assert_eq!(fleet.gone().count(), 1);
}

#[test]
fn only_a_decommissioned_device_is_removed() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    fleet.remove(&key("d"));
    assert!(fleet.get(&key("d")).is_some());
}

#[test]
fn an_id_that_comes_back_is_a_later_device() {
    let mut fleet = fleet(ServerVersion::Main, Status::Pending);
    fleet.decommission(&key("d"), NOW).expect("it is there");
    fleet.remove(&key("d"));
    let again = fleet.add(new(Status::Pending), NOW).expect("it is free");
    assert!(again.created > NOW);
    assert_eq!(again.revision, 2);
    assert_eq!(fleet.gone().count(), 0);
}
