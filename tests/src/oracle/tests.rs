//! A right scene, and for each rule one that breaks it and nothing else.

use super::*;

const KEY: &str = "0123456789abcdef";

fn entry(seq: u64, operation: &str, status: &str, if_match: Option<&str>) -> JournalEntry {
    JournalEntry {
        query: String::new(),
        seq,
        method: String::new(),
        path: String::new(),
        device: Some("d".to_owned()),
        operation: operation.to_owned(),
        if_match: if_match.map(str::to_owned),
        arrived_us: seq,
        effect_us: Some(seq),
        replied_us: Some(seq),
        status: Some(200),
        effective: true,
        etag_before: if_match.map(|it| it.trim_matches('"').to_owned()),
        etag_after: None,
        generation_id: None,
        identity_status: Some(status.to_owned()),
        fault: None,
        dropped: false,
    }
}

/// Accepted, rejected, accepted again; delivered.
fn right() -> Scene {
    let identity = || Identity::new(true, Some(KEY));
    let truth = Truth {
        status: Status::Accepted,
        delivered_key: Some(KEY.to_owned()),
        deployments: 1,
    };
    Scene {
        histories: [(
            "d".to_owned(),
            vec![
                Status::Pending,
                Status::Accepted,
                Status::Rejected,
                Status::Accepted,
            ],
        )]
        .into(),
        mender: [("d".to_owned(), truth)].into(),
        hub: [("d".to_owned(), identity())].into(),
        hub_later: [("d".to_owned(), identity())].into(),
        foreign: vec![Foreign {
            id: "f".to_owned(),
            before: "{}".to_owned(),
            after: Some("{}".to_owned()),
        }],
        journal: vec![
            entry(1, "create", "enabled", None),
            entry(2, "update", "disabled", Some("\"a\"")),
            entry(3, "update", "enabled", Some("\"b\"")),
        ],
        outcomes: (1..=3)
            .map(|it| (format!("e{it}"), Outcome::Applied))
            .collect(),
        stored: 3,
        published: Published {
            events: 3,
            messages: 3,
            repeated: 0,
        },
        ..Scene::default()
    }
}

/// Breaks one thing, and tells which rules do not hold any more.
fn broken(how: impl FnOnce(&mut Scene)) -> Vec<&'static str> {
    let mut scene = right();
    how(&mut scene);
    let mut rules: Vec<_> = judge(&scene).violations.iter().map(|it| it.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn a_right_scene_is_right() {
    let verdict = judge(&right());
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.outcomes.sum(), 3);
}

#[test]
fn a_foreign_identity_must_stay_as_it_was() {
    assert_eq!(broken(|it| it.foreign[0].after = None), ["S1"]);
    let changed = |it: &mut Scene| it.foreign[0].after = Some("{ }".to_owned());
    assert_eq!(broken(changed), ["S1"]);
}

#[test]
fn the_hub_must_show_the_last_word_and_go_on_showing_it() {
    let disabled = || Identity::new(false, Some(KEY));
    assert_eq!(broken(|it| it.hub.clear()), ["S2"]);
    assert_eq!(
        broken(|it| drop(it.hub.insert("d".to_owned(), disabled()))),
        ["S2"]
    );
    assert_eq!(broken(|it| it.hub_later.clear()), ["S2"]);
}

#[test]
fn who_is_decommissioned_must_stay_absent() {
    let gone = |it: &mut Scene| {
        it.histories.insert(
            "d".to_owned(),
            vec![Status::Pending, Status::Accepted, Status::Decommissioned],
        );
        if let Some(truth) = it.mender.get_mut("d") {
            truth.status = Status::Decommissioned;
            truth.delivered_key = None;
        }
        it.hub.clear();
        it.journal.truncate(1);
        it.journal
            .push(entry(2, "delete", "enabled", Some("\"a\"")));
    };
    assert_eq!(broken(gone), ["S3"]);
    let and_later = |it: &mut Scene| {
        gone(it);
        it.hub_later.clear();
    };
    assert!(broken(and_later).is_empty());
    let late_create = |it: &mut Scene| {
        and_later(it);
        it.journal.push(entry(3, "create", "enabled", None));
    };
    assert_eq!(broken(late_create), ["S4"]);
}

