//! Queries as an SDK sees them: pages, kinds of rows, and an index that lags.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Emulator, PATIENCE};

async fn fill(hub: &Emulator, count: usize) {
    let item = |n: usize| {
        json!({
            "id": format!("d{n:03}"), "importMode": "create", "status": if n.is_multiple_of(2) { "enabled" } else { "disabled" },
            "tags": {"n": n, "site": format!("s{}", n % 3)},
        })
    };
    let items: Vec<Value> = (0..count).map(item).collect();
    for chunk in items.chunks(100) {
        let made = hub
            .send("POST", "/devices", None, Some(&json!(chunk)))
            .await;
        assert_eq!(made.status, 200, "{}", made.text);
    }
}

async fn page(hub: &Emulator, query: &str, size: &str, token: Option<&str>) -> Answer {
    let mut request = hub
        .request("POST", "/devices/query")
        .json(&json!({ "query": query }));
    if !size.is_empty() {
        request = request.header("x-ms-max-item-count", size);
    }
    if let Some(token) = token {
        request = request.header("x-ms-continuation", token);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// All rows of a query, with the number of its pages.
async fn all(hub: &Emulator, query: &str, size: &str) -> (Vec<Value>, usize) {
    let (mut rows, mut pages, mut token) = (vec![], 0, None::<String>);
    loop {
        let answer = page(hub, query, size, token.as_deref()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        rows.extend(answer.json().as_array().unwrap().clone());
        pages += 1;
        token = answer.header("x-ms-continuation").map(str::to_owned);
        if token.is_none() {
            return (rows, pages);
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_or_repeats() {
    let hub = Emulator::start(&[]);
    fill(&hub, 250).await;
    let (rows, pages) = all(&hub, "SELECT deviceId FROM devices", "30").await;
    assert_eq!((rows.len(), pages), (250, 9));
    let ids: Vec<&str> = rows
        .iter()
        .map(|it| it["deviceId"].as_str().unwrap())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(all(&hub, "SELECT * FROM devices", "").await.1, 3);
    assert_eq!(
        all(&hub, "SELECT * FROM devices", "9999").await,
        all(&hub, "SELECT * FROM devices", "250").await
    );
    let (rows, pages) = all(
        &hub,
        "SELECT TOP 45 * FROM devices WHERE tags.n >= 10",
        "20",
    )
    .await;
    assert_eq!(
        (rows.len(), pages, &rows[0]["deviceId"]),
        (45, 3, &json!("d010"))
    );
}

#[tokio::test]
async fn a_token_stays_good_while_devices_come_and_go() {
    let hub = Emulator::start(&[]);
    fill(&hub, 4).await;
    let query = "SELECT deviceId FROM devices";
    let first = page(&hub, query, "2", None).await;
    let token = first.header("x-ms-continuation").unwrap();
    hub.send("DELETE", "/devices/d001", Some("*"), None).await;
    let second = page(&hub, query, "2", Some(token)).await;
    assert_eq!(
        second.json(),
        json!([{"deviceId": "d002"}, {"deviceId": "d003"}])
    );
    assert_eq!(second.header("x-ms-continuation"), None);
    for (query, token) in [("SELECT * FROM devices", token), (query, "nonsense")] {
        assert_eq!(page(&hub, query, "2", Some(token)).await.status, 400);
    }
}

#[tokio::test]
async fn the_kind_of_rows_is_in_a_header() {
    let hub = Emulator::start(&[]);
    fill(&hub, 3).await;
    let kind = async |query: &str| {
        let answer = page(&hub, query, "", None).await;
        answer.header("x-ms-item-type").map(str::to_owned)
    };
    assert_eq!(kind("SELECT * FROM devices").await.as_deref(), Some("Twin"));
    assert_eq!(
        kind("SELECT deviceId FROM devices").await.as_deref(),
        Some("Raw")
    );
    assert_eq!(
        kind("SELECT * FROM devices.jobs").await.as_deref(),
        Some("DeviceJob")
    );
    let query = "SELECT status, COUNT() AS n FROM devices GROUP BY status";
    let (rows, pages) = all(&hub, query, "1").await;
    assert_eq!(
        (rows, pages),
        (
            vec![
                json!({"status": "disabled", "n": 1}),
                json!({"status": "enabled", "n": 2})
            ],
            2
        )
    );
}

#[tokio::test]
async fn modules_are_rows_of_their_own() {
    let hub = Emulator::start(&[]);
    for device in ["a", "b"] {
        hub.control("PUT", &format!("/devices/{device}"), "").await;
        for module in ["m1", "m2", "m3"] {
            let path = format!("/devices/{device}/modules/{module}");
            let body = json!({"deviceId": device, "moduleId": module});
            assert_eq!(hub.send("PUT", &path, None, Some(&body)).await.status, 200);
        }
    }
    let query = "SELECT deviceId, moduleId FROM devices.modules WHERE moduleId != 'm2'";
    let (rows, pages) = all(&hub, query, "1").await;
    assert_eq!((rows.len(), pages), (4, 4));
    assert_eq!(rows[1], json!({"deviceId": "a", "moduleId": "m3"}));
    let (twins, _) = all(&hub, "SELECT * FROM devices.modules", "").await;
    assert_eq!(
        (&twins[0]["moduleId"], &twins[0]["capabilities"]),
        (&json!("m1"), &json!({"iotEdge": false}))
    );
}

#[tokio::test]
async fn what_is_no_query_gets_400_without_a_reason() {
    let hub = Emulator::start(&[]);
    let refused = page(&hub, "SELECT * FROM devices ORDER BY deviceId", "", None).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (400, Some("ArgumentInvalid"))
    );
    assert_eq!(
        refused.json()["Message"],
        "ErrorCode:ArgumentInvalid;BadRequest"
    );
    for size in ["0", "-1", "many"] {
        assert_eq!(
            page(&hub, "SELECT * FROM devices", size, None).await.status,
            400,
            "{size}"
        );
    }
    let wrong = hub
        .send("POST", "/devices/query", None, Some(&json!({"sql": "x"})))
        .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        hub.send(
            "PUT",
            "/devices/query",
            None,
            Some(&json!({"deviceId": "query"}))
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn with_a_lag_new_devices_come_late_and_deleted_ones_linger() {
    let hub = Emulator::start(&["--query-lag-ms", "1500"]);
    fill(&hub, 2).await;
    let count = async || all(&hub, "SELECT COUNT() AS n FROM devices", "").await.0[0]["n"].clone();
    assert_eq!(count().await, 0);
    let until = async |wanted: u64| {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while count().await != wanted {
            pace.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, until(2))
        .await
        .expect("new devices never showed");
    hub.send("DELETE", "/devices/d000", Some("*"), None).await;
    assert_eq!(count().await, 2, "a ghost must linger");
    assert_eq!(
        hub.send("GET", "/devices/d000", None, None).await.status,
        404
    );
    tokio::time::timeout(PATIENCE, until(1))
        .await
        .expect("the ghost never went");
}

#[tokio::test]
async fn open_points_of_queries_can_be_turned() {
    let hub = Emulator::start(&[
        "--query-functions",
        "documented",
        "--query-keys",
        "any-case",
        "--query-page-default",
        "2",
        "--query-page-max",
        "3",
    ]);
    fill(&hub, 7).await;
    assert_eq!(
        all(&hub, "SELECT * FROM devices WHERE tags.SITE = 's0'", "").await,
        all(&hub, "SELECT * FROM devices WHERE tags.site = 's0'", "2").await
    );
    assert_eq!(all(&hub, "SELECT * FROM devices", "").await.1, 4);
    assert_eq!(all(&hub, "SELECT * FROM devices", "100").await.1, 3);
    assert_eq!(
        page(
            &hub,
            "SELECT * FROM devices WHERE STARTS_WITH(deviceId, 'd')",
            "",
            None
        )
        .await
        .status,
        400
    );
}
