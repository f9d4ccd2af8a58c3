//! What the sweep keeps: turns, notes, results, and the events it publishes.

use std::time::Duration;

use jetstream::{KvSweeps, NatsStreams, Turn};
use lifecycle::{DeviceRef, Event, EventId, Status, TenantId};
use reconciler::sweep::{Notebook as _, Notices as _};
use serde_json::json;

use crate::installation::Installation;

const HOUR: Duration = Duration::from_secs(3600);

fn device(name: &str) -> DeviceRef {
    DeviceRef {
        tenant: "t-1".parse().unwrap(),
        device: name.parse().unwrap(),
    }
}

#[tokio::test]
async fn one_replica_sweeps_at_a_time_and_not_again_before_it_is_due() {
    let nats = Installation::new("sweep-turns").await;
    let store = KvSweeps::open(&nats.context, &nats.names).await.unwrap();
    let Turn::Mine(mut lease) = store.take_turn("one", HOUR).await.unwrap() else {
        panic!("nobody else is there");
    };
    for every in [HOUR, Duration::ZERO] {
        let other = store.take_turn("two", every).await.unwrap();
        assert!(matches!(other, Turn::Taken { .. }), "{other:?}");
    }
    assert!(store.renew(&mut lease).await.unwrap());
    store.finish(lease).await.unwrap();
    let Turn::NotDue(wait) = store.take_turn("two", HOUR).await.unwrap() else {
        panic!("only just swept");
    };
    assert!(wait > HOUR / 2 && wait <= HOUR, "{wait:?}");
    let asked = store.take_turn("two", Duration::ZERO).await.unwrap();
    assert!(matches!(asked, Turn::Mine(_)), "an operator need not wait");
    nats.dir.passed();
}

#[tokio::test]
async fn of_two_that_ask_at_once_one_gets_the_turn() {
    let nats = Installation::new("sweep-race").await;
    let store = KvSweeps::open(&nats.context, &nats.names).await.unwrap();
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let asked = names.iter().map(|name| store.take_turn(name, HOUR));
    let turns = futures::future::join_all(asked).await;
    let mine = |turn: &Result<Turn, _>| matches!(turn, Ok(Turn::Mine(_)));
    assert_eq!(
        turns.iter().filter(|turn| mine(turn)).count(),
        1,
        "{turns:?}"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn a_note_keeps_its_first_time_until_it_is_forgotten() {
    let nats = Installation::new("sweep-notes").await;
    let store = KvSweeps::open(&nats.context, &nats.names).await.unwrap();
    let tenant: TenantId = "t-1".parse().unwrap();
    for name in ["a", "b.c"] {
        store.note(&device(name)).await.unwrap();
    }
    let first = store.noted(&tenant, 100).await.unwrap();
    store.note(&device("a")).await.unwrap();
    assert_eq!(store.noted(&tenant, 100).await.unwrap(), first);
    assert_eq!(first.len(), 2);
    assert!(
        store
            .noted(&TenantId::default(), 100)
            .await
            .unwrap()
            .is_empty()
    );
    store.forget(&device("a")).await.unwrap();
    store.forget(&device("never-noted")).await.unwrap();
    let left = store.noted(&tenant, 100).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0.as_str(), "b.c");
    nats.dir.passed();
}

#[tokio::test]
async fn the_last_result_of_each_tenant_is_kept() {
    let nats = Installation::new("sweep-results").await;
    let store = KvSweeps::open(&nats.context, &nats.names).await.unwrap();
    let tenant: TenantId = "t-1".parse().unwrap();
    for number in [1, 2] {
        store
            .save_result(&tenant, &json!({"n": number}))
            .await
            .unwrap();
    }
    store
        .save_result(&TenantId::default(), &json!({"n": 3}))
        .await
        .unwrap();
    let results = store.results().await.unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|(t, _, r)| (t.as_str(), r["n"].clone()))
        .collect();
    assert_eq!(told, [("", json!(3)), ("t-1", json!(2))]);
    nats.dir.passed();
}

#[tokio::test]
async fn an_event_of_the_sweep_s_is_published_once_under_its_name() {
    let nats = Installation::new("sweep-events").await;
    let streams = NatsStreams::open(&nats.context, &nats.names).await.unwrap();
    let event = Event {
        id: EventId("sweep-1".into()),
        about: device("a"),
        status: Status::Rejected,
        revision: None,
        created: None,
        replay: 0,
    };
    for _ in 0..2 {
        streams.publish(&event).await.unwrap();
    }
    let mut stream = nats
        .context
        .get_stream(nats.names.events_stream())
        .await
        .unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
    nats.dir.passed();
}
