//! Work from the event stream.

use std::time::Duration;

use jetstream::IntakeSettings;
use lifecycle::{Done, Event, Outcome, Status};
use reconciler::ports::{Ack as _, Streams as _};
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, PATIENCE, device, event, next, nothing};

const GOOD: &[u8] = br#"{"status":"rejected","revision":7}"#;

#[tokio::test]
async fn an_event_without_an_id_is_named_after_its_message() {
    let nats = Installation::new("intake").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nats.publish("iothub.event.=.a=2Eb", &[], GOOD).await;
    let task = next(&mut intake).await;
    let event = task.event.unwrap();
    assert_eq!(event.about, device("", "a.b"));
    assert_eq!((event.status, event.revision), (Status::Rejected, Some(7)));
    assert_eq!(event.id.0, "IOTHUB_EVENTS-1");
    assert_eq!(task.carries, Some(event.id));
    assert_eq!(task.payload.body, GOOD);
    let named = ("Iothub-Event-Id".to_owned(), "IOTHUB_EVENTS-1".to_owned());
    assert_eq!(task.payload.headers, [named]);
    task.ack.ack().await.unwrap();
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn what_cannot_be_read_is_dead_lettered_with_its_bytes_and_the_rest_goes_on() {
    let nats = Installation::new("malformed").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let contradicts = br#"{"status":"accepted","tenant_id":"u"}"#;
    let none = ("", "");
    let bad: [(&str, (&str, &str), &[u8]); 6] = [
        ("iothub.event.t.a", none, b"\xff\x00 not JSON"),
        ("iothub.event.t.a", none, br#"{"status":"frozen"}"#),
        ("iothub.event.t.a", none, contradicts),
        ("iothub.event.t.a.b", none, GOOD),
        ("iothub.event.t.=3B", none, GOOD),
        ("iothub.event.t.a", ("Iothub-Replay", "often"), GOOD),
    ];
    for (subject, header, body) in bad {
        let headers = [header];
        let count = usize::from(header != none);
        nats.publish(subject, &headers[..count], body).await;
    }
    nats.publish("iothub.event.t.good", &[], GOOD).await;
    let task = next(&mut intake).await;
    assert_eq!(task.about, device("t", "good"));
    task.ack.ack().await.unwrap();
    let letters = nats.letters(None, None).await;
    assert_eq!(letters.len(), bad.len());
    for (letter, (subject, _, body)) in letters.iter().zip(bad) {
        assert_eq!(
            (letter.subject.as_str(), letter.body.as_slice()),
            (subject, body)
        );
        assert_eq!(letter.head.class, "malformed");
        assert_eq!(
            nats.outcome(&letter.head.event_id.0).await.outcome,
            Outcome::Dead
        );
    }
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_that_kills_whoever_takes_it_ends_as_poison() {
    let nats = Installation::new("poison").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    take_and_die(&nats, 5).await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nothing(&mut intake).await;
    assert_eq!(nats.outcome("IOTHUB_EVENTS-1").await.outcome, Outcome::Dead);
    let letters = nats.letters(Some("t"), Some("a")).await;
    assert_eq!(letters[0].head.class, "poison");
    assert_eq!(letters[0].head.attempts, 5);
    assert_eq!(letters[0].body, GOOD);
    nats.dir.passed();
}

#[tokio::test]
async fn an_event_that_ended_and_whose_acknowledgement_is_lost_again_and_again_gets_no_letter() {
    let nats = Installation::new("ended").await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    let done = Done {
        event: Event {
            status: Status::Rejected,
            ..event("IOTHUB_EVENTS-1", &device("t", "a"))
        },
        outcome: Outcome::Applied,
        reason: None,
    };
    nats.streams().await.report(&[done]).await.unwrap();
    take_and_die(&nats, 5).await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nothing(&mut intake).await;
    let outcome = nats.outcome("IOTHUB_EVENTS-1").await.outcome;
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(nats.messages_in("IOTHUB_OUTCOMES").await, 1);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

/// So many processes take the next message and die; a NAK spares the test their ack waits.
pub(crate) async fn take_and_die(nats: &Installation, processes: usize) {
    use async_nats::jetstream::{AckKind, consumer::pull};
    use futures::StreamExt as _;
    let context = &nats.context;
    let consumer =
        context.get_consumer_from_stream::<pull::Config, _, _>("iothub-worker", "IOTHUB_EVENTS");
    let consumer = consumer.await.unwrap();
    for _ in 0..processes {
        let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
        let message = batch.next().await.unwrap().unwrap();
        message.double_ack_with(AckKind::Nak(None)).await.unwrap();
    }
}

#[tokio::test]
async fn giving_back_often_is_not_dying_often() {
    let nats = Installation::new("retry").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    for _ in 0..8 {
        let task = next(&mut intake).await;
        assert_eq!(task.event.unwrap().id.0, "IOTHUB_EVENTS-1");
        task.ack.retry(Duration::from_millis(50)).await.unwrap();
    }
    let task = next(&mut intake).await;
    assert_eq!(task.payload.body, GOOD);
    task.ack.ack().await.unwrap();
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn what_is_held_or_waits_its_turn_is_not_delivered_to_others() {
    let nats = Installation::new("held").await;
    let mut consumer = nats
        .context
        .get_consumer_from_stream::<async_nats::jetstream::consumer::pull::Config, _, _>(
            "iothub-worker",
            "IOTHUB_EVENTS",
        )
        .await
        .unwrap();
    let mut config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("iothub-worker".to_owned()),
        filter_subject: "iothub.event.>".to_owned(),
        ..Default::default()
    };
    config.ack_wait = Duration::from_secs(1);
    let made = nats
        .context
        .create_consumer_on_stream(config, "IOTHUB_EVENTS")
        .await;
    made.unwrap();
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nats.publish("iothub.event.t.a", &[], GOOD).await;
    nats.publish("iothub.event.t.b", &[], GOOD).await;
    let held = next(&mut intake).await;
    // Three ack waits, in which the second message waits to be taken.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let info = consumer.info().await.unwrap();
    assert_eq!((info.num_ack_pending, info.num_redelivered), (2, 0));
    held.ack.ack().await.unwrap();
    let waited = next(&mut intake).await;
    // Dropped without a word it comes again, as if this process had died.
    drop(waited);
    let again = next(&mut intake).await;
    assert_eq!(again.about, device("t", "b"));
    again.ack.ack().await.unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn work_goes_on_after_the_server_was_away() {
    let mut nats = Installation::new("restart").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    nats.publish("iothub.event.t.before", &[], GOOD).await;
    let before = next(&mut intake).await;
    nats.server.restart().await.unwrap();
    black_box::until(PATIENCE, "a publish", async || {
        let subject = "iothub.event.t.after";
        nats.context.publish(subject, GOOD.into()).await?.await?;
        Ok(Some(()))
    })
    .await
    .unwrap();
    let began = std::time::Instant::now();
    let after = next(&mut intake).await;
    assert_eq!(after.about, device("t", "after"));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        began.elapsed()
    );
    after.ack.ack().await.unwrap();
    before.ack.ack().await.unwrap();
    nothing(&mut intake).await;
    nats.dir.passed();
}

#[tokio::test]
async fn however_long_the_backlog_no_more_is_fetched_than_is_kept_ahead() {
    const BACKLOG: usize = 800;
    let nats = Installation::new("ahead").await;
    for number in 0..BACKLOG {
        let subject = format!("iothub.event.t.d{number}");
        nats.publish(&subject, &[], GOOD).await;
    }
    let mut intake = nats.intake(&CancellationToken::new()).await;
    let slow = next(&mut intake).await;
    let stream = nats.context.get_stream("IOTHUB_EVENTS").await.unwrap();
    let ahead = IntakeSettings::default().ahead;
    // Full, and nothing more is asked for.
    let held = black_box::until(PATIENCE, "no more to be asked for", async || {
        let consumer = stream.consumer_info("iothub-worker").await?;
        let (held, asking) = (consumer.num_ack_pending, consumer.num_waiting);
        Ok((held >= ahead && asking == 0).then_some(held))
    })
    .await
    .unwrap();
    assert!(held <= 2 * ahead, "{held} of {BACKLOG}");
    slow.ack.ack().await.unwrap();
    for _ in 1..BACKLOG {
        next(&mut intake).await.ack.ack().await.unwrap();
    }
    nothing(&mut intake).await;
    nats.dir.passed();
}

#[tokio::test]
async fn a_stopped_intake_gives_back_what_it_had_fetched_ahead() {
    let nats = Installation::new("stop").await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    for number in 0..20 {
        let subject = format!("iothub.event.t.d{number}");
        nats.publish(&subject, &[], GOOD).await;
    }
    let first = next(&mut intake).await;
    first.ack.ack().await.unwrap();
    stop.cancel();
    let ended = tokio::time::timeout(PATIENCE, intake.next()).await.unwrap();
    assert!(ended.is_none());
    let mut other = nats.intake(&CancellationToken::new()).await;
    for _ in 0..19 {
        let task = tokio::time::timeout(Duration::from_secs(5), other.next()).await;
        task.expect("waited for an ack wait")
            .unwrap()
            .ack
            .ack()
            .await
            .unwrap();
    }
    nats.dir.passed();
}
