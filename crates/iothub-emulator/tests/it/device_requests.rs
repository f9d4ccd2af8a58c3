//! What connected devices do with their twins, and direct methods on them.

use std::time::{Duration, Instant};

use mqtt_proto::v3::{Packet, Publish};
use mqtt_proto::{Pid, QosPid, TopicName};
use serde_json::{Value, json};

use crate::device::{DESIRED, Device, METHODS, TWIN, add_module, with_devices};
use crate::harness::{Answer, Emulator};

const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?$rid=";

async fn call(hub: &Emulator, body: &Value) -> Answer {
    hub.send("POST", "/twins/d1/methods", None, Some(body))
        .await
}

#[tokio::test]
async fn a_device_reads_its_twin_and_writes_its_part_of_it() {
    let hub = with_devices(&[]).await;
    hub.control(
        "PUT",
        "/devices/d1",
        r#"{"tags":{"t":1},"desired":{"speed":7}}"#,
    )
    .await;
    let before = hub.send("GET", "/twins/d1", None, None).await.json();
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[TWIN]).await;
    device
        .publish(&format!("{REPORTED}a-1"), r#"{"fan":{"on":true},"n":25}"#)
        .await;
    let (topic, _) = device.told().await;
    assert_eq!(topic, "$iothub/twin/res/204/?$rid=a-1&$version=2");
    device.publish("$iothub/twin/GET/?$rid=b", " ").await;
    let (topic, twin) = device.told().await;
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=b");
    let reported = json!({"fan": {"on": true}, "n": 25, "$version": 2});
    assert_eq!(
        twin,
        json!({"desired": {"speed": 7, "$version": 2}, "reported": reported})
    );
    let seen = hub.send("GET", "/twins/d1", None, None).await.json();
    assert_eq!(seen["properties"]["reported"]["fan"], json!({"on": true}));
    assert_eq!(
        (&seen["etag"], &seen["version"]),
        (&before["etag"], &before["version"]),
        "what a device reports does not move the etag"
    );
}

#[tokio::test]
async fn reports_are_checked_as_strictly_as_anything_else() {
    let hub = with_devices(&[]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[TWIN]).await;
    let long = json!({"a": "x".repeat(5_000)}).to_string();
    let large: Value = (0..20)
        .map(|n| (format!("k{n}"), json!("x".repeat(2_000))))
        .collect();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(20), "}".repeat(20));
    let bottomless = r#"{"a":"#.repeat(50_000);
    for body in [
        "",
        "7",
        "[]",
        "{",
        r#"{"a b":1}"#,
        r#"{"$version":1}"#,
        r#"{"a":1e999}"#,
        &long,
        &large.to_string(),
        &deep,
        &bottomless,
    ] {
        device.publish(&format!("{REPORTED}r"), body).await;
        let (topic, error) = device.told().await;
        assert_eq!(topic, "$iothub/twin/res/400/?$rid=r", "{body:.40}");
        assert!(error["message"].is_string() && error["errorCode"].is_number());
    }
    let seen = hub.send("GET", "/twins/d1", None, None).await.json();
    assert_eq!(seen["properties"]["reported"]["$version"], 1);
}

#[tokio::test]
async fn a_device_is_told_what_back_ends_want() {
    let hub = with_devices(&[]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[DESIRED]).await;
    let patch = json!({"properties": {"desired": {"a": {"b": 1, "c": 2}}}});
    hub.send("PATCH", "/twins/d1", Some("*"), Some(&patch))
        .await;
    let (topic, body) = device.told().await;
    assert_eq!(topic, "$iothub/twin/PATCH/properties/desired/?$version=2");
    assert_eq!(body, json!({"a": {"b": 1, "c": 2}, "$version": 2}));
    let patch = json!({"properties": {"desired": {"a": {"b": null}}}});
    hub.send("PATCH", "/twins/d1", Some("*"), Some(&patch))
        .await;
    let (_, body) = device.told().await;
    assert_eq!(body, json!({"a": {"b": null}, "$version": 3}));
    let whole = json!({"properties": {"desired": {"z": 1}}});
    hub.send("PUT", "/twins/d1", Some("*"), Some(&whole)).await;
    let (_, body) = device.told().await;
    assert_eq!(body, json!({"a": null, "z": 1, "$version": 4}));
}

