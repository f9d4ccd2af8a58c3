//! A new key, on request: what is called in which order, and that a crash resumes it.

use lifecycle::{EventId, Wish};

use crate::servers::{Servers, Trouble, Worker, accepted};

/// A worker whose device has its connection string, and a wish for a new key.
async fn wished(servers: &Servers) -> Worker {
    let worker = servers.worker();
    let event = accepted(1);
    servers.handle(&worker, &event).await;
    let mut world = servers.world();
    let stored = world.record.as_mut().expect("stored");
    let look = EventId("resync-1".into());
    assert!(stored.record.grant(Wish::NewKey, &event.about, look));
    stored.version += 1;
    let now = servers.now();
    world.armed.push((now, None));
    drop(world);
    servers.forget();
    worker
}

/// The calls that change something.
fn changes(servers: &Servers) -> Vec<String> {
    let journal = servers.journal().into_iter();
    journal
        .filter(|call| ["hub renew", "hub swap", "deliver"].contains(&call.as_str()))
        .collect()
}

fn assert_rotated(servers: &Servers) {
    let world = servers.world();
    let record = &world.record.as_ref().expect("stored").record;
    let keys = world.identity.clone().and_then(|facts| facts.keys);
    let keys = keys.expect("keys");
    assert_eq!(record.rotation, None);
    assert!(record.is_settled(), "{record:?}");
    assert_eq!(record.delivery.fingerprint.as_ref(), Some(&keys.primary));
    assert_eq!(keys.secondary, "k1", "the old key still works");
}

#[tokio::test(start_paused = true)]
async fn the_new_key_is_delivered_before_it_takes_the_old_ones_place() {
    let servers = Servers::new();
    let worker = wished(&servers).await;
    let wake_up = servers.wake_up(&accepted(1).about, None).await;
    worker.handle(wake_up).await;
    assert_eq!(changes(&servers), ["hub renew", "deliver", "hub swap"]);
    assert_rotated(&servers);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_replies_are_lost_goes_on_where_it_was() {
    for call in ["hub renew", "hub swap"] {
        let servers = Servers::new();
        let worker = wished(&servers).await;
        let cut = Trouble {
            after: Some("cut off"),
            ..Trouble::default()
        };
        servers.next(call, cut);
        for _ in 0..3 {
            let wake_up = servers.wake_up(&accepted(1).about, None).await;
            worker.handle(wake_up).await;
        }
        let delivered = changes(&servers)
            .iter()
            .filter(|it| *it == "deliver")
            .count();
        assert_eq!(delivered, 1, "{call}");
        assert_rotated(&servers);
    }
}
