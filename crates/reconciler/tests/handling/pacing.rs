//! Credentials that are refused and hubs that are too busy: who may still ask.

use std::time::Duration;

use lifecycle::{DeviceRef, Event, EventId, Facts, Failure, Fate, IntentId, Mark, Status};
use reconciler::Ended;
use reconciler::ports::Task;

use crate::servers::{Servers, Trouble, accepted, event, failing};

fn unauthorized() -> Failure {
    Failure::Credentials("401".into())
}

fn ours() -> Facts {
    Facts {
        generation: "g".into(),
        etag: "e".into(),
        enabled: true,
        mark: Some(Mark {
            integration: "i".into(),
            intent: IntentId("before".into()),
        }),
        keys: None,
    }
}

fn hub_calls(servers: &Servers) -> usize {
    let journal = servers.journal();
    journal
        .iter()
        .filter(|call| call.starts_with("hub "))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_suspends_the_tenant_without_spending_attempts() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next("hub create", failing(unauthorized(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    assert_eq!(worker.suspensions().len(), 1);
    servers.forget();

    let ended = servers.handle(&worker, &accepted(2)).await;
    assert_eq!(ended, Ended::Acknowledged, "the record owes it");
    assert_eq!(hub_calls(&servers), 0);
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    assert_eq!(record.retry.attempt, 0);
    assert!(
        record.intents.is_empty(),
        "what was deferred was never sent"
    );
    let (due, _) = world.armed.last().expect("armed");
    assert_eq!(due.since(servers.now()), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_refused_while_tagging_suspends_the_tenant_too() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next("tag", failing(unauthorized(), Fate::Done));
    servers.handle(&worker, &event).await;
    assert_eq!(worker.suspensions().len(), 1);
    servers.forget();
    servers.handle(&worker, &accepted(2)).await;
    assert_eq!(hub_calls(&servers) + servers.calls("tag"), 0, "no storm");

    let wake_up = servers.wake_up(&event.about, None).await;
    worker.handle(wake_up).await;
    assert!(worker.suspensions().is_empty(), "resumes by itself");
    assert_eq!((servers.calls("tag"), servers.calls("deliver")), (1, 0));
    assert!(servers.world().dead.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenant_is_probed_and_resumes_by_itself() {
    let servers = Servers::new();
    let worker = servers.worker();
    let event = accepted(1);
    servers.next("hub create", failing(unauthorized(), Fate::Done));
    servers.handle(&worker, &event).await;
    let wake_up = servers.wake_up(&event.about, Some(&event)).await;
    worker.handle(wake_up).await;
    assert!(worker.suspensions().is_empty());
    assert!(servers.world().identity.is_some());
    assert!(servers.world().dead.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_credential_resumes_at_once() {
    let servers = Servers::new();
    let worker = servers.worker();
    servers.next("hub create", failing(unauthorized(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    servers.world().generation += 1;
    servers.handle(&worker, &accepted(2)).await;
    assert!(servers.world().identity.is_some());
}

#[tokio::test(start_paused = true)]
async fn reading_a_key_for_a_delivery_asks_the_gate_too() {
    let servers = Servers::new();
    let worker = servers.worker();
    // A preauthorized device whose identity is known, but not its key.
    servers.world().identity = Some(ours());
    servers
        .handle(&worker, &event(Status::Preauthorized, 1))
        .await;
    let known = servers.world().record.take();
    // Another device learns that the credential is refused.
    servers.next("hub create", failing(unauthorized(), Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    servers.world().record = known;
    servers.forget();

    servers.handle(&worker, &accepted(2)).await;
    assert_eq!(hub_calls(&servers), 0, "{:?}", servers.journal());
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    assert_eq!(
        record.delivery.claim, None,
        "what was deferred is not under way"
    );
    assert_eq!(world.armed.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_busy_hub_is_not_sent_when_it_refuses_others_meanwhile() {
    let servers = Servers::new();
    let worker = servers.worker();
    let busy = |takes, wait| Trouble {
        takes: Duration::from_secs(takes),
        failure: Some((
            Failure::Throttled {
                wait: Some(Duration::from_secs(wait)),
            },
            Fate::Done,
        )),
        ..Trouble::default()
    };
    // One request is answered late, another at once, and a third waits as long as that one says.
    servers.next("hub create", busy(2, 30));
    servers.next("hub create", busy(0, 3));
    let of = |name: &str| Event {
        id: EventId(name.into()),
        about: DeviceRef {
            tenant: "t".parse().unwrap(),
            device: name.parse().unwrap(),
        },
        ..accepted(1)
    };
    // There is one record here: none is there when the next device comes, and when the last may go on.
    let forget = async |after| {
        tokio::time::sleep(Duration::from_millis(after)).await;
        servers.world().record = None;
    };
    let event = of("one");
    let later = |after, name| {
        let (event, forget, servers, worker) = (of(name), &forget, &servers, &worker);
        async move {
            forget(after).await;
            servers.handle(worker, &event).await
        }
    };
    let (_, _, ended, ()) = tokio::join!(
        servers.handle(&worker, &event),
        later(100, "another"),
        later(500, "third"),
        forget(3_050)
    );
    assert_eq!(ended, Ended::Acknowledged, "the record owes it");
    assert_eq!(servers.calls("hub create"), 2, "{:?}", servers.journal());
}

#[tokio::test(start_paused = true)]
async fn a_busy_hub_is_left_alone_as_long_as_it_asked() {
    let servers = Servers::new();
    let worker = servers.worker();
    let busy = Failure::Throttled {
        wait: Some(Duration::from_secs(30)),
    };
    servers.next("hub create", failing(busy, Fate::Done));
    servers.handle(&worker, &accepted(1)).await;
    servers.forget();
    let other = Event {
        id: EventId("other".into()),
        about: DeviceRef {
            tenant: "t".parse().unwrap(),
            device: "other".parse().unwrap(),
        },
        ..accepted(1)
    };
    servers.world().record = None;
    let task: Task<Servers> = servers.task(&other);
    worker.handle(task).await;
    assert_eq!(hub_calls(&servers), 0, "the same hub, another device");
    let (due, _) = servers.world().armed.last().cloned().expect("armed");
    assert!(due.since(servers.now()) >= Duration::from_secs(29));
}
