//! Devices connect, are refused, and are cut off.

use mqtt_proto::v3::{ConnectReturnCode, LastWill, Packet, SubscribeReturnCode};
use mqtt_proto::{QoS, TopicName};
use serde_json::{Value, json};

use crate::device::{
    DESIRED, Device, METHODS, TWIN, add_module, hello, hello_with, key, token, with_devices,
};
use crate::harness::Emulator;

async fn disconnected(hub: &Emulator, reason: &str) {
    let entry = hub
        .journal_until("d1", |it| it["operation"] == "device-disconnect")
        .await;
    assert_eq!(entry["query"], format!("reason={reason}"));
}

#[tokio::test]
async fn a_connected_device_shows_everywhere_and_keeps_its_etag() {
    let hub = with_devices(&[]).await;
    let look = async |path: &str| hub.send("GET", path, None, None).await.json();
    let before = look("/devices/d1").await;
    let mut device = Device::connect(&hub, "d1").await;
    let after = look("/devices/d1").await;
    assert_eq!(after["connectionState"], "Connected");
    assert_ne!(
        after["connectionStateUpdatedTime"],
        before["connectionStateUpdatedTime"]
    );
    assert_ne!(after["lastActivityTime"], before["lastActivityTime"]);
    assert_eq!(after["etag"], before["etag"]);
    assert_eq!(look("/twins/d1").await["connectionState"], "Connected");
    assert_eq!(look("/statistics/service").await["connectedDeviceCount"], 1);
    let query =
        json!({"query": "SELECT deviceId FROM devices WHERE connectionState = 'Connected'"});
    let found = hub.send("POST", "/devices/query", None, Some(&query)).await;
    assert_eq!(found.json(), json!([{"deviceId": "d1"}]));
    device.send(Packet::Pingreq).await;
    assert_eq!(device.next().await, Some(Packet::Pingresp));
    device.send(Packet::Disconnect).await;
    disconnected(&hub, "left").await;
    let gone = look("/devices/d1").await;
    assert_eq!(gone["connectionState"], "Disconnected");
    assert_eq!(gone["etag"], before["etag"]);
    let journal = hub.control("GET", "/journal", "").await.text;
    assert!(journal.contains("device-connect") && !journal.contains("sig="));
}

#[tokio::test]
async fn whoever_cannot_prove_to_be_a_device_is_refused_without_a_reason() {
    let hub = with_devices(&["--clock-skew-s", "0"]).await;
    for id in ["d2", "disabled", "x509"] {
        hub.control("PUT", &format!("/devices/{id}"), "").await;
    }
    add_module(&hub, "m1").await;
    let (own, other) = (key(&hub, "d1").await, key(&hub, "d2").await);
    let disabled = hello("disabled", &key(&hub, "disabled").await);
    let x509 = hello("x509", &key(&hub, "x509").await);
    hub.control("PUT", "/devices/disabled", r#"{"status":"disabled"}"#)
        .await;
    let thumbprint = json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {
        "primaryThumbprint": "A".repeat(40), "secondaryThumbprint": "A".repeat(40)}}});
    hub.control("PUT", "/devices/x509", &thumbprint.to_string())
        .await;
    let policy = hub.token();
    for (what, hello) in [
        ("another key", hello("d1", &other)),
        ("unknown", hello("nobody", &own)),
        ("disabled", disabled),
        ("another proof", x509),
        (
            "expired",
            hello_with("d1", &token("localhost/devices/d1", &own, -2)),
        ),
        (
            "for another device",
            hello_with("d1", &token("localhost/devices/d2", &own, 60)),
        ),
        (
            "for the whole hub",
            hello_with("d1", &token("localhost", &own, 60)),
        ),
        ("of a policy", hello_with("d1", &policy)),
        ("of the device for its module", hello("d1/m1", &own)),
        ("no token", hello_with("d1", "secret")),
    ] {
        let (device, code, _) = Device::login(&hub, &hello).await;
        assert_eq!(code, ConnectReturnCode::NotAuthorized, "{what}");
        device.closed().await;
    }
    let entry = hub.journal().await.pop().unwrap();
    assert_eq!(
        (&entry["operation"], &entry["status"], &entry["query"]),
        (&json!("device-connect"), &json!(401), &json!("code=5"))
    );
    let mut odd = hello("d1", &own);
    odd.username = Some("elsewhere/d1/?api-version=2021-04-12".into());
    let (_, code, _) = Device::login(&hub, &odd).await;
    assert_eq!(code, ConnectReturnCode::BadUserNameOrPassword);
    let (_, code, _) = Device::login(&hub, &hello_with("d 1", "t")).await;
    assert_eq!(code, ConnectReturnCode::IdentifierRejected);
    let mut newer = Device::open(&hub).await;
    newer
        .send_bytes(b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02d1")
        .await;
    let Some(Packet::Connack(answer)) = newer.next().await else {
        panic!("no CONNACK");
    };
    assert_eq!(answer.code, ConnectReturnCode::UnacceptableProtocolVersion);
}

