//! Wake-ups and outcomes.

use std::time::Duration;

use jetstream::{Counted, Feed, Outcomes, Wanted};
use lifecycle::{Done, Outcome, Timestamp};
use reconciler::ports::{Ack as _, Streams as _};
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, device, event, next, nothing};

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

#[tokio::test]
async fn a_wake_up_comes_when_due_and_brings_the_bytes_it_was_given() {
    let nats = Installation::new("wake-up").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let payload = streams.payload(&event("E-1", &about));
    let due = now().plus(Duration::from_millis(1_500));
    streams.arm(&about, due, Some(&payload)).await.unwrap();
    nothing(&mut intake).await;
    let task = next(&mut intake).await;
    assert!(now() >= due, "it came too early");
    assert_eq!((task.about, task.event), (about, None));
    assert_eq!(task.carries.unwrap().0, "E-1");
    assert_eq!(task.payload, payload);
    task.ack.ack().await.unwrap();
    nothing(&mut intake).await;
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn a_second_wake_up_replaces_the_first_and_one_overdue_comes_at_once() {
    let nats = Installation::new("replace").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let far = now().plus(Duration::from_secs(3_600));
    streams.arm(&about, far, None).await.unwrap();
    streams
        .arm(&about, Timestamp::from_micros(0), None)
        .await
        .unwrap();
    let task = next(&mut intake).await;
    assert_eq!((task.event, task.carries), (None, None));
    task.ack.ack().await.unwrap();
    assert_eq!(
        nats.messages_in("IOTHUB_EVENTS").await,
        0,
        "the first one is still there"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn an_outcome_reported_twice_is_counted_once() {
    let nats = Installation::new("outcomes").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let done = |id: &str, outcome| Done {
        event: event(id, &about),
        outcome,
        reason: None,
    };
    let outcomes = Outcomes::open(&nats.context, &nats.names).await.unwrap();
    assert_eq!(outcomes.count(None).await.unwrap()[&Outcome::Applied], 0);
    let ended = [
        done("E-1", Outcome::Applied),
        done("E-2", Outcome::Superseded),
    ];
    streams.report(&ended).await.unwrap();
    streams.report(&ended).await.unwrap();
    streams
        .report(&[done("E-3", Outcome::Applied)])
        .await
        .unwrap();
    let mut counted = Counted::default();
    let read = std::sync::atomic::AtomicU64::new(0);
    let count = |_: &Counted| {
        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    for _ in 0..2 {
        outcomes.count_on(None, &mut counted, &count).await.unwrap();
    }
    assert_eq!(counted.outcomes[&Outcome::Applied], 2);
    assert_eq!(read.into_inner(), 3, "each is read once");
    let counts = outcomes.count(Some("t")).await.unwrap();
    assert_eq!(counts[&Outcome::Applied], 2);
    assert_eq!(counts[&Outcome::Superseded], 1);
    assert_eq!(counts.values().sum::<u64>(), 3);
    let last = outcomes.last(&about, 2).await.unwrap();
    let ids: Vec<_> = last
        .iter()
        .map(|(_, outcome)| outcome.event_id.as_str())
        .collect();
    assert_eq!(ids, ["E-2", "E-3"]);
    assert!(
        last[0].0 <= last[1].0 && last[0].0.as_micros() > 0,
        "{last:?}"
    );
    assert_eq!(nats.outcome("E-2").await.outcome, Outcome::Superseded);
    nats.dir.passed();
}

#[tokio::test]
async fn a_tenant_that_was_forgotten_is_no_outcome_to_whoever_reads_them() {
    let nats = Installation::new("forgotten").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let outcomes = Outcomes::open(&nats.context, &nats.names).await.unwrap();
    let ensured = Feed::ensure(&nats.context, &nats.names, &about.tenant, false);
    ensured.await.unwrap();
    let report = async |id: &str| {
        let done = Done {
            event: event(id, &about),
            outcome: Outcome::Applied,
            reason: None,
        };
        streams.report(&[done]).await.unwrap();
    };
    report("E-1").await;
    streams.forget_outcomes(&about.tenant).await.unwrap();
    report("E-2").await;

    let newest = outcomes.newest(&about.tenant, 10).await.unwrap();
    let newest: Vec<_> = newest.into_iter().map(|it| it.outcome.event_id).collect();
    assert_eq!(newest, ["E-2"], "what was before is hidden");
    for last in [None, Some(2)] {
        let tail = outcomes.tail(Wanted::default(), None, last);
        let (mut tail, mut followed) = (tail.await.unwrap(), Vec::new());
        while let Some(logged) = tail.next_past().await.unwrap() {
            followed.push(logged.outcome.unwrap().event_id);
        }
        assert_eq!(followed, ["E-1", "E-2"]);
    }
    let stop = CancellationToken::new();
    let mut feed = Feed::start(&nats.context, &nats.names, &about.tenant, 4, stop.clone());
    for id in ["E-1", "E-2"] {
        let taken = feed.next().await.unwrap();
        assert_eq!(taken.outcome.as_ref().unwrap().event_id, id);
        taken.done().await.unwrap();
    }
    let state = Feed::state(&nats.context, &nats.names, &about.tenant);
    let state = state.await.unwrap().unwrap();
    assert_eq!(
        (state.waiting, state.in_work),
        (0, 0),
        "and nothing is left"
    );
    assert_eq!(
        outcomes.count(Some("t")).await.unwrap()[&Outcome::Applied],
        2
    );
    stop.cancel();
    nats.dir.passed();
}
