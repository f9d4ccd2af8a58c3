//! State that survives the process, whatever ends it.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Answer, Emulator};

fn start(dir: &Path) -> Emulator {
    Emulator::start(&["--state", dir.to_str().unwrap()])
}

async fn put(hub: &Emulator, path: &str, body: &Value) -> Answer {
    let answer = hub.send("PUT", path, None, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

#[tokio::test]
async fn everything_is_there_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let hub = start(dir.path());
    let edge = json!({"deviceId": "edge", "capabilities": {"iotEdge": true}, "status": "disabled", "statusReason": "why"});
    put(&hub, "/devices/edge", &edge).await;
    put(&hub, "/devices/d1", &json!({"deviceId": "d1"})).await;
    put(
        &hub,
        "/devices/d1/modules/m1",
        &json!({"deviceId": "d1", "moduleId": "m1"}),
    )
    .await;
    put(&hub, "/devices/gone", &json!({"deviceId": "gone"})).await;
    hub.send("DELETE", "/devices/gone", Some("*"), None).await;
    let twin = json!({"tags": {"a": 1.50, "b": {"c": "ü"}}, "properties": {"desired": {"x": {"y": [1, {"z": 2}]}}}});
    hub.send("PATCH", "/twins/d1", None, Some(&twin)).await;
    hub.control(
        "PUT",
        "/devices/d1/behaviour",
        r#"{"methods":{"*":"echo"}}"#,
    )
    .await;
    hub.control("PUT", "/devices/d1/reported", r#"{"t":21}"#)
        .await;
    let configuration = json!({"id": "c1", "content": {"deviceContent": {"properties.desired.c": 1}}, "targetCondition": "deviceId = 'none'"});
    put(&hub, "/configurations/c1", &configuration).await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let job = json!({"type": "scheduleUpdateTwin", "queryCondition": "*", "startTime": soon.to_string(), "updateTwin": {"etag": "*"}});
    put(&hub, "/jobs/v2/later", &job).await;

    let paths = [
        "/devices",
        "/devices/d1/modules",
        "/devices/edge",
        "/twins/d1",
        "/twins/d1/modules/m1",
    ];
    let look = async |hub: &Emulator| {
        let mut seen = vec![];
        for path in paths {
            seen.push(hub.send("GET", path, None, None).await.text);
        }
        let control = hub.control("GET", "/devices?keys=true", "").await.text;
        seen.push(control);
        seen
    };
    let before = look(&hub).await;
    let key = hub.ready["connection_string"]
        .as_str()
        .unwrap()
        .rsplit_once(';')
        .unwrap()
        .1
        .to_owned();
    drop(hub);

    let hub = start(dir.path());
    assert_eq!(look(&hub).await, before);
    assert!(
        hub.ready["connection_string"]
            .as_str()
            .unwrap()
            .ends_with(&key),
        "the key must stay"
    );
    assert_eq!(
        hub.send("GET", "/configurations/c1", None, None)
            .await
            .json()["etag"],
        "MQ=="
    );
    let waits = hub.send("GET", "/jobs/v2/later", None, None).await.json();
    assert!(
        waits["status"] == "scheduled" || waits["status"] == "queued",
        "{waits}"
    );
    let called = hub
        .send(
            "POST",
            "/twins/d1/methods",
            None,
            Some(&json!({"methodName": "m", "payload": 7})),
        )
        .await;
    assert_eq!(called.json()["payload"], 7);
    let made = put(&hub, "/devices/new", &json!({"deviceId": "new"}))
        .await
        .json();
    let first: Value = serde_json::from_str(&before[2]).unwrap();
    assert!(made["generationId"].as_str() > first["generationId"].as_str());
}

#[tokio::test]
async fn a_bulk_call_is_on_the_disk_when_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let hub = start(dir.path());
    let item = |n: usize| json!({"id": format!("d{n}"), "importMode": "create"});
    for from in (0..1_000).step_by(100) {
        let items: Vec<Value> = (from..from + 100).map(item).collect();
        assert_eq!(
            hub.send("POST", "/devices", None, Some(&json!(items)))
                .await
                .status,
            200
        );
    }
    drop(hub);
    let hub = start(dir.path());
    let count = hub
        .send("GET", "/statistics/devices", None, None)
        .await
        .json();
    assert_eq!(count["totalDeviceCount"], 1_000);
}

#[test]
fn a_state_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _hub = start(dir.path());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_iothub-emulator"))
        .args([
            "--tls-dir",
            dir.path().join("tls").to_str().unwrap(),
            "--state",
            dir.path().to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to open"));
}
