//! What becomes of messages while NATS has no room for what is to be published of them.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{PullConsumer, pull},
    stream::Config,
};
use lifecycle::{Done, Outcome, Status};
use reconciler::ports::{Ack as _, Streams as _};
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, PATIENCE, device, event, next, nothing};
use crate::intake::take_and_die;

const GOOD: &[u8] = br#"{"status":"rejected","revision":7}"#;

/// So many that the last of them is fetched more often than a message may be delivered.
const WAITING: usize = 8;
const STREAMS: [&str; 2] = ["IOTHUB_OUTCOMES", "IOTHUB_EVENTS"];

/// Whether a stream takes anything. One with schedules cannot be full by a limit of its own, so it is the
/// size of a message that is limited: refused is refused.
async fn room(nats: &Installation, stream: &str, there: bool) {
    let present = nats.context.get_stream(stream).await.unwrap();
    let config = Config {
        max_message_size: if there { -1 } else { 1 },
        ..present.cached_info().config.clone()
    };
    nats.context.update_stream(config).await.unwrap();
}

async fn deliveries(nats: &Installation) -> u64 {
    let consumer = nats
        .context
        .get_consumer_from_stream::<pull::Config, _, _>("iothub-worker", "IOTHUB_EVENTS");
    let mut consumer: PullConsumer = consumer.await.unwrap();
    consumer.info().await.unwrap().delivered.consumer_sequence
}

#[tokio::test]
async fn what_cannot_end_because_nats_has_no_room_is_never_taken_for_poison() {
    let nats = Installation::new("no-room").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    let streams = nats.streams().await;
    for stream in STREAMS {
        room(&nats, stream, false).await;
    }
    let done = Done {
        event: lifecycle::Event {
            status: Status::Rejected,
            ..event("IOTHUB_EVENTS-1", &device("t", "a"))
        },
        outcome: Outcome::Applied,
        reason: None,
    };
    for _ in 0..15 {
        let task = next(&mut intake).await;
        assert!(streams.report(std::slice::from_ref(&done)).await.is_err());
        task.ack.retry(Duration::from_millis(20)).await.unwrap();
    }
    // The first ones are left to the server; a fourth would already be one too many.
    assert_eq!(deliveries(&nats).await, 3);
    for stream in STREAMS {
        room(&nats, stream, true).await;
    }
    let task = next(&mut intake).await;
    streams.report(&[done]).await.unwrap();
    task.ack.ack().await.unwrap();
    nothing(&mut intake).await;
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn poison_that_cannot_be_buried_gets_no_new_life_and_is_buried_when_there_is_room() {
    let nats = Installation::new("no-grave").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    take_and_die(&nats, 5).await;
    room(&nats, STREAMS[0], false).await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    // Nobody is handed what has killed five, however long there is no room.
    nothing(&mut intake).await;
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 1);
    room(&nats, STREAMS[0], true).await;
    let buried = async {
        black_box::until(PATIENCE, "the dead letter", async || {
            Ok((nats.messages_in("IOTHUB_DLQ").await == 1).then_some(()))
        })
        .await
        .unwrap();
    };
    tokio::select! {
        task = intake.next() => panic!("handed out: {task:?}"),
        () = buried => {}
    }
    assert_eq!(nats.outcome("IOTHUB_EVENTS-1").await.outcome, Outcome::Dead);
    assert_eq!(deliveries(&nats).await, 6);
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_that_is_fetched_and_given_back_by_each_of_many_restarts_is_no_poison() {
    let nats = Installation::new("restarts").await;
    for number in 0..WAITING {
        let subject = format!("iothub.event.t.d{number}");
        nats.publish(&subject, &[], GOOD).await;
    }
    for _ in 0..8 {
        let stop = CancellationToken::new();
        let mut intake = nats.intake(&stop).await;
        // One is taken; the others are fetched ahead and not looked at.
        let task = next(&mut intake).await;
        black_box::until(PATIENCE, "all to be fetched", async || {
            let consumer = nats
                .context
                .get_consumer_from_stream::<pull::Config, _, _>("iothub-worker", "IOTHUB_EVENTS");
            let mut consumer: PullConsumer = consumer.await?;
            Ok((consumer.info().await?.num_ack_pending == WAITING).then_some(()))
        })
        .await
        .unwrap();
        stop.cancel();
        assert!(intake.next().await.is_none());
        task.ack.retry(Duration::ZERO).await.unwrap();
    }
    let mut intake = nats.intake(&CancellationToken::new()).await;
    for _ in 0..WAITING {
        next(&mut intake).await.ack.ack().await.unwrap();
    }
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    nats.dir.passed();
}
