//! What must be stored before what, and what must be durable before a message is acknowledged.

use std::time::Duration;

use lifecycle::{Event, Failure, Fate, Outcome};
use reconciler::Ended;
use reconciler::ports::{DeadClass, Payload};

use crate::servers::{Servers, accepted, away, bytes_of, failing, rejected};

fn refused() -> Failure {
    Failure::Permanent("400".into())
}

fn down() -> Failure {
    Failure::Transient("down".into())
}

#[tokio::test(start_paused = true)]
async fn every_request_follows_the_record_that_announces_it() {
    let servers = Servers::new();
    let ended = servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(ended, Ended::Acknowledged);
    let order = [
        "load",
        "save",
        "hub create",
        "save",
        "deliver",
        "save",
        "tag",
        "save",
        "report",
        "ack",
    ];
    assert_eq!(servers.journal(), order);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_stored_sends_nothing_and_acknowledges_nothing() {
    let servers = Servers::new();
    for _ in 0..5 {
        servers.next("save", away());
    }
    let ended = servers.handle(&servers.worker(), &accepted(1)).await;
    let journal = servers.journal();
    let sent = journal.iter().position(|call| call == "hub create");
    let before = &journal[..sent.expect("sent in the end")];
    assert_eq!(before.iter().filter(|call| *call == "save").count(), 6);
    assert_eq!(ended, Ended::Acknowledged);
    assert_eq!(servers.calls("hub create"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_leaves_the_message_for_a_redelivery() {
    let servers = Servers::new();
    for _ in 0..1000 {
        servers.next("load", away());
    }
    let ended = servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(ended, Ended::Left);
    assert_eq!(servers.calls("ack"), 0);
    assert_eq!(servers.world().retried.len(), 1);
    assert!(servers.calls("load") < 100, "it is not asked in a hot loop");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_understood_is_left_alone_and_its_message_offered_again() {
    let servers = Servers::new();
    servers.world().not_understood = true;
    let ended = servers.handle(&servers.worker(), &accepted(1)).await;
    assert_eq!(ended, Ended::Left);
    assert_eq!(servers.journal(), ["load", "retry"]);
    assert_eq!(servers.world().retried, [Duration::from_secs(60)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_before_its_outcome_is_published() {
    let servers = Servers::new();
    for _ in 0..3 {
        servers.next("report", away());
    }
    servers.handle(&servers.worker(), &accepted(1)).await;
    let journal = servers.journal();
    assert_eq!(servers.calls("report"), 4);
    assert_eq!(journal.last().map(String::as_str), Some("ack"));
    assert_eq!(
        servers.calls("hub create"),
        1,
        "the work itself is not repeated"
    );
    assert_eq!(servers.calls("deliver"), 1);
    let world = servers.world();
    let stored = world.record.as_ref().expect("stored");
    assert_eq!(
        stored.record.done.as_ref().map(|done| done.outcome),
        Some(Outcome::Applied)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_before_its_wake_up_is_armed_and_the_record_owes_it() {
    let servers = Servers::new();
    servers.next("hub create", failing(down(), Fate::Done));
    servers.next("arm", away());
    servers.handle(&servers.worker(), &accepted(1)).await;
    let journal = servers.journal();
    assert_eq!(&journal[journal.len() - 2..], ["arm", "ack"]);
    assert_eq!(servers.calls("arm"), 2);
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    assert!(record.working.as_ref().is_some_and(|working| working.owed));
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_says_so_and_its_redelivery_does_no_work() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next("ack", away());
    assert_eq!(servers.handle(&worker, &accepted(1)).await, Ended::Left);
    servers.forget();
    assert_eq!(
        servers.handle(&worker, &accepted(1)).await,
        Ended::Acknowledged
    );
    // The save only makes sure that the loaded record was not an old copy.
    assert_eq!(servers.journal(), ["load", "save", "report", "ack"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_holds_the_original_bytes() {
    let servers = Servers::new();
    servers.next("hub create", failing(refused(), Fate::Done));
    servers.next("dead letter", away());
    servers.handle(&servers.worker(), &accepted(1)).await;
    let world = servers.world();
    let [letter] = &world.dead[..] else {
        panic!("one dead letter: {:?}", world.dead);
    };
    assert_eq!(letter.payload, bytes_of(&accepted(1)));
    assert_eq!(letter.class, DeadClass::Permanent);
    assert_eq!(letter.reason, "refused: 400");
    assert_eq!(world.reported[0].outcome, Outcome::Dead);
    assert_eq!(world.journal.last().map(String::as_str), Some("ack"));
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_carries_the_original_bytes_on_to_the_dead_letter() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next("hub create", failing(down(), Fate::Done));
    servers.handle(&worker, &event).await;
    assert_eq!(servers.world().armed[0].1, Some(bytes_of(&event)));

    servers.next("hub read", failing(down(), Fate::Done));
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert_eq!(
        servers.world().armed[1].1,
        Some(bytes_of(&event)),
        "and on to the next"
    );

    servers.next("hub read", failing(refused(), Fate::Done));
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert_eq!(servers.world().dead[0].payload, bytes_of(&event));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_failed_is_made_later_with_a_key_that_the_hub_is_asked_for_again() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next("deliver", failing(down(), Fate::Done));
    servers.handle(&worker, &event).await;
    assert_eq!(
        (servers.calls("hub create"), servers.calls("deliver")),
        (1, 1)
    );
    assert_eq!(servers.world().reported, [], "created, undelivered");

    servers.forget();
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    let made = servers.journal();
    let asked: Vec<_> = made
        .iter()
        .filter(|call| call.starts_with("hub") || *call == "deliver")
        .collect();
    assert_eq!(asked, ["hub read", "deliver"]);
    assert_eq!(servers.world().reported[0].outcome, Outcome::Applied);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_carries_another_event_does_not_lend_its_bytes() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next("hub create", failing(down(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    servers.next("hub create", failing(down(), Fate::Done));
    servers.handle(&worker, &accepted(2)).await;
    // The sweep, say, wakes the device with the bytes of the first event.
    servers.next("hub read", failing(refused(), Fate::Done));
    let wake_up = servers
        .wake_up(&accepted(1).about, Some(&accepted(1)))
        .await;
    worker.handle(wake_up).await;
    let world = servers.world();
    assert_eq!(world.dead[0].id, accepted(2).id);
    let anew = Payload {
        body: b"made anew of accepted-2".to_vec(),
        ..Payload::default()
    };
    assert_eq!(world.dead[0].payload, anew);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_an_earlier_life_are_not_those_of_a_later_one() {
    let servers = Servers::new();
    let worker = servers.worker();
    let replayed = Event {
        replay: 7,
        ..accepted(1)
    };
    servers.next("hub create", failing(down(), Fate::Done));
    servers.handle(&worker, &replayed).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    // The first life's message comes once more and finds the later life being worked for.
    servers.next("hub read", failing(refused(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    let world = servers.world();
    assert_ne!(world.dead[0].payload, bytes_of(&accepted(1)));
    assert_eq!(world.dead[0].payload.body, b"made anew of accepted-1");
}

#[tokio::test(start_paused = true)]
async fn an_owed_event_is_reported_when_a_newer_one_supersedes_it() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next("hub create", failing(down(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    servers.handle(&worker, &rejected(2)).await;
    let world = servers.world();
    let ended: Vec<_> = world
        .reported
        .iter()
        .map(|done| (done.event.id.0.as_str(), done.outcome))
        .collect();
    assert_eq!(
        ended,
        [
            ("accepted-1", Outcome::Superseded),
            ("rejected-2", Outcome::Unchanged)
        ]
    );
}
