//! What holds for any events whatever, in any order, any number of times.

use std::cmp::Ordering;

use lifecycle::{Effect, Event, EventId, Input, MenderView, Status, Timestamp};
use proptest::prelude::*;

use crate::scene::{Scene, event};

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![
        Status::Accepted,
        Status::Accepted,
        Status::Preauthorized,
        Status::Pending,
        Status::Rejected,
        Status::Noauth,
        Status::Decommissioned,
    ])
}

fn any_event() -> impl Strategy<Value = Event> {
    let revision = prop::option::weighted(0.8, 0..6_u64);
    let created = prop::option::of(1..4_i64);
    (any_status(), revision, created).prop_map(|(status, revision, created)| {
        let created = created.map(Timestamp::from_micros);
        Event {
            id: EventId(format!("{status}-{revision:?}-{created:?}")),
            revision,
            created,
            ..event(status, 0)
        }
    })
}

fn any_view() -> impl Strategy<Value = MenderView> {
    prop_oneof![
        any_status().prop_map(MenderView::Known),
        Just(MenderView::Absent),
        Just(MenderView::Decommissioning),
    ]
}

proptest! {
    #[test]
    fn revisions_never_go_backwards_in_a_record(
        events in prop::collection::vec(any_event(), 1..20),
        view in any_view(),
    ) {
        let mut scene = Scene::new();
        scene.mender = view;
        for event in events {
            let before = scene.device.record.as_ref().map(|record| record.key);
            scene.play(Input::Event(event));
            let after = scene.record().key;
            if let Some(before) = before {
                prop_assert_ne!(after.compare(&before), Ordering::Less, "{:?} then {:?}", before, after);
                prop_assert!(after.incarnation >= before.incarnation);
            }
        }
    }

    #[test]
    fn the_same_event_again_changes_nothing_once_settled(
        events in prop::collection::vec(any_event(), 1..12),
        view in any_view(),
    ) {
        let mut scene = Scene::new();
        scene.mender = view;
        for event in events {
            let effect = scene.play(Input::Event(event.clone()));
            scene.rest(effect);
            let (record, identity) = (scene.record().clone(), scene.identity.clone());
            let first = scene.ended.last().cloned();
            scene.play(Input::Event(event));
            prop_assert_eq!(scene.record().status, record.status);
            prop_assert_eq!(scene.record().key, record.key);
            prop_assert_eq!(&scene.identity, &identity);
            prop_assert_eq!(
                scene.ended.last().map(|done| done.outcome),
                first.map(|done| done.outcome)
            );
        }
    }

    #[test]
    fn every_phase_asks_again_for_what_it_owes_after_a_reload(
        events in prop::collection::vec(any_event(), 1..8),
        view in any_view(),
        steps in 0..8_usize,
    ) {
        let mut scene = Scene::new();
        scene.mender = view;
        let last = events.last().expect("at least one").clone();
        for event in &events[..events.len() - 1] {
            scene.play(Input::Event(event.clone()));
        }
        scene.crash();
        let mut effect = scene.feed(Input::Event(last.clone()));
        for _ in 0..steps {
            let Some(input) = scene.perform(&effect) else { break };
            effect = scene.feed(input);
        }
        scene.crash();
        let again = scene.play(Input::Event(last.clone()));
        scene.rest(again);
        prop_assert!(scene.record().is_settled());
        let ends = scene.ended.iter().filter(|done| done.event.id == last.id).count();
        prop_assert!(ends > 0, "no outcome for {:?}; last effect {:?}", last, effect);
    }

    #[test]
    fn whatever_the_order_a_decommissioned_incarnation_is_never_made_again(
        events in prop::collection::vec(any_event(), 1..20),
        closed in 1..4_i64,
    ) {
        let mut scene = Scene::new();
        let gone = Event {
            created: Some(Timestamp::from_micros(closed)),
            ..crate::scene::decommissioned()
        };
        scene.play(Input::Event(gone));
        for event in events {
            if event.created.is_some_and(|created| created.as_micros() > closed) {
                // From here on there is an incarnation that may be made.
                break;
            }
            scene.play(Input::Event(event));
            prop_assert!(!scene.requests.contains(&"create"), "{:?}", scene.requests);
        }
    }

    #[test]
    fn at_rest_the_hub_shows_what_the_record_wants(
        events in prop::collection::vec(any_event(), 1..20),
        view in any_view(),
    ) {
        let mut scene = Scene::new();
        scene.mender = view;
        let mut effect = Effect::Ack;
        for event in events {
            effect = scene.play(Input::Event(event));
        }
        scene.rest(effect);
        let shown = scene.identity.as_ref().map(|facts| facts.enabled);
        match scene.record().status {
            Status::Accepted => prop_assert_eq!(shown, Some(true)),
            Status::Preauthorized => prop_assert_ne!(shown, Some(false)),
            Status::Pending | Status::Rejected | Status::Noauth => prop_assert_ne!(shown, Some(true)),
            Status::Decommissioned => prop_assert_eq!(shown, None),
        }
        if let (Status::Accepted, Some(facts)) = (scene.record().status, &scene.identity) {
            prop_assert_eq!(scene.delivered.last(), Some(&facts.generation));
        }
    }
}
