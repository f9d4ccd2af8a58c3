//! Import and export jobs, with a directory for the storage account.

use serde_json::{Value, json};

use crate::harness::Emulator;

const BOX: &str = "https://store.example/box-1?sv=x&sp=rwdl&sig=secret";

fn start() -> (Emulator, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let hub = Emulator::start(&["--blob-dir", dir.path().to_str().unwrap()]);
    (hub, dir)
}

async fn run(hub: &Emulator, body: &Value) -> Value {
    let made = hub.send("POST", "/jobs/create", None, Some(body)).await;
    assert_eq!(
        (made.status, &made.json()["status"]),
        (200, &json!("enqueued")),
        "{}",
        made.text
    );
    let path = format!("/jobs/{}", made.json()["jobId"].as_str().unwrap());
    hub.seen(&path, |job| job["endTimeUtc"].is_string()).await
}

#[tokio::test]
async fn what_is_exported_can_be_imported_into_another_hub() {
    let (hub, _dir) = start();
    hub.control(
        "PUT",
        "/devices/d1",
        r#"{"status":"disabled","tags":{"a":1},"desired":{"b":[1,2]}}"#,
    )
    .await;
    hub.control("PUT", "/devices/d2", "").await;
    let module = json!({"deviceId": "d2", "moduleId": "m1", "managedBy": "me"});
    hub.send("PUT", "/devices/d2/modules/m1", None, Some(&module))
        .await;
    let configuration = json!({"id": "c1", "content": {"deviceContent": {"properties.desired.x": 1}}, "targetCondition": ""});
    hub.send("PUT", "/configurations/c1", None, Some(&configuration))
        .await;
    let done = run(
        &hub,
        &json!({"type": "export", "outputBlobContainerUri": BOX, "includeConfigurations": true}),
    )
    .await;
    assert_eq!(
        (&done["status"], &done["progress"]),
        (&json!("completed"), &json!(100))
    );
    let file = hub
        .control("GET", "/blobs/box-1/devices.txt", "")
        .await
        .text;
    assert_eq!(file.lines().count(), 3, "{file}");
    let configurations = hub
        .control("GET", "/blobs/box-1/configurations.txt", "")
        .await
        .text;

    let (other, _dir) = start();
    other
        .control("PUT", "/blobs/box-1/devices.txt", &file)
        .await;
    other
        .control("PUT", "/blobs/box-1/configurations.txt", &configurations)
        .await;
    let body = json!({"type": "import", "inputBlobContainerUri": BOX, "outputBlobContainerUri": BOX, "includeConfigurations": true});
    assert_eq!(run(&other, &body).await["status"], "completed");
    assert_eq!(
        other
            .control("GET", "/blobs/box-1/importErrors.log", "")
            .await
            .text,
        ""
    );
    for path in ["/devices/d1", "/devices/d2", "/devices/d2/modules/m1"] {
        let (was, is) = (
            hub.send("GET", path, None, None).await.json(),
            other.send("GET", path, None, None).await.json(),
        );
        for field in ["authentication", "status", "managedBy"] {
            assert_eq!(was[field], is[field], "{path} {field}");
        }
    }
    let twin = other.send("GET", "/twins/d1", None, None).await.json();
    assert_eq!(
        (&twin["tags"], &twin["properties"]["desired"]["b"]),
        (&json!({"a": 1}), &json!([1, 2]))
    );
    assert_eq!(
        other
            .send("GET", "/configurations/c1", None, None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn keys_can_be_left_out() {
    let (hub, dir) = start();
    hub.control("PUT", "/devices/d1", "").await;
    run(&hub, &json!({"type": "export", "outputBlobContainerUri": "file:///x/box-1", "excludeKeysInExport": true, "outputBlobName": "out.txt"})).await;
    let file = std::fs::read_to_string(dir.path().join("box-1/out.txt")).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    assert!(
        serde_json::from_str::<Value>(lines[0]).is_err(),
        "the first line must be a warning"
    );
    let device: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(
        device["authentication"]["symmetricKey"]["primaryKey"],
        Value::Null
    );
}

#[tokio::test]
async fn lines_that_fail_are_logged_and_the_job_is_completed() {
    let (hub, _dir) = start();
    let file = "{\"id\":\"new\",\"status\":\"enabled\"}\n{\"id\":\"x\",\"importMode\":\"delete\",\"status\":\"enabled\"}\n{\"id\":\"y\"}\nno json\n";
    hub.control("PUT", "/blobs/box-1/devices.txt", file).await;
    let body =
        json!({"type": "import", "inputBlobContainerUri": BOX, "outputBlobContainerUri": BOX});
    assert_eq!(run(&hub, &body).await["status"], "completed");
    assert_eq!(
        hub.send("GET", "/devices/new", None, None).await.status,
        200
    );
    let log = hub
        .control("GET", "/blobs/box-1/importErrors.log", "")
        .await
        .text;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        r#"{"deviceId":"x","errorCode":404001,"errorStatus":"x"}"#
    );
}

#[tokio::test]
async fn a_missing_blob_fails_and_a_bad_container_is_refused_at_once() {
    let (hub, _dir) = start();
    let body =
        json!({"type": "import", "inputBlobContainerUri": BOX, "outputBlobContainerUri": BOX});
    let failed = run(&hub, &body).await;
    assert!(failed["status"] == "failed" && failed["failureReason"].is_string());
    let bad = json!({"type": "export", "outputBlobContainerUri": "https://x/box-1"});
    let refused = hub.send("POST", "/jobs/create", None, Some(&bad)).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (400, Some("BlobContainerValidationError"))
    );
    let list = hub.send("GET", "/jobs", None, None).await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let id = list[0]["jobId"].as_str().unwrap();
    assert_eq!(
        hub.send("DELETE", &format!("/jobs/{id}"), None, None)
            .await
            .status,
        204
    );
    let unknown = hub.send("GET", "/jobs/none", None, None).await;
    assert_eq!(
        (unknown.status, unknown.header("iothub-errorcode")),
        (404, Some("JobNotFound"))
    );
    let without = Emulator::start(&[]);
    let body = json!({"type": "export", "outputBlobContainerUri": BOX});
    assert_eq!(
        without
            .send("POST", "/jobs/create", None, Some(&body))
            .await
            .status,
        400
    );
}
