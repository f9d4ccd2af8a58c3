//! Modules, statistics and waiting messages as an SDK sees them.

use serde_json::json;

use crate::harness::Emulator;

async fn with_device(fields: serde_json::Value) -> Emulator {
    let hub = Emulator::start(&[]);
    let mut body = fields;
    body["deviceId"] = json!("d1");
    let made = hub.send("PUT", "/devices/d1", None, Some(&body)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    hub
}

#[tokio::test]
async fn a_module_lives_from_create_to_delete() {
    let hub = with_device(json!({})).await;
    let (path, body) = (
        "/devices/d1/modules/m1",
        json!({"deviceId": "d1", "moduleId": "m1"}),
    );
    let made = hub.send("PUT", path, None, Some(&body)).await;
    assert_eq!(
        (made.status, made.header("etag")),
        (200, None),
        "{}",
        made.text
    );
    let again = hub.send("PUT", path, None, Some(&body)).await;
    assert_eq!(
        (again.status, again.header("iothub-errorcode")),
        (409, Some("ModuleAlreadyExistsOnDevice"))
    );
    let list = hub
        .send("GET", "/devices/d1/modules", None, None)
        .await
        .json();
    assert_eq!(list[0]["etag"], made.json()["etag"]);

    let edit = json!({"properties": {"desired": {"a": 1}}});
    let twin = hub
        .send("PATCH", "/twins/d1/modules/m1", None, Some(&edit))
        .await
        .json();
    assert_eq!(
        (&twin["moduleId"], &twin["properties"]["desired"]["a"]),
        (&json!("m1"), &json!(1))
    );

    assert_eq!(hub.send("DELETE", path, None, None).await.status, 412);
    assert_eq!(hub.send("DELETE", path, Some("*"), None).await.status, 204);
    let gone = hub.send("GET", path, None, None).await;
    assert_eq!(
        (gone.status, gone.header("iothub-errorcode")),
        (404, Some("ModuleNotFound"))
    );
    let gone = hub.send("GET", "/twins/d1/modules/m1", None, None).await;
    assert_eq!(
        (gone.status, gone.header("iothub-errorcode")),
        (404, Some("DeviceNotFound"))
    );
}

#[tokio::test]
async fn edge_devices_show_their_modules_and_reserved_names_are_refused() {
    let hub = with_device(json!({"capabilities": {"iotEdge": true}})).await;
    let list = hub
        .send("GET", "/devices/d1/modules", None, None)
        .await
        .json();
    assert_eq!(
        (&list[0]["moduleId"], &list[1]["moduleId"]),
        (&json!("$edgeAgent"), &json!("$edgeHub"))
    );
    assert_eq!(
        (&list[0]["managedBy"], &list[0]["authentication"]["type"]),
        (&json!("iotEdge"), &json!("none"))
    );
    let body = json!({"deviceId": "d1", "moduleId": "$x"});
    let refused = hub
        .send("PUT", "/devices/d1/modules/%24x", None, Some(&body))
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn modules_of_a_missing_or_disabled_device_are_401_under_a_shared_access_signature() {
    let hub = with_device(json!({"status": "disabled"})).await;
    for path in [
        "/devices/d1/modules",
        "/devices/none/modules",
        "/devices/d1/modules/m",
    ] {
        let refused = hub.send("GET", path, None, None).await;
        assert_eq!(
            (refused.status, refused.header("iothub-errorcode")),
            (401, Some("IotHubUnauthorizedAccess")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_hub_counts_its_devices_and_purges_waiting_messages() {
    let hub = with_device(json!({"status": "disabled"})).await;
    hub.control("PUT", "/devices/d2", r#"{"cloudToDeviceMessageCount":3}"#)
        .await;
    let counts = hub.send("GET", "/statistics/devices", None, None).await;
    assert_eq!(
        counts.text,
        r#"{"totalDeviceCount":2,"enabledDeviceCount":1,"disabledDeviceCount":1}"#
    );
    let service = hub.send("GET", "/statistics/service", None, None).await;
    assert_eq!(service.json(), json!({"connectedDeviceCount": 0}));
    let purge = || hub.send("DELETE", "/devices/d2/commands", None, None);
    assert_eq!(purge().await.json()["totalMessagesPurged"], 3);
    assert_eq!(purge().await.json()["totalMessagesPurged"], 0);
    assert_eq!(
        hub.send("DELETE", "/devices/d3/commands", None, None)
            .await
            .status,
        404
    );
}
