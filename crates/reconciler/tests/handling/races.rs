//! Several workers on one device, and a store that does not say whether it stored.

use std::time::Duration;

use lifecycle::{Failure, Fate};
use reconciler::Ended;

use crate::servers::{LEASE, Servers, Trouble, accepted, failing, rejected};

fn raced() -> Trouble {
    Trouble {
        raced: true,
        ..Trouble::default()
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_compare_and_set_loads_again_and_sends_nothing_of_the_lost_plan() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.handle(&worker, &accepted(1)).await;
    servers.forget();
    servers.next("save", raced());
    servers.handle(&worker, &rejected(2)).await;
    assert_eq!(
        servers.journal()[..6],
        ["load", "hub read", "save", "load", "hub read", "save"]
    );
    assert_eq!(servers.calls("hub update"), 1);
    assert_eq!(
        servers
            .counters
            .lost
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_compare_and_set_that_is_lost_again_and_again_does_not_spin_and_ends() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.handle(&worker, &accepted(1)).await;
    servers.forget();
    for _ in 0..100_000 {
        servers.next("save", raced());
    }
    assert_eq!(servers.handle(&worker, &rejected(2)).await, Ended::Left);
    assert!(
        servers.calls("save") < 100,
        "{} saves",
        servers.calls("save")
    );
    assert_eq!(servers.calls("hub update"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_intent_was_stored_without_our_knowing_is_taken_back() {
    let servers = Servers::new();
    servers.next(
        "save",
        Trouble {
            after: Some("reply lost"),
            ..Trouble::default()
        },
    );
    let began = tokio::time::Instant::now();
    servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(servers.calls("hub create"), 1);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "no lease to wait for"
    );
    assert!(servers.world().armed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_save_was_lost_is_not_made_again() {
    let servers = Servers::new();
    // The intent and the claim are stored; what became of the delivery is lost three times.
    servers.next("save", Trouble::default());
    servers.next("save", Trouble::default());
    for _ in 0..3 {
        servers.next("save", raced());
    }
    servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(servers.calls("deliver"), 1);
    assert!(servers.world().armed.is_empty(), "nothing to wait for");
    assert_eq!(servers.world().reported.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_save_was_lost_is_not_waited_for() {
    let servers = Servers::new();
    servers.next("save", Trouble::default());
    servers.next("save", raced());
    servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(servers.calls("hub create"), 1);
    assert!(servers.world().armed.is_empty(), "nothing to wait for");
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    assert!(record.is_settled(), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_sent_is_not_taken_back_when_a_later_save_fails() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next(
        "hub create",
        failing(Failure::Transient("cut off".into()), Fate::Unknown),
    );
    servers.next("save", Trouble::default());
    servers.next("save", crate::servers::away());
    servers.handle(&worker, &accepted(1)).await;
    let open = |servers: &Servers| {
        servers
            .world()
            .record
            .as_ref()
            .unwrap()
            .record
            .intents
            .len()
    };
    assert_eq!(open(&servers), 1, "it may still take effect");
    servers.forget();
    servers.handle(&worker, &rejected(2)).await;
    assert_eq!(open(&servers), 1);
    let (due, _) = servers
        .world()
        .armed
        .last()
        .cloned()
        .expect("waits for the lease");
    assert!(due.since(servers.now()) > LEASE / 2);
}

#[tokio::test(start_paused = true)]
async fn two_workers_on_one_event_make_one_identity_and_deliver_once() {
    let servers = Servers::new();
    let (one, two) = (servers.worker(), servers.worker());
    for call in ["load", "save", "hub create", "deliver"] {
        servers.next(call, crate::servers::slow(1));
    }
    let event = accepted(1);
    let (first, second) = tokio::join!(servers.handle(&one, &event), servers.handle(&two, &event));
    assert_eq!((first, second), (Ended::Acknowledged, Ended::Acknowledged));
    assert_eq!(servers.calls("deliver"), 1);
    let world = servers.world();
    assert!(world.reported.iter().all(|done| done.event.id == event.id));
}

#[tokio::test(start_paused = true)]
async fn a_change_planned_with_an_integration_that_was_replaced_meanwhile_is_not_sent() {
    let servers = Servers::new();
    let worker = servers.worker();
    let slow_save = Trouble {
        takes: Duration::from_secs(4),
        ..Trouble::default()
    };
    servers.next("save", slow_save);
    let (replaced, event) = (servers.clone(), accepted(1));
    let (ended, ()) = tokio::join!(servers.handle(&worker, &event), async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        replaced.world().generation += 1;
    });
    assert_eq!(ended, Ended::Acknowledged);
    let journal = servers.journal();
    assert_eq!(
        journal[..4],
        ["load", "save", "load", "save"],
        "{journal:?}"
    );
    assert_eq!(servers.calls("hub create"), 1);
}
