//! Things that go wrong on order, and what the journal says about them.

use std::time::Duration;

use reqwest::Version;
use serde_json::{Value, json};

use crate::harness::Emulator;

fn body() -> Value {
    json!({"deviceId": "d1"})
}

async fn exists(hub: &Emulator) -> bool {
    hub.control("GET", "/devices/d1", "").await.status == 200
}

#[tokio::test]
async fn a_refusal_before_the_effect_changes_nothing() {
    let hub = Emulator::start(&[]);
    hub.faults(&json!([{"name": "busy", "operation": "create", "status": 503, "error": "ServerBusy", "times": 1}])).await;
    let refused = hub.send("PUT", "/devices/d1", None, Some(&body())).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (503, Some("ServerBusy"))
    );
    assert!(!exists(&hub).await);
    let entry = &hub.journal().await[0];
    assert_eq!(
        (&entry["fault"], &entry["effect_us"], &entry["status"]),
        (&json!("busy"), &json!(null), &json!(503))
    );
    assert_eq!(
        hub.send("PUT", "/devices/d1", None, Some(&body()))
            .await
            .status,
        200
    );
    let counters = hub.control("GET", "/faults", "").await.json();
    assert_eq!(
        (
            &counters["rules"][0]["matched"],
            &counters["rules"][0]["fired"]
        ),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn a_refusal_after_the_effect_hides_it() {
    let hub = Emulator::start(&[]);
    hub.faults(
        &json!([{"path": "/devices/*", "status": 500, "effect": "after", "retry_after": 3}]),
    )
    .await;
    let refused = hub.send("PUT", "/devices/d1", None, Some(&body())).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (500, Some("3"))
    );
    assert!(exists(&hub).await);
    let entry = &hub.journal().await[0];
    assert_eq!(
        (&entry["effective"], &entry["status"]),
        (&json!(true), &json!(500))
    );
}

#[tokio::test]
async fn a_dropped_reply_closes_the_connection_with_the_effect_done() {
    for (only_http1, version) in [(true, Version::HTTP_11), (false, Version::HTTP_2)] {
        let hub = Emulator::start(&[]);
        let builder = hub.client_builder();
        let client = if only_http1 {
            builder.http1_only()
        } else {
            builder
        }
        .build()
        .unwrap();
        let warm = hub
            .request_by(&client, "GET", "/devices/d1")
            .send()
            .await
            .unwrap();
        assert_eq!(warm.version(), version);
        hub.faults(&json!([{"operation": "create", "reply": "drop", "effect": "after"}]))
            .await;
        let sent = hub
            .request_by(&client, "PUT", "/devices/d1")
            .json(&body())
            .send()
            .await;
        let error = sent.expect_err("there must be no answer");
        assert!(!error.is_timeout(), "{error:?}");
        assert!(exists(&hub).await);
        let entry = hub
            .journal_until("d1", |entry| entry["operation"] == "create")
            .await;
        assert_eq!(
            (&entry["effective"], &entry["dropped"], &entry["status"]),
            (&json!(true), &json!(true), &json!(null))
        );
        let after = hub
            .request_by(&client, "GET", "/devices/d1")
            .send()
            .await
            .unwrap();
        assert_eq!(after.status(), 200);
    }
}

#[tokio::test]
async fn a_reply_dropped_before_the_effect_leaves_no_trace_of_it() {
    let hub = Emulator::start(&[]);
    hub.faults(&json!([{"method": "PUT", "reply": "drop"}]))
        .await;
    hub.request("PUT", "/devices/d1")
        .json(&body())
        .send()
        .await
        .expect_err("there must be no answer");
    assert!(!exists(&hub).await);
    assert_eq!(
        hub.journal().await.len(),
        1,
        "the client must not have tried again by itself"
    );
}

#[tokio::test]
async fn a_request_takes_effect_although_its_client_has_gone() {
    for only_http1 in [true, false] {
        let hub = Emulator::start(&[]);
        hub.faults(&json!([{"operation": "create", "delay_ms": 500}]))
            .await;
        let builder = hub.client_builder().timeout(Duration::from_millis(100));
        let client = if only_http1 {
            builder.http1_only()
        } else {
            builder
        }
        .build()
        .unwrap();
        let gone = hub
            .request_by(&client, "PUT", "/devices/d1")
            .json(&body())
            .send()
            .await;
        assert!(gone.expect_err("the client must give up").is_timeout());
        drop(client);
        assert!(
            !exists(&hub).await,
            "the effect must come later than the time-out"
        );
        let entry = hub
            .journal_until("d1", |entry| entry["dropped"] == true)
            .await;
        assert_eq!(
            (&entry["effective"], &entry["status"], &entry["replied_us"]),
            (&json!(true), &json!(null), &json!(null))
        );
        let late = entry["effect_us"].as_u64().unwrap() - entry["arrived_us"].as_u64().unwrap();
        assert!(late >= 500_000, "{late}");
        assert!(exists(&hub).await);
    }
}

#[tokio::test]
async fn a_delay_after_the_effect_holds_back_only_the_reply() {
    let hub = Emulator::start(&[]);
    hub.faults(&json!([{"operation": "create", "delay_after_ms": 400}]))
        .await;
    assert_eq!(
        hub.send("PUT", "/devices/d1", None, Some(&body()))
            .await
            .status,
        200
    );
    let entry = &hub.journal().await[0];
    let time = |name: &str| entry[name].as_u64().unwrap();
    assert!(time("replied_us") - time("effect_us") >= 400_000, "{entry}");
    assert!(time("effect_us") - time("arrived_us") < 400_000, "{entry}");
}

#[tokio::test]
async fn one_request_in_so_many_goes_wrong_whatever_else_goes_on() {
    let hub = Emulator::start(&[]);
    hub.faults(&json!([{"every": 5, "status": 503}])).await;
    let mut statuses = vec![];
    for _ in 0..10 {
        statuses.push(hub.send("GET", "/devices/d1", None, None).await.status);
    }
    assert_eq!(statuses, [404, 404, 404, 404, 503, 404, 404, 404, 404, 503]);
    hub.control("DELETE", "/faults", "").await;
    assert_eq!(
        hub.control("GET", "/faults", "").await.json(),
        json!({"rules": []})
    );
}
