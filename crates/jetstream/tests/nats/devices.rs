//! The device store.

use jetstream::KvDevices;
use lifecycle::{DeviceRef, RECORD_VERSION, Record};
use reconciler::ports::{DeviceStore as _, PortError, Saved};
use serde_json::json;

use crate::installation::{Installation, device};

/// A record as it is stored, with little in it.
fn record(revision: u64) -> Record {
    serde_json::from_value(json!({
        "v": RECORD_VERSION,
        "key": {"incarnation": null, "revision": revision},
        "status": "accepted",
        "integration": {"id": "i", "hub": "h.azure-devices.net", "generation": 1},
        "hub": "unknown",
        "confirmed": false,
    }))
    .unwrap()
}

async fn store(nats: &Installation) -> KvDevices {
    KvDevices::open(&nats.context, &nats.names).await.unwrap()
}

async fn put(store: &KvDevices, about: &DeviceRef, revision: u64) -> u64 {
    match store.create(about, &record(revision)).await.unwrap() {
        Saved::Version(version) => version,
        Saved::Lost => panic!("{about:?} exists"),
    }
}

#[tokio::test]
async fn of_two_writers_with_one_version_the_second_loses() {
    let nats = Installation::new("cas").await;
    let store = store(&nats).await;
    let about = device("", "a.b");
    assert_eq!(store.load(&about).await.unwrap(), None);
    let first = put(&store, &about, 1).await;
    assert_eq!(store.create(&about, &record(2)).await.unwrap(), Saved::Lost);
    let won = store
        .compare_and_set(&about, &record(2), first)
        .await
        .unwrap();
    let lost = store
        .compare_and_set(&about, &record(3), first)
        .await
        .unwrap();
    assert_eq!(lost, Saved::Lost);
    let stored = store.load(&about).await.unwrap().unwrap();
    assert_eq!(
        (Saved::Version(stored.version), stored.record),
        (won, record(2))
    );
    let now = jiff::Timestamp::now().as_microsecond();
    let age = now - stored.written_at.as_micros();
    assert!(
        (-1_000_000..60_000_000).contains(&age),
        "written {age} us ago"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn a_delete_is_a_compare_and_set_and_leaves_nothing_behind() {
    let nats = Installation::new("delete").await;
    let store = store(&nats).await;
    let about = device("t", "a");
    let first = put(&store, &about, 1).await;
    let Saved::Version(second) = store
        .compare_and_set(&about, &record(2), first)
        .await
        .unwrap()
    else {
        panic!("lost");
    };
    assert_eq!(store.delete(&about, first).await.unwrap(), Saved::Lost);
    assert!(store.load(&about).await.unwrap().is_some());
    assert_ne!(store.delete(&about, second).await.unwrap(), Saved::Lost);
    assert_eq!(store.delete(&about, second).await.unwrap(), Saved::Lost);
    assert_eq!(store.load(&about).await.unwrap(), None);
    assert_eq!(store.count(None).await.unwrap(), 0);
    let stale = store
        .compare_and_set(&about, &record(3), second)
        .await
        .unwrap();
    assert_eq!(stale, Saved::Lost);
    put(&store, &about, 4).await;
    nats.dir.passed();
}

#[tokio::test]
async fn a_key_that_another_tool_deleted_is_free() {
    let nats = Installation::new("tombstone").await;
    let store = store(&nats).await;
    let bucket = nats.context.get_key_value("iothub_devices").await.unwrap();
    for (name, purge) in [("deleted", false), ("purged", true)] {
        let about = device("t", name);
        put(&store, &about, 1).await;
        let key = about.to_tokens();
        if purge {
            bucket.purge(&key).await.unwrap();
        } else {
            bucket.delete(&key).await.unwrap();
        }
        assert_eq!(store.load(&about).await.unwrap(), None);
        put(&store, &about, 2).await;
    }
    nats.dir.passed();
}

#[tokio::test]
async fn a_record_of_another_version_is_neither_read_nor_overwritten() {
    let nats = Installation::new("version").await;
    let store = store(&nats).await;
    let bucket = nats.context.get_key_value("iothub_devices").await.unwrap();
    let about = device("t", "new");
    for body in [r#"{"v":200,"else":true}"#, r#"{"v":1}"#, "not JSON"] {
        let key = about.to_tokens();
        bucket.put(&key, body.into()).await.unwrap();
        let loaded = store.load(&about).await;
        assert!(
            matches!(loaded, Err(PortError::NotUnderstood(_))),
            "{loaded:?}"
        );
        assert_eq!(store.create(&about, &record(1)).await.unwrap(), Saved::Lost);
        let page = store.list(None, None, 10).await.unwrap();
        assert!(page.records.is_empty());
        assert_eq!(bucket.get(&key).await.unwrap().unwrap(), body);
    }
    nats.dir.passed();
}

#[tokio::test]
async fn pages_come_in_the_order_of_keys_and_of_one_tenant() {
    let nats = Installation::new("list").await;
    let store = store(&nats).await;
    // Written in another order than that of their keys; one tenant's name begins with the other's.
    for name in ["d4", "d2", "d5", "d1", "d3"] {
        put(&store, &device("ten", name), 1).await;
        put(&store, &device("tenant", name), 1).await;
    }
    put(&store, &device("", "d0"), 1).await;
    let tenant = "ten".parse().unwrap();
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .list(Some(&tenant), after.as_deref(), 2)
            .await
            .unwrap();
        assert!(page.records.len() <= 2);
        names.extend(
            page.records
                .iter()
                .map(|(about, _)| about.device.to_string()),
        );
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["d1", "d2", "d3", "d4", "d5"]);
    assert_eq!(store.list(None, None, 100).await.unwrap().records.len(), 11);
    assert_eq!(store.count(Some(&tenant)).await.unwrap(), 5);
    assert_eq!(store.count(None).await.unwrap(), 11);
    let nobody = "nobody".parse().unwrap();
    assert_eq!(store.count(Some(&nobody)).await.unwrap(), 0);
    assert!(
        store
            .list(Some(&nobody), None, 2)
            .await
            .unwrap()
            .records
            .is_empty()
    );
    nats.dir.passed();
}
