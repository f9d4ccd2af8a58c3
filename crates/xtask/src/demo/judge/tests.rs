//! Each way to be wrong is seen, and being right is seen too.

use super::*;
use crate::demo::fleet::Life;

const KEY: &str = "0123456789abcdef";

fn identity(enabled: bool) -> Identity {
    Identity::new(enabled, Some(KEY))
}

fn truth(status: Status) -> Truth {
    Truth {
        status,
        delivered_key: Some(KEY.to_owned()),
        deployments: 1,
    }
}

/// A fleet of one device that leads `life`, with what Mender and the hub hold of it.
fn scene(life: Life, truth: Truth, identity: Option<Identity>) -> Scene {
    let id = "device-1".to_owned();
    Scene {
        fleet: Fleet {
            members: vec![Member {
                id: id.clone(),
                life,
            }],
        },
        mender: HashMap::from([(id.clone(), truth)]),
        hub: identity
            .map(|identity| (id, identity))
            .into_iter()
            .collect(),
        ..Scene::default()
    }
}

#[track_caller]
fn check(life: Life, truth: Truth, identity: Option<Identity>, why: Option<&str>) {
    let verdict = judge(&scene(life, truth, identity));
    let found = verdict.disagreements.first().map(|it| it.why.as_str());
    assert_eq!(found, why);
    assert_eq!(verdict.fleet().is_full(), why.is_none());
    assert_eq!(verdict.agrees(), why.is_none());
}

#[test]
fn an_accepted_device_is_there_enabled_and_has_its_key() {
    let accepted = || truth(Status::Accepted);
    let undelivered = || Truth {
        delivered_key: None,
        ..accepted()
    };
    let other_key = Identity::new(true, Some("fedcba9876543210"));
    check(Life::Kept, accepted(), Some(identity(true)), None);
    let wrong = |truth, identity, why| check(Life::Kept, truth, identity, Some(why));
    wrong(accepted(), None, "accepted, but there is no identity");
    wrong(accepted(), Some(identity(false)), "accepted, but disabled");
    wrong(
        undelivered(),
        Some(identity(true)),
        "no connection string was delivered",
    );
    wrong(
        accepted(),
        Some(other_key),
        "the delivered key is not the key of the identity",
    );
}

#[test]
fn a_device_no_longer_accepted_is_disabled_or_was_never_made() {
    for status in [Status::Rejected, Status::Noauth, Status::Pending] {
        check(Life::Rejected, truth(status), Some(identity(false)), None);
        check(Life::Rejected, truth(status), None, None);
        let why = "may connect, though no longer accepted";
        check(
            Life::Rejected,
            truth(status),
            Some(identity(true)),
            Some(why),
        );
    }
}

#[test]
fn a_device_never_accepted_has_no_identity_not_even_a_disabled_one() {
    check(Life::Waiting, truth(Status::Pending), None, None);
    check(Life::Expected, truth(Status::Preauthorized), None, None);
    let why = Some("has an identity, though never accepted");
    check(
        Life::Waiting,
        truth(Status::Pending),
        Some(identity(false)),
        why,
    );
}

#[test]
fn a_decommissioned_device_is_absent() {
    check(Life::Retired, truth(Status::Decommissioned), None, None);
    let why = Some("has an identity, though decommissioned");
    let gone = truth(Status::Decommissioned);
    check(Life::Retired, gone, Some(identity(false)), why);
}

#[test]
fn a_device_that_mender_forgot_does_not_agree() {
    let mut scene = scene(Life::Kept, truth(Status::Accepted), Some(identity(true)));
    scene.mender.clear();
    assert!(!judge(&scene).agrees());
}

#[test]
fn a_second_deployment_needs_a_crash_as_its_excuse() {
    let twice = Truth {
        deployments: 2,
        ..truth(Status::Accepted)
    };
    let mut scene = scene(Life::Kept, twice, Some(identity(true)));
    assert!(!judge(&scene).agrees());
    scene.interrupted = 1;
    assert!(judge(&scene).agrees());
}

#[test]
fn a_foreign_identity_must_be_the_same_to_the_last_byte() {
    let foreign = |after: Option<&str>| Scene {
        foreign: vec![Foreign {
            id: "by-hand".to_owned(),
            before: r#"{"etag":"MQ=="}"#.to_owned(),
            after: after.map(str::to_owned),
        }],
        ..Scene::default()
    };
    assert!(judge(&foreign(Some(r#"{"etag":"MQ=="}"#))).agrees());
    assert!(!judge(&foreign(Some(r#"{"etag":"Mg=="}"#))).agrees());
    let gone = judge(&foreign(None));
    assert!(!gone.agrees());
    assert_eq!(gone.foreign, Score { all: 1, right: 0 });
}

#[test]
fn dead_letters_are_the_malformed_messages_and_no_others() {
    let letters = |dead: &[&str]| Scene {
        malformed: vec![b"{".to_vec(), b"[]".to_vec()],
        dead_letters: dead.iter().map(|it| it.as_bytes().to_vec()).collect(),
        ..Scene::default()
    };
    assert!(judge(&letters(&["[]", "{"])).agrees());
    assert!(!judge(&letters(&["{"])).agrees(), "one is missing");
    assert!(!judge(&letters(&["{", "{"])).agrees(), "one twice");
    assert!(
        !judge(&letters(&["{", "[]", "{}"])).agrees(),
        "one too many"
    );
}

#[test]
fn each_published_event_ends_once() {
    let events = |published| Scene {
        outcomes: Tally {
            applied: 3,
            superseded: 2,
            ..Tally::default()
        },
        events_published: published,
        ..Scene::default()
    };
    assert!(judge(&events(5)).agrees());
    assert!(!judge(&events(6)).agrees());
    assert!(!judge(&events(4)).agrees());
}