#[test]
fn an_older_word_must_not_take_effect_after_a_newer_one() {
    let late = |it: &mut Scene| {
        it.journal
            .push(entry(4, "update", "disabled", Some("\"c\"")));
    };
    assert_eq!(broken(late), ["S4"]);
}

#[test]
fn effects_count_in_their_order_and_not_in_that_of_arrival() {
    let overtaken = |effect_us| {
        broken(|it| {
            let mut last = entry(4, "update", "disabled", Some("\"c\""));
            last.effect_us = Some(effect_us);
            it.journal.push(last);
        })
    };
    assert!(overtaken(2).is_empty());
    assert_eq!(overtaken(4), ["S4"]);
}

#[test]
fn a_life_must_have_one_identity_and_its_key() {
    let twice = |it: &mut Scene| it.journal.insert(1, entry(1, "create", "enabled", None));
    assert_eq!(broken(twice), ["S5"]);
    let other = |it: &mut Scene| {
        if let Some(truth) = it.mender.get_mut("d") {
            truth.delivered_key = Some("other".to_owned());
        }
    };
    assert_eq!(broken(other), ["S5"]);
}

#[test]
fn every_event_must_end_once() {
    assert_eq!(broken(|it| drop(it.outcomes.pop())), ["L1"]);
    let twice = |it: &mut Scene| it.outcomes.push(("e1".to_owned(), Outcome::Superseded));
    assert_eq!(broken(twice), ["S6"]);
    let again = |it: &mut Scene| it.outcomes.push(("e1".to_owned(), Outcome::Applied));
    assert!(broken(again).is_empty());
    assert_eq!(
        broken(|it| it.outcomes.push(("e4".to_owned(), Outcome::Applied))),
        ["S6"]
    );
    assert_eq!(broken(|it| it.published.messages = 4), ["F23"]);
}

#[test]
fn a_dead_letter_must_be_explained_and_alone() {
    let letter = || Letter {
        event_id: "e1".to_owned(),
        class: "poison".to_owned(),
    };
    assert_eq!(broken(|it| it.letters.push(letter())), ["L1"]);
    let two = |it: &mut Scene| {
        it.excused.push("poison");
        it.letters.extend([letter(), letter()]);
    };
    assert_eq!(broken(two), ["S7"]);
}

#[test]
fn a_write_to_what_exists_must_be_conditional() {
    for wrong in [None, Some("*"), Some("\"old\"")] {
        let unconditional = |it: &mut Scene| {
            it.journal[1].if_match = wrong.map(str::to_owned);
        };
        assert_eq!(broken(unconditional), ["S14"], "{wrong:?}");
    }
}

#[test]
fn a_leak_is_told_with_its_place() {
    assert_eq!(broken(|it| it.leaks.push("w.log".to_owned())), ["S11"]);
}

#[test]
fn an_event_that_was_answered_with_202_ends_once() {
    let called = |events, repeated| Called { events, repeated };
    let lost = |scene: &mut Scene| scene.called = called(1, 0);
    assert_eq!(broken(lost), ["L1"]);
    let end = |scene: &mut Scene| {
        let ended = ("by-http".to_owned(), Outcome::Superseded);
        scene.outcomes.push(ended);
    };
    let ended = |called| {
        broken(|scene| {
            end(scene);
            scene.called = called;
        })
    };
    assert_eq!(ended(called(1, 0)), [""; 0]);
    assert_eq!(ended(called(0, 1)), [""; 0], "nobody knew of it");
    assert_eq!(ended(called(0, 0)), ["S6"]);
}
