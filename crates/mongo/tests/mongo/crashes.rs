//! What is left when the server dies, and how its absence looks.

use std::time::{Duration, Instant};

use black_box::{MongoServer, TestDir, until};
use lifecycle::DeviceRef;
use mongo::{Mongo, MongoDevices, Options};
use reconciler::conformance::record;
use reconciler::ports::{DeviceStore as _, PortError, Saved};

const SOON: Duration = Duration::from_secs(60);

fn device(number: u64) -> DeviceRef {
    DeviceRef {
        tenant: "t".parse().unwrap(),
        device: format!("d{number}").parse().unwrap(),
    }
}

/// A server that may be killed, with a store in it; `None` where there is none or it is not ours.
pub(crate) async fn alone(test: &str) -> Option<(TestDir, MongoServer, Mongo, MongoDevices)> {
    let dir = TestDir::new("mongo-crash").unwrap();
    let server = MongoServer::start_or_skip(dir.path(), test).await.unwrap();
    let Some(mut server) = server else {
        dir.passed();
        return None;
    };
    if server.process().is_none() {
        black_box::skips::skip(test, "the MongoDB server is somebody else's to kill");
        dir.passed();
        return None;
    }
    let options = Options::new(server.uri(), "iothub").unwrap();
    let mongo = Mongo::connect(&options).await.unwrap();
    mongo.setup(false).await.unwrap();
    let store = MongoDevices::open(&mongo).await.unwrap();
    Some((dir, server, mongo, store))
}

#[tokio::test]
async fn what_was_confirmed_outlives_the_server() {
    let test = "what_was_confirmed_outlives_the_server";
    let Some((dir, mut server, mongo, store)) = alone(test).await else {
        return;
    };
    let mut confirmed = Vec::new();
    for number in 0..200 {
        match store
            .create(&device(number), &record(number))
            .await
            .unwrap()
        {
            Saved::Version(version) => confirmed.push((number, version)),
            Saved::Lost => panic!("lost to nobody"),
        }
    }
    server.process().unwrap().kill9().unwrap();
    server.restart().await.unwrap();
    for (number, version) in confirmed {
        let about = device(number);
        let load = async || match store.load(&about).await {
            Ok(stored) => Ok(Some(stored)),
            Err(error) => Err(error.into()),
        };
        let stored = until(SOON, "an answer", load).await.unwrap();
        let stored = stored.unwrap_or_else(|| panic!("record {number} is lost"));
        assert_eq!((stored.record, stored.version), (record(number), version));
    }
    mongo.close().await;
    dir.passed();
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_unavailable_within_seconds() {
    let test = "a_server_that_is_away_or_silent_is_unavailable_within_seconds";
    let Some((dir, mut server, mongo, store)) = alone(test).await else {
        return;
    };
    store.create(&device(1), &record(1)).await.unwrap();
    let stored = store.load(&device(1)).await.unwrap().unwrap();
    let absent = async |store: &MongoDevices| {
        let began = Instant::now();
        let about = device(1);
        let changed = store
            .compare_and_set(&about, &record(2), stored.version)
            .await;
        let loaded = store.load(&about).await;
        assert!(
            matches!(changed, Err(PortError::Unavailable(_))),
            "{changed:?}"
        );
        assert!(
            matches!(loaded, Err(PortError::Unavailable(_))),
            "{loaded:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(25), "{began:?}");
    };
    // Silent: connections stay open and nothing comes back.
    server.process().unwrap().freeze().unwrap();
    absent(&store).await;
    server.process().unwrap().thaw().unwrap();
    server.process().unwrap().kill9().unwrap();
    absent(&store).await;
    server.restart().await.unwrap();
    // Whether the write that got no answer was done is for the next read to tell.
    let load = async || Ok(store.load(&device(1)).await?);
    let stored = until(SOON, "an answer", load).await.unwrap();
    assert!([record(1), record(2)].contains(&stored.record));
    let saved = store
        .compare_and_set(&device(1), &record(3), stored.version)
        .await;
    assert_ne!(saved.unwrap(), Saved::Lost);
    mongo.close().await;
    dir.passed();
}