#[tokio::test]
async fn methods_go_to_the_device_rather_than_to_its_script() {
    let hub = with_devices(&[]).await;
    let script = r#"{"methods":{"*":{"status":1}}}"#;
    hub.control("PUT", "/devices/d1/behaviour", script).await;
    let body = json!({"methodName": "reboot", "payload": {"in": 5}});
    assert_eq!(call(&hub, &body).await.json()["status"], 1);
    let mut device = Device::connect(&hub, "d1").await;
    let refused = call(&hub, &body).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (404, Some("DeviceNotOnline")),
        "it does not listen"
    );
    device.subscribe(&[METHODS]).await;
    let (answer, asked) = tokio::join!(call(&hub, &body), device.answer(207, r#"{"ok":[1]}"#));
    assert_eq!(asked, ("reboot".to_owned(), json!({"in": 5})));
    assert_eq!(
        answer.json(),
        json!({"status": 207, "payload": {"ok": [1]}})
    );
    let empty = json!({"methodName": "x"});
    let (answer, asked) = tokio::join!(call(&hub, &empty), device.answer(-1, ""));
    assert_eq!(asked.1, Value::Null);
    assert_eq!(answer.json(), json!({"status": -1, "payload": null}));
    device.send(Packet::Disconnect).await;
    device.closed().await;
    assert_eq!(call(&hub, &body).await.json()["status"], 1);
}

#[tokio::test]
async fn a_call_waits_for_a_device_to_connect_and_to_listen() {
    let hub = with_devices(&[]).await;
    let body = json!({"methodName": "m", "connectTimeoutInSeconds": 20});
    let answering = async {
        let mut device = Device::connect(&hub, "d1").await;
        device.subscribe(&[METHODS]).await;
        device.answer(200, "1").await
    };
    let (answer, _) = tokio::join!(call(&hub, &body), answering);
    assert_eq!(answer.json(), json!({"status": 200, "payload": 1}));
}

#[tokio::test]
async fn a_device_that_does_not_answer_or_goes_is_504() {
    let hub = with_devices(&[]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[METHODS]).await;
    let body = json!({"methodName": "m", "responseTimeoutInSeconds": 5});
    let begun = Instant::now();
    let bad = r#"{"no json"#;
    let (answer, _) = tokio::join!(call(&hub, &body), device.answer(200, bad));
    assert_eq!(
        (answer.status, answer.header("iothub-errorcode")),
        (504, Some("GatewayTimeout"))
    );
    assert!(begun.elapsed() >= Duration::from_secs(5));
    let body = json!({"methodName": "m", "responseTimeoutInSeconds": 300});
    let leaving = async {
        device.told().await;
        drop(device);
    };
    let (answer, ()) = tokio::join!(call(&hub, &body), leaving);
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn jobs_reach_connected_devices_and_modules_have_their_own_line() {
    let hub = with_devices(&[]).await;
    add_module(&hub, "m1").await;
    let mut module = Device::connect(&hub, "d1/m1").await;
    module.subscribe(&[METHODS, TWIN]).await;
    let body = json!({"methodName": "x"});
    let path = "/twins/d1/modules/m1/methods";
    let calling = hub.send("POST", path, None, Some(&body));
    let (answer, _) = tokio::join!(calling, module.answer(3, "null"));
    assert_eq!(answer.json()["status"], 3);
    module
        .publish(&format!("{REPORTED}1"), r#"{"of":"module"}"#)
        .await;
    module.told().await;
    let twin = hub.send("GET", "/twins/d1/modules/m1", None, None).await;
    assert_eq!(twin.json()["properties"]["reported"]["of"], "module");
    assert_eq!(twin.json()["connectionState"], "Connected");

    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[METHODS]).await;
    let job = json!({
        "jobId": "j", "type": "scheduleDeviceMethod", "queryCondition": "deviceId = 'd1'",
        "cloudToDeviceMethod": {"methodName": "reboot", "responseTimeoutInSeconds": 30},
        "startTime": "", "maxExecutionTimeInSeconds": 60,
    });
    let made = hub.send("PUT", "/jobs/v2/j", None, Some(&job)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(device.answer(200, "{}").await.0, "reboot");
    let done = hub
        .seen("/jobs/v2/j", |it| it["status"] == "completed")
        .await;
    assert_eq!(done["deviceJobStatistics"]["succeededCount"], 1);
}

#[tokio::test]
async fn messages_are_counted_and_acknowledged() {
    let hub = with_devices(&[]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device
        .publish(
            "devices/d1/messages/events/$.ct=application%2Fjson&a=1",
            "{}",
        )
        .await;
    let topic = TopicName::try_from("devices/d1/messages/events/").unwrap();
    let pid = Pid::try_from(513).unwrap();
    let message = Publish::new(QosPid::Level1(pid), topic, "secret".into());
    device.send(message).await;
    assert_eq!(device.next().await, Some(Packet::Puback(pid)));
    device.send(Packet::Pingreq).await;
    device.next().await;
    let journal = hub.journal().await;
    let sent = |it: &&Value| it["operation"] == "device-message";
    assert_eq!(journal.iter().filter(sent).count(), 2);
    assert!(!Value::from(journal).to_string().contains("secret"));
}

#[tokio::test]
async fn twins_are_metered_for_devices_too() {
    let hub = with_devices(&["--tier", "s1"]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[TWIN]).await;
    let mut codes = vec![];
    for _ in 0..3 {
        device.publish("$iothub/twin/GET/?$rid=1", "").await;
        codes.push(device.told().await.0);
    }
    assert_eq!(codes, ["$iothub/twin/res/200/?$rid=1"; 3]);
}
