//! The service API as an SDK sees it.

use serde_json::json;

use crate::harness::{Emulator, token};

#[tokio::test]
async fn an_identity_lives_from_create_to_delete() {
    let hub = Emulator::start(&[]);
    let created = hub
        .send(
            "PUT",
            "/devices/d%25_1",
            None,
            Some(&json!({"deviceId": "d%_1"})),
        )
        .await;
    assert_eq!(created.status, 200, "{}", created.text);
    assert!(
        created
            .text
            .contains(r#""lastActivityTime":"0001-01-01T00:00:00","#),
        "{}",
        created.text
    );

    let mut device = created.json();
    let etag = format!("\"{}\"", device["etag"].as_str().unwrap());
    assert_eq!(created.header("etag"), Some(etag.as_str()));
    let read = hub.send("GET", "/devices/d%25_1", None, None).await;
    assert!(
        read.text
            .contains(r#""lastActivityTime":"0001-01-01T00:00:00Z","#),
        "{}",
        read.text
    );
    assert_eq!(read.json()["authentication"], device["authentication"]);

    device["status"] = json!("disabled");
    let updated = hub
        .send("PUT", "/devices/d%25_1", Some(&etag), Some(&device))
        .await;
    assert_eq!(
        (updated.status, &updated.json()["status"]),
        (200, &json!("disabled"))
    );
    assert_eq!(updated.json()["authentication"], device["authentication"]);

    let stale = hub
        .send("DELETE", "/devices/d%25_1", Some(&etag), None)
        .await;
    assert_eq!(
        (stale.status, stale.header("iothub-errorcode")),
        (412, Some("PreconditionFailed"))
    );
    let deleted = hub
        .send("DELETE", "/devices/d%25_1", updated.header("etag"), None)
        .await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(deleted.header("content-type"), None);
    assert_eq!(
        hub.send("GET", "/devices/d%25_1", None, None).await.status,
        404
    );
}

#[tokio::test]
async fn an_update_that_leaves_out_authentication_rotates_the_keys() {
    let hub = Emulator::start(&[]);
    let body = json!({"deviceId": "d1"});
    let first = hub
        .send("PUT", "/devices/d1", Some("\"\""), Some(&body))
        .await
        .json();
    let second = hub
        .send("PUT", "/devices/d1", Some("*"), Some(&body))
        .await
        .json();
    let key =
        |device: &serde_json::Value| device["authentication"]["symmetricKey"]["primaryKey"].clone();
    assert_eq!(key(&first).as_str().unwrap().len(), 44);
    assert_ne!(key(&first), key(&second));
    assert_eq!(first["generationId"], second["generationId"]);
}

#[tokio::test]
async fn a_twin_is_patched_and_replaced() {
    let hub = Emulator::start(&[]);
    hub.send("PUT", "/devices/d1", None, Some(&json!({"deviceId": "d1"})))
        .await;
    let patch = json!({"tags": {"mender": true}, "properties": {"desired": {"a": {"b": 1}}}});
    let patched = hub
        .send("PATCH", "/twins/d1", Some("\"AAAAAAAAAAE=\""), Some(&patch))
        .await;
    assert_eq!(
        (patched.status, &patched.json()["etag"]),
        (200, &json!("AAAAAAAAAAI="))
    );
    assert_eq!(patched.header("etag"), None);
    let replaced = hub
        .send(
            "PUT",
            "/twins/d1",
            Some("\"*\""),
            Some(&json!({"tags": {"x": 1}})),
        )
        .await;
    assert_eq!(replaced.json()["tags"], json!({"x": 1}));
    assert_eq!(replaced.json()["properties"]["desired"]["$version"], 3);
    let refused = hub
        .send(
            "PATCH",
            "/twins/d1",
            None,
            Some(&json!({"tags": {"a.b": 1}})),
        )
        .await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (400, Some("ArgumentInvalid"))
    );
    assert_eq!(
        hub.send("GET", "/twins/d1", None, None).await.json()["etag"],
        "AAAAAAAAAAM="
    );
}

#[tokio::test]
async fn identities_are_listed_up_to_top() {
    let hub = Emulator::start(&[]);
    for id in ["b", "a", "c"] {
        hub.send(
            "PUT",
            &format!("/devices/{id}"),
            None,
            Some(&json!({ "deviceId": id })),
        )
        .await;
    }
    let list = hub.send("GET", "/devices?top=2", None, None).await.json();
    let ids: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["deviceId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn errors_carry_their_name_and_tracking_id() {
    let hub = Emulator::start(&[]);
    let missing = hub.send("GET", "/devices/nobody", None, None).await;
    assert_eq!(
        (missing.status, missing.header("iothub-errorcode")),
        (404, Some("DeviceNotFound"))
    );
    assert_eq!(missing.json()["Message"], "ErrorCode:DeviceNotFound;nobody");
    let tracking = missing.header("x-ms-request-id").unwrap().replace('-', "");
    let exception = missing.json()["ExceptionMessage"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        exception.starts_with(&format!("Tracking ID:{tracking}-G:1-TimeStamp:")),
        "{exception}"
    );
}

#[tokio::test]
async fn the_api_version_is_required() {
    let hub = Emulator::start(&[]);
    for query in ["", "?api-version=1999-01-01"] {
        let url = format!(
            "https://{}/devices/d1{query}",
            hub.ready["hub"].as_str().unwrap()
        );
        let request = hub.client.get(url).header("authorization", hub.token());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(
            response.headers()["iothub-errorcode"],
            "InvalidProtocolVersion"
        );
    }
}

#[tokio::test]
async fn a_policy_without_the_permission_gets_401() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let policy = format!("registry={key}:RegistryRead,RegistryWrite");
    let hub = Emulator::start(&["--policy", &policy]);
    let created = hub
        .send("PUT", "/devices/d1", None, Some(&json!({"deviceId": "d1"})))
        .await;
    assert_eq!(created.status, 200, "{}", created.text);
    let twin = hub.send("GET", "/twins/d1", None, None).await;
    assert_eq!(
        (twin.status, twin.header("iothub-errorcode")),
        (401, Some("IotHubUnauthorizedAccess"))
    );
    let forged = token(
        hub.ready["hub"].as_str().unwrap(),
        "registry",
        "QUJDREVGR0hJSktMTU5PUA==",
    );
    let url = format!(
        "https://{}/devices/d1?api-version=2021-04-12",
        hub.ready["hub"].as_str().unwrap()
    );
    assert_eq!(
        hub.client
            .get(&url)
            .header("authorization", forged)
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(hub.client.get(&url).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_full_hub_name_is_advertised_without_port() {
    let hub = Emulator::start(&["--hub", "myhub.azure-devices.net"]);
    assert_eq!(hub.ready["hub"], "myhub.azure-devices.net");
    let address = hub.ready["listen"].as_str().unwrap().parse().unwrap();
    let client = hub
        .client_builder()
        .resolve("myhub.azure-devices.net", address)
        .build()
        .unwrap();
    let url = format!(
        "https://myhub.azure-devices.net:{}/devices?api-version=2021-04-12",
        address.port()
    );
    let response = client
        .get(url)
        .header("authorization", hub.token())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}
