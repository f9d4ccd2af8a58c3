//! Direct methods, and the devices that answer them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Emulator};

async fn with_behaviour(behaviour: &Value) -> Emulator {
    let hub = Emulator::start(&[]);
    hub.control("PUT", "/devices/d1", "").await;
    behave(&hub, behaviour).await;
    hub
}

async fn behave(hub: &Emulator, behaviour: &Value) {
    let set = hub
        .control("PUT", "/devices/d1/behaviour", &behaviour.to_string())
        .await;
    assert_eq!(set.status, 204, "{}", set.text);
}

async fn call(hub: &Emulator, body: &Value) -> Answer {
    hub.send("POST", "/twins/d1/methods", None, Some(body))
        .await
}

#[tokio::test]
async fn a_device_answers_with_its_own_status_and_payload() {
    let hub = with_behaviour(&json!({"methods": {
        "fail": {"status": 500, "payload": {"why": "because"}}, "echo": "echo",
    }}))
    .await;
    let failed = call(&hub, &json!({"methodName": "fail"})).await;
    assert_eq!(
        (failed.status, failed.text.as_str()),
        (200, r#"{"status":500,"payload":{"why":"because"}}"#)
    );
    let echoed = call(
        &hub,
        &json!({"methodName": "echo", "payload": [1, 2.50, "x"]}),
    )
    .await;
    assert_eq!(echoed.text, r#"{"status":200,"payload":[1,2.5,"x"]}"#);
    assert_eq!(
        call(&hub, &json!({"methodName": "other"})).await.json(),
        json!({"status": 501, "payload": null})
    );
    let journal = hub.journal().await;
    assert_eq!(journal.last().unwrap()["operation"], "method");
}

#[tokio::test]
async fn an_offline_device_is_404_with_one_error_inside_another() {
    let hub = with_behaviour(&json!({"online": false, "methods": {"m": {}}})).await;
    let refused = call(&hub, &json!({"methodName": "m"})).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (404, Some("DeviceNotOnline"))
    );
    let inner = refused.json()["Message"].as_str().unwrap().to_owned();
    let inner: Value = serde_json::from_str(&inner).unwrap();
    assert_eq!(inner["errorCode"], 404_103);
    assert_eq!(refused.json()["ExceptionMessage"], "");
    let unknown = hub
        .send(
            "POST",
            "/twins/d9/methods",
            None,
            Some(&json!({"methodName": "m"})),
        )
        .await;
    assert_eq!(unknown.header("iothub-errorcode"), Some("DeviceNotFound"));
}

#[tokio::test]
async fn a_call_waits_for_the_device_to_connect() {
    let hub = with_behaviour(&json!({"online": false, "methods": {"m": {"status": 7}}, "steps": [{"after_ms": 400, "online": true}]})).await;
    let body = json!({"methodName": "m", "connectTimeoutInSeconds": 10});
    assert_eq!(call(&hub, &body).await.json()["status"], 7);
    let identity = hub.send("GET", "/devices/d1", None, None).await.json();
    assert_eq!(identity["connectionState"], "Connected");
    let connected = hub
        .send("GET", "/statistics/service", None, None)
        .await
        .json();
    assert_eq!(connected, json!({"connectedDeviceCount": 1}));
}

#[tokio::test]
async fn a_device_that_stays_silent_is_504_after_the_response_timeout() {
    let hub = with_behaviour(&json!({"methods": {"m": {"silent": true}}})).await;
    let started = Instant::now();
    let refused = call(
        &hub,
        &json!({"methodName": "m", "responseTimeoutInSeconds": 5}),
    )
    .await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (504, Some("GatewayTimeout"))
    );
    assert!(started.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn calls_that_break_a_rule_are_refused() {
    let hub = with_behaviour(&json!({"methods": {"*": {}}})).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({"methodName": ""}), 400),
        (json!({"methodName": "a b"}), 400),
        (
            json!({"methodName": "m", "responseTimeoutInSeconds": 4}),
            400,
        ),
        (
            json!({"methodName": "m", "responseTimeoutInSeconds": 301}),
            400,
        ),
        (
            json!({"methodName": "m", "responseTimeoutInSeconds": 10, "connectTimeoutInSeconds": 11}),
            400,
        ),
        (
            json!({"methodName": "m", "payload": "x".repeat(131_072)}),
            413,
        ),
    ] {
        assert_eq!(
            call(&hub, &body).await.status,
            status,
            "{}",
            &body.to_string()[..40.min(body.to_string().len())]
        );
    }
}

#[tokio::test]
async fn a_reboot_disconnects_and_reports_its_progress() {
    let hub = with_behaviour(&json!({"methods": {"reboot": "reboot"}})).await;
    assert_eq!(
        call(&hub, &json!({"methodName": "reboot"})).await.json()["status"],
        200
    );
    let wait = async |wanted: &str| {
        let is = |twin: &Value| {
            let status = &twin["properties"]["reported"]["iothubDM"]["reboot"]["status"];
            [&twin["connectionState"], status]
                .into_iter()
                .any(|it| it == wanted)
        };
        hub.seen("/twins/d1", is).await
    };
    wait("Disconnected").await;
    assert_eq!(
        call(&hub, &json!({"methodName": "reboot"})).await.status,
        404
    );
    let done = wait("complete").await;
    let reported = &done["properties"]["reported"];
    assert!(
        reported["iothubDM"]["reboot"]["lastReboot"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(
        (&reported["$version"], &done["etag"]),
        (&json!(3), &json!("AAAAAAAAAAE="))
    );
}

#[tokio::test]
async fn modules_have_methods_and_reports_of_their_own() {
    let hub = with_behaviour(&json!({"online": false})).await;
    let body = json!({"deviceId": "d1", "moduleId": "m1"});
    hub.send("PUT", "/devices/d1/modules/m1", None, Some(&body))
        .await;
    let path = "/devices/d1/modules/m1/behaviour";
    assert_eq!(
        hub.control("PUT", path, r#"{"methods":{"x":{"status":3}}}"#)
            .await
            .status,
        204
    );
    let body = json!({"methodName": "x"});
    let answered = hub
        .send("POST", "/twins/d1/modules/m1/methods", None, Some(&body))
        .await;
    assert_eq!(answered.json()["status"], 3);
    hub.control("PUT", "/devices/d1/modules/m1/reported", r#"{"a":1}"#)
        .await;
    let twin = hub
        .send("GET", "/twins/d1/modules/m1", None, None)
        .await
        .json();
    assert_eq!(
        (
            &twin["properties"]["reported"]["a"],
            &twin["connectionState"]
        ),
        (&json!(1), &json!("Connected"))
    );
    assert_eq!(
        hub.control("GET", path, "").await.json()["methods"]["x"]["status"],
        3
    );
    assert_eq!(hub.control("DELETE", path, "").await.status, 204);
    assert_eq!(hub.control("GET", path, "").await.status, 404);
}

#[tokio::test]
async fn every_new_device_can_be_given_a_behaviour() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("behaviour.json");
    std::fs::write(&file, r#"{"methods":{"*":"echo"}}"#).unwrap();
    let hub = Emulator::start(&["--behaviour", file.to_str().unwrap()]);
    hub.send("PUT", "/devices/d1", None, Some(&json!({"deviceId": "d1"})))
        .await;
    let body = json!({"methodName": "x", "payload": 1});
    assert_eq!(
        call(&hub, &body).await.json(),
        json!({"status": 200, "payload": 1})
    );
    hub.control("PUT", "/devices/d1", r#"{"status":"disabled"}"#)
        .await;
    assert_eq!(call(&hub, &body).await.status, 404);
}
