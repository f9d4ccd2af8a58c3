//! Slow servers: progress is reported, and what would be sent too late is not sent.

use std::time::Duration;

use lifecycle::{Failure, Fate};
use reconciler::Ended;

use crate::servers::{LEASE, Servers, Trouble, accepted, failing, slow};

#[tokio::test(start_paused = true)]
async fn progress_is_reported_while_a_server_is_slow() {
    let servers = Servers::new();
    servers.next("hub create", slow(35));
    servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(servers.calls("progress"), 3);
}

#[tokio::test(start_paused = true)]
async fn work_does_not_wait_for_a_progress_report_that_hangs() {
    let servers = Servers::new();
    servers.next("hub create", slow(15));
    servers.next("progress", slow(1_000_000));
    let began = tokio::time::Instant::now();
    servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_sent_when_storing_its_intent_took_half_its_lease() {
    let servers = Servers::new();
    servers.next("save", slow(LEASE.as_secs() / 2 + 1));
    let ended = servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(ended, Ended::Acknowledged);
    assert_eq!(servers.calls("hub create"), 0);
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    let error = record.retry.last_error.as_deref();
    assert_eq!(error, Some("unavailable: too late to send safely"));
    assert!(record.intents.is_empty(), "nothing to wait for");
    assert_eq!(world.armed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_not_begun_when_storing_its_claim_took_half_its_lease() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next(
        "deliver",
        failing(Failure::Transient("down".into()), Fate::Done),
    );
    servers.handle(&worker, &event).await;
    servers.forget();
    servers.next("save", slow(31));
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert_eq!(servers.calls("deliver"), 0);
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert_eq!(servers.calls("deliver"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_back_and_not_repeated() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next(
        "hub create",
        Trouble {
            after: Some("cut off"),
            ..Trouble::default()
        },
    );
    servers.handle(&worker, &event).await;
    assert_eq!(servers.calls("deliver"), 0, "nothing is known yet");
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert_eq!(servers.calls("hub create"), 1);
    assert_eq!(servers.calls("deliver"), 1);
    assert_eq!(servers.world().reported.len(), 1);
}
