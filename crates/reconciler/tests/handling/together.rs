//! The dispatcher and the handler together: a task that panics takes nothing else with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lifecycle::DeviceRef;
use reconciler::Dispatcher;

use crate::servers::{Servers, accepted, slow};

fn device(name: &str) -> DeviceRef {
    DeviceRef {
        tenant: "t".parse().unwrap(),
        device: name.parse().unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_its_device_and_its_place_are_free_again() {
    let dispatcher = Dispatcher::new(2);
    let done = Arc::new(AtomicUsize::new(0));
    for poison in [true, false, true, false, false] {
        let done = done.clone();
        dispatcher
            .dispatch(device("d"), poison, move |poison| {
                let done = done.clone();
                async move {
                    assert!(!poison, "as a test");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
            .await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    dispatcher.drain().await;
    assert_eq!(done.load(Ordering::SeqCst), 3);
    assert_eq!(dispatcher.devices(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waited_behind_a_panic_is_dropped_unacknowledged_and_comes_again() {
    let dispatcher = Dispatcher::new(10);
    let (held, gone) = (Arc::new(()), Arc::new(()));
    for task in [held.clone(), gone.clone()] {
        dispatcher
            .dispatch(device("d"), task, |task| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(task);
                panic!("as a test");
            })
            .await;
    }
    dispatcher.drain().await;
    assert_eq!(Arc::strong_count(&gone), 1, "its message is let go");
    assert_eq!(dispatcher.devices(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_total_is_bounded() {
    let dispatcher = Dispatcher::new(2);
    for name in ["a", "b"] {
        dispatcher
            .dispatch(device(name), (), |()| {
                tokio::time::sleep(Duration::from_secs(5))
            })
            .await;
    }
    let began = tokio::time::Instant::now();
    dispatcher.dispatch(device("c"), (), |()| async {}).await;
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    dispatcher.drain().await;
}

#[tokio::test(start_paused = true)]
async fn messages_about_one_device_are_handled_one_after_the_other() {
    let servers = Servers::new();
    let worker = Arc::new(servers.worker());
    let dispatcher = Dispatcher::new(10);
    servers.next("hub create", slow(20));
    for revision in [1, 2, 3] {
        let event = accepted(revision);
        let worker = worker.clone();
        dispatcher
            .dispatch(event.about.clone(), servers.task(&event), move |task| {
                let worker = worker.clone();
                async move {
                    worker.handle(task).await;
                }
            })
            .await;
    }
    dispatcher.drain().await;
    assert_eq!(servers.calls("hub create"), 1);
    assert_eq!(
        servers.counters.lost.load(Ordering::Relaxed),
        0,
        "nobody fought"
    );
    assert_eq!(servers.world().reported.len(), 3);
}