#[tokio::test]
async fn both_keys_and_any_port_open() {
    let hub = with_devices(&[]).await;
    add_module(&hub, "m1").await;
    let identity = hub.send("GET", "/devices/d1", None, None).await.json();
    let keys = &identity["authentication"]["symmetricKey"];
    for name in ["primaryKey", "secondaryKey"] {
        let resource = "localhost:8443/devices/d1";
        let token = token(resource, keys[name].as_str().unwrap(), 60);
        let mut hello = hello_with("d1", &token);
        hello.username = Some("localhost:8443/d1/?api-version=2021-04-12".into());
        let (_, code, _) = Device::login(&hub, &hello).await;
        assert_eq!(code, ConnectReturnCode::Accepted, "{name}");
    }
    Device::connect(&hub, "d1/m1").await;
    let module = hub.send("GET", "/twins/d1/modules/m1", None, None).await;
    assert_eq!(module.json()["deviceId"], "d1");
}

#[tokio::test]
async fn the_control_port_tells_what_to_connect_with() {
    let hub = with_devices(&[]).await;
    add_module(&hub, "m1").await;
    for (path, id, parts) in [
        ("d1", "d1", "DeviceId=d1"),
        ("d1/modules/m1", "d1/m1", "DeviceId=d1;ModuleId=m1"),
    ] {
        let path = format!("/devices/{path}/connection-string");
        let told = hub.control("GET", &path, "").await.text;
        let key = key(&hub, id).await;
        let wanted = format!("HostName=localhost;{parts};SharedAccessKey={key}\n");
        assert_eq!(told, wanted);
    }
    let none = hub
        .control("GET", "/devices/d2/connection-string", "")
        .await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn a_second_connection_throws_out_the_first() {
    let hub = with_devices(&[]).await;
    let first = Device::connect(&hub, "d1").await;
    let mut second = Device::connect(&hub, "d1").await;
    first.closed().await;
    disconnected(&hub, "replaced").await;
    second.send(Packet::Pingreq).await;
    assert_eq!(second.next().await, Some(Packet::Pingresp));
    let identity = hub.send("GET", "/devices/d1", None, None).await.json();
    assert_eq!(identity["connectionState"], "Connected");
}

#[tokio::test]
async fn whoever_loses_the_right_to_be_there_is_cut_off_at_once() {
    let hub = with_devices(&[]).await;
    for (method, body, reason) in [
        ("PUT", r#"{"status":"disabled"}"#, "disabled"),
        (
            "PUT",
            r#"{"authentication":{"type":"sas","symmetricKey":{"primaryKey":"AAECAwQFBgcICQoLDA0ODw==","secondaryKey":"AAECAwQFBgcICQoLDA0ODw=="}}}"#,
            "key-changed",
        ),
        ("DELETE", "", "deleted"),
    ] {
        let device = Device::connect(&hub, "d1").await;
        let old = key(&hub, "d1").await;
        hub.control(method, "/devices/d1", body).await;
        // Long before its keep-alive would tell.
        device.closed().await;
        disconnected(&hub, reason).await;
        let (_, code, _) = Device::login(&hub, &hello("d1", &old)).await;
        assert_eq!(code, ConnectReturnCode::NotAuthorized, "{reason}");
        hub.control("PUT", "/devices/d1", r#"{"status":"enabled"}"#)
            .await;
    }
    add_module(&hub, "m1").await;
    let module = Device::connect(&hub, "d1/m1").await;
    hub.send("DELETE", "/devices/d1/modules/m1", Some("*"), None)
        .await;
    module.closed().await;
}

#[tokio::test]
async fn a_token_and_a_silence_have_an_end() {
    let hub = with_devices(&["--clock-skew-s", "0"]).await;
    hub.control("PUT", "/devices/d2", "").await;
    let token = token("localhost/devices/d1", &key(&hub, "d1").await, 5);
    let (expiring, code, _) = Device::login(&hub, &hello_with("d1", &token)).await;
    assert_eq!(code, ConnectReturnCode::Accepted);
    let mut quiet = hello("d2", &key(&hub, "d2").await);
    quiet.keep_alive = 1;
    let (silent, code, _) = Device::login(&hub, &quiet).await;
    assert_eq!(code, ConnectReturnCode::Accepted);
    expiring.closed().await;
    disconnected(&hub, "expired").await;
    silent.closed().await;
    let entry = hub
        .journal_until("d2", |it| it["operation"] == "device-disconnect")
        .await;
    assert_eq!(entry["query"], "reason=silent");
}

#[tokio::test]
async fn a_session_is_kept_unless_it_was_to_be_clean() {
    let hub = with_devices(&[]).await;
    let mut hello = hello("d1", &key(&hub, "d1").await);
    let (mut device, _, goes_on) = Device::login(&hub, &hello).await;
    assert!(!goes_on);
    let granted = device
        .subscribe(&[DESIRED, TWIN, METHODS, "$iothub/other/#"])
        .await;
    let one = SubscribeReturnCode::MaxLevel1;
    assert_eq!(granted, [one, one, one, SubscribeReturnCode::Failure]);
    device.send(Packet::Disconnect).await;
    disconnected(&hub, "left").await;
    let (mut device, _, goes_on) = Device::login(&hub, &hello).await;
    assert!(goes_on);
    hub.control("PUT", "/devices/d1", r#"{"desired":{"a":1}}"#)
        .await;
    assert_eq!(device.told().await.1, json!({"a": 1, "$version": 2}));
    hello.clean_session = true;
    let (mut device, _, goes_on) = Device::login(&hub, &hello).await;
    assert!(!goes_on);
    hub.control("PUT", "/devices/d1", r#"{"desired":{"a":2}}"#)
        .await;
    device.send(Packet::Pingreq).await;
    assert_eq!(device.next().await, Some(Packet::Pingresp));
}

#[tokio::test]
async fn a_will_is_sent_for_who_is_lost() {
    let hub = with_devices(&[]).await;
    let mut hello = hello("d1", &key(&hub, "d1").await);
    let topic = TopicName::try_from("devices/d1/messages/events/").unwrap();
    hello.last_will = Some(LastWill::new(QoS::Level0, topic, "gone".into()));
    let (device, _, _) = Device::login(&hub, &hello).await;
    drop(device);
    disconnected(&hub, "lost").await;
    let journal = hub.journal().await;
    let will = |it: &Value| it["operation"] == "device-message" && it["query"] == "will";
    assert!(journal.iter().any(will));
}

#[tokio::test]
async fn a_hub_that_starts_again_has_no_connections() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let hub = with_devices(&["--state", state]).await;
    let mut device = Device::connect(&hub, "d1").await;
    device.subscribe(&[TWIN]).await;
    let shown = hub.send("GET", "/devices/d1", None, None).await.json();
    assert_eq!(shown["connectionState"], "Connected");
    drop(hub);
    let hub = with_devices(&["--state", state]).await;
    let shown = hub.send("GET", "/devices/d1", None, None).await.json();
    assert_eq!(shown["connectionState"], "Disconnected");
    let (_, code, goes_on) = Device::login(&hub, &hello("d1", &key(&hub, "d1").await)).await;
    assert_eq!((code, goes_on), (ConnectReturnCode::Accepted, true));
}
