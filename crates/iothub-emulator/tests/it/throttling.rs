//! Throttling as a client meets it: first slow, then 429.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::harness::Emulator;

#[tokio::test]
async fn beyond_the_burst_answers_come_late_and_then_not_at_all() {
    let hub = Emulator::start(&["--tier", "s1"]);
    let client = hub.client_builder().http1_only().build().unwrap();
    let get = || hub.request_by(&client, "GET", "/devices/d1").send();
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(get().await.unwrap().status(), 404);
    }
    assert_eq!(get().await.unwrap().status(), 404);
    assert!(
        started.elapsed() >= Duration::from_millis(600),
        "the 101st must wait for its turn"
    );

    let mut requests = JoinSet::new();
    for _ in 0..40 {
        requests.spawn(get());
    }
    let refused = loop {
        let response = requests
            .join_next()
            .await
            .expect("one must be refused")
            .unwrap()
            .unwrap();
        if response.status() == 429 {
            break response;
        }
    };
    let header = |name: &str| {
        refused
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        header("iothub-errorcode").as_deref(),
        Some("ThrottlingBacklogTimeout")
    );
    assert_eq!(header("retry-after"), None);
    assert_eq!(header("connection").as_deref(), Some("close"));
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("Wait 10 seconds and try again. Operation type: CRUD")
    );
}

#[tokio::test]
async fn latency_is_added_to_every_request() {
    let hub = Emulator::start(&["--latency-ms", "200"]);
    let started = Instant::now();
    hub.send("GET", "/devices/d1", None, None).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}
