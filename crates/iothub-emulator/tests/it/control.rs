//! The control port.

use serde_json::{Value, json};

use crate::harness::{Emulator, token};

#[tokio::test]
async fn a_device_made_by_hand_looks_like_any_other_to_the_service() {
    let hub = Emulator::start(&[]);
    let fields = json!({"status": "disabled", "statusReason": "by hand", "tags": {"site": 7}, "desired": {"a": 1}});
    assert_eq!(
        hub.control("PUT", "/devices/foreign", &fields.to_string())
            .await
            .status,
        200
    );
    let read = hub.send("GET", "/devices/foreign", None, None).await;
    assert_eq!(
        (&read.json()["status"], &read.json()["statusReason"]),
        (&json!("disabled"), &json!("by hand"))
    );
    let twin = hub.send("GET", "/twins/foreign", None, None).await.json();
    assert_eq!(
        (&twin["tags"], &twin["properties"]["desired"]["a"]),
        (&json!({"site": 7}), &json!(1))
    );
    let entry = &hub.journal().await[0];
    assert_eq!(
        (
            &entry["operation"],
            &entry["effective"],
            &entry["etag_before"]
        ),
        (&json!("hand-edit"), &json!(true), &json!(null))
    );
    assert_eq!(
        hub.control("DELETE", "/devices/foreign", "").await.status,
        204
    );
    assert_eq!(
        hub.control("DELETE", "/devices/foreign", "").await.status,
        404
    );
    assert_eq!(
        hub.send("GET", "/devices/foreign", None, None).await.status,
        404
    );
}

#[tokio::test]
async fn keys_are_shown_only_when_asked_for() {
    let hub = Emulator::start(&[]);
    let made = hub
        .send("PUT", "/devices/d1", None, Some(&json!({"deviceId": "d1"})))
        .await
        .json();
    let key = made["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    for path in ["/devices", "/devices/d1"] {
        let hidden = hub.control("GET", path, "").await.text;
        assert!(
            !hidden.contains(key) && hidden.contains("fingerprint"),
            "{hidden}"
        );
        let shown = hub
            .control("GET", &format!("{path}?keys=true"), "")
            .await
            .text;
        assert!(shown.contains(key), "{shown}");
    }
    let journal = hub.control("GET", "/journal", "").await.text;
    assert!(
        !journal.contains(key) && !journal.contains("SharedAccessSignature"),
        "{journal}"
    );
}

#[tokio::test]
async fn all_devices_are_listed_however_many_there_are() {
    let hub = Emulator::start(&[]);
    assert_eq!(hub.control("GET", "/devices", "").await.json(), json!([]));
    for number in 0..1_000 {
        hub.control("PUT", &format!("/devices/d{number:04}"), "")
            .await;
    }
    let devices = hub.control("GET", "/devices", "").await.json();
    let ids: Vec<&Value> = devices
        .as_array()
        .unwrap()
        .iter()
        .map(|device| &device["deviceId"])
        .collect();
    assert_eq!(ids.len(), 1_000);
    assert!(
        ids.windows(2)
            .all(|pair| pair[0].as_str() < pair[1].as_str())
    );
}

#[tokio::test]
async fn the_journal_is_read_from_a_mark_and_emptied() {
    let hub = Emulator::start(&["--journal-limit", "3"]);
    for _ in 0..5 {
        hub.send("GET", "/devices/d1", None, None).await;
    }
    let seqs: Vec<u64> = hub
        .journal()
        .await
        .iter()
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [3, 4, 5]);
    assert_eq!(
        hub.control("GET", "/journal?since=4", "")
            .await
            .text
            .lines()
            .count(),
        1
    );
    assert_eq!(hub.control("GET", "/journal?since=x", "").await.status, 400);
    assert_eq!(hub.control("DELETE", "/journal", "").await.status, 204);
    assert!(hub.journal().await.is_empty());
}

#[tokio::test]
async fn a_rotated_or_revoked_policy_stops_working_at_once() {
    let hub = Emulator::start(&[]);
    let status = || async { hub.send("GET", "/devices", None, None).await.status };
    assert_eq!(status().await, 200);
    let new = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let policy = json!({"key": new, "permissions": ["RegistryRead"]}).to_string();
    assert_eq!(
        hub.control("PUT", "/policies/iothubowner", &policy)
            .await
            .status,
        204
    );
    assert_eq!(status().await, 401);
    let host = hub.ready["hub"].as_str().unwrap();
    let url = format!("https://{host}/devices?api-version=2021-04-12");
    let with_new = || {
        hub.client
            .get(&url)
            .header("authorization", token(host, "iothubowner", new))
            .send()
    };
    assert_eq!(with_new().await.unwrap().status(), 200);
    let revoked = json!({"key": new, "permissions": []}).to_string();
    hub.control("PUT", "/policies/iothubowner", &revoked).await;
    assert_eq!(with_new().await.unwrap().status(), 401);
}

#[tokio::test]
async fn mistakes_are_answered_with_a_reason() {
    let hub = Emulator::start(&[]);
    assert_eq!(hub.control("GET", "/healthz", "").await.status, 204);
    for (method, path, body, status, part) in [
        ("PUT", "/faults", r#"{"rules":[{"evry":2}]}"#, 400, "evry"),
        ("PUT", "/devices/d1", r#"{"stauts":"x"}"#, 400, "stauts"),
        ("PUT", "/devices/a%20b", "", 400, "device ID"),
        (
            "PUT",
            "/policies/p",
            r#"{"key":"?","permissions":[]}"#,
            400,
            "base64",
        ),
        (
            "PUT",
            "/policies/p",
            r#"{"key":"QQ==","permissions":["All"]}"#,
            400,
            "All",
        ),
        ("POST", "/journal", "", 405, "method"),
        ("GET", "/nothing", "", 404, "no such path"),
        ("GET", "/devices/d9", "", 404, "no such device"),
    ] {
        let answer = hub.control(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(
            answer.json()["error"].as_str().unwrap().contains(part),
            "{}",
            answer.text
        );
    }
}
