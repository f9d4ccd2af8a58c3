//! Messages that the server gave up, or that somebody took away, while no worker was there to hear it.

use ::jetstream::{Advisories, Letter};
use std::sync::atomic::Ordering::Relaxed;

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use futures::StreamExt as _;
use lifecycle::Outcome;
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, PATIENCE};

const GOOD: &[u8] = br#"{"status":"rejected","revision":7}"#;

/// A consumer of ours, as any client may use it.
async fn consumer(nats: &Installation, stream: &str, name: &str) -> PullConsumer {
    let consumer = nats.context.get_consumer_from_stream(name, stream).await;
    consumer.unwrap()
}

async fn take(consumer: &PullConsumer) -> jetstream::Message {
    let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
    batch.next().await.unwrap().unwrap()
}

/// Has the server give up after so many deliveries, and takes the message as often.
async fn give_up(nats: &Installation, stream: &str, name: &str, deliveries: i64) {
    let consumer = consumer(nats, stream, name).await;
    let config = consumer.cached_info().config.clone();
    let config = jetstream::consumer::Config {
        max_deliver: deliveries,
        ..config
    };
    let stream = nats.context.get_stream(stream).await.unwrap();
    stream.create_consumer(config).await.unwrap();
    for _ in 0..deliveries {
        let nak = AckKind::Nak(None);
        take(&consumer).await.double_ack_with(nak).await.unwrap();
    }
    // The server finds out when somebody asks for more.
    let more = consumer.fetch().max_messages(1).messages().await.unwrap();
    assert_eq!(more.count().await, 0);
}

/// The only letter there is, once the watch has run.
async fn letter(nats: &Installation) -> Letter {
    watch(nats).await;
    let letters = nats.letters(None, None).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.into_iter().next().unwrap()
}

/// Runs the watch until it has dealt with the only advisory; what it has counted as deleted.
async fn watch(nats: &Installation) -> u64 {
    black_box::until(PATIENCE, "an advisory", async || {
        Ok((nats.messages_in("IOTHUB_ADVISORIES").await > 0).then_some(()))
    })
    .await
    .unwrap();
    let stop = CancellationToken::new();
    // Two replicas, of which one gets the advisory.
    let mut counters = Vec::new();
    for _ in 0..2 {
        let watch = Advisories::new(&nats.context, nats.streams().await);
        counters.push(watch.counters());
        tokio::spawn(watch.run(stop.clone()));
    }
    let told = consumer(nats, "IOTHUB_ADVISORIES", "iothub-advisories").await;
    black_box::until(PATIENCE, "the watch to have dealt with it", async || {
        let info = told.get_info().await?;
        Ok((info.num_pending == 0 && info.num_ack_pending == 0).then_some(()))
    })
    .await
    .unwrap();
    stop.cancel();
    counters.iter().map(|it| it.deleted.load(Relaxed)).sum()
}

#[tokio::test]
async fn an_event_that_the_server_gave_up_becomes_a_dead_letter_and_leaves_the_queue() {
    let nats = Installation::new("given-up").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    give_up(&nats, "IOTHUB_EVENTS", "iothub-worker", 2).await;
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 1, "unseen");
    let letter = letter(&nats).await;
    assert_eq!(
        (letter.head.class.as_str(), letter.head.attempts),
        ("poison", 2)
    );
    assert_eq!(
        (letter.body.as_slice(), letter.head.device),
        (GOOD, Some("a".to_owned()))
    );
    assert_eq!(nats.outcome("IOTHUB_EVENTS-1").await.outcome, Outcome::Dead);
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_of_mender_that_the_server_gave_up_becomes_a_dead_letter() {
    let nats = Installation::new("given-up-source").await;
    let body = br#"{"device_id":"a"}"#;
    nats.publish("WORKFLOWS.lifecycle.device", &[], body).await;
    give_up(&nats, "WORKFLOWS", "iothub-ingest", 1).await;
    let letter = letter(&nats).await;
    assert_eq!(
        (letter.head.class.as_str(), letter.body.as_slice()),
        ("poison", &body[..])
    );
    assert_eq!(nats.outcome("WORKFLOWS-1").await.outcome, Outcome::Dead);
    assert_eq!(nats.messages_in("WORKFLOWS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_that_is_terminated_by_hand_is_reported() {
    let nats = Installation::new("terminated").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    let taken = take(&consumer(&nats, "IOTHUB_EVENTS", "iothub-worker").await).await;
    taken.double_ack_with(AckKind::Term).await.unwrap();
    let letter = letter(&nats).await;
    assert_eq!(letter.head.class, "terminated");
    assert_eq!(letter.head.event_id.0, "IOTHUB_EVENTS-1");
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_that_is_deleted_by_hand_while_in_work_is_counted() {
    let nats = Installation::new("deleted").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    let _taken = take(&consumer(&nats, "IOTHUB_EVENTS", "iothub-worker").await).await;
    let events = nats.context.get_stream("IOTHUB_EVENTS").await.unwrap();
    events.delete_message(1).await.unwrap();
    // Not a dead letter: a killed server says the same of what was acknowledged.
    assert_eq!(watch(&nats).await, 1);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    nats.dir.passed();
}
