//! Modules and the registry as a whole, as they go over the wire.

use iothub::{Kind, Module, NewModule};
use serde_json::json;

use crate::server::{Seen, Server, answer, id, ok};

const MODULE: &str = r#"{"moduleId":"cam","managedBy":null,"deviceId":"dev-1","etag":"MQ==","authentication":{"symmetricKey":{"primaryKey":"cHJpbWFyeQ==","secondaryKey":"c2Vjb25kYXJ5"},"type":"sas"}}"#;
const TWIN: &str =
    r#"{"deviceId":"dev-1","moduleId":"cam","etag":"AAAAAAAAAAE=","properties":{"desired":{}}}"#;

#[tokio::test]
async fn a_module_lives_through_all_its_calls() {
    let list = format!("[{MODULE}]");
    let gone = answer("204 No Content", "", "");
    let server = Server::with([ok(MODULE), ok(&list), ok(MODULE), ok(MODULE), gone]).await;
    let hub = server.hub();
    let new = NewModule::new(id(), "cam".parse().unwrap());
    hub.create_module(&new).await.unwrap();
    assert_eq!(hub.modules(&id()).await.unwrap().len(), 1);
    let mut read: Module = hub.module(&id(), &new.module_id).await.unwrap();
    read.set_managed_by(Some("fleet"));
    hub.update_module(&read).await.unwrap();
    hub.delete_module(&id(), &new.module_id, "MQ==")
        .await
        .unwrap();

    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    let path = "/devices/dev-1/modules";
    assert_eq!(
        lines,
        [
            format!("PUT {path}/cam?api-version=2021-04-12 HTTP/1.1"),
            format!("GET {path}?api-version=2021-04-12 HTTP/1.1"),
            format!("GET {path}/cam?api-version=2021-04-12 HTTP/1.1"),
            format!("PUT {path}/cam?api-version=2021-04-12 HTTP/1.1"),
            format!("DELETE {path}/cam?api-version=2021-04-12 HTTP/1.1"),
        ]
    );
    assert_eq!(seen[0].header("if-match"), None);
    assert!(
        seen[3].body.contains("cHJpbWFyeQ=="),
        "the keys go back as they came: {}",
        seen[3].body
    );
    assert_eq!(seen[4].header("if-match"), Some("\"MQ==\""));
}

#[tokio::test]
async fn a_modules_twin_is_read_and_edited() {
    let server = Server::with([ok(TWIN), ok(TWIN), ok(TWIN)]).await;
    let (hub, module) = (server.hub(), "cam".parse().unwrap());
    let twin = hub.module_twin(&id(), &module).await.unwrap();
    assert_eq!(twin.module_id(), Some("cam"));
    let edit = json!({"tags": {"a": 1}});
    hub.patch_module_twin(&id(), &module, &edit, None)
        .await
        .unwrap();
    hub.replace_module_twin(&id(), &module, &edit, twin.etag())
        .await
        .unwrap();
    let [_, patch, put] = server.seen().try_into().unwrap();
    assert!(patch.line().starts_with("PATCH /twins/dev-1/modules/cam?"));
    assert!(put.line().starts_with("PUT /twins/dev-1/modules/cam?"));
    assert_eq!(put.header("if-match"), Some("\"AAAAAAAAAAE=\""));
}

#[tokio::test]
async fn an_answer_about_another_module_is_not_believed() {
    let other = MODULE.replace("cam", "mic");
    let device_twin = r#"{"deviceId":"dev-1"}"#;
    let server = Server::with([ok(&other), ok(device_twin)]).await;
    let (hub, module) = (server.hub(), "cam".parse().unwrap());
    let error = hub.module(&id(), &module).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    let error = hub.module_twin(&id(), &module).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
}

#[tokio::test]
async fn a_list_leaves_out_what_cannot_be_named() {
    let list = r#"[{"deviceId":"a"},{"deviceId":".."},{"deviceId":"b"}]"#;
    let server = Server::with([ok(list)]).await;
    let listed = server.hub().devices(3).await.unwrap();
    let ids: Vec<_> = listed
        .iter()
        .map(|identity| identity.device_id().as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(
        server.seen()[0].line(),
        "GET /devices?api-version=2021-04-12&top=3 HTTP/1.1"
    );
}

#[tokio::test]
async fn a_device_goes_behind_a_gateway_in_the_version_that_was_read() {
    let gateway = r#"{"deviceId":"gw","capabilities":{"iotEdge":true},"deviceScope":"ms-azure-iot-edge://gw-1"}"#;
    let child = r#"{"deviceId":"dev-1","etag":"Mg==","capabilities":{"iotEdge":false},"authentication":{"type":"sas"}}"#;
    let server = Server::with([ok(gateway), ok(child), ok(child)]).await;
    server
        .hub()
        .set_parent(&id(), &"gw".parse().unwrap())
        .await
        .unwrap();
    let [_, _, put] = server.seen().try_into().unwrap();
    assert_eq!(put.header("if-match"), Some("\"Mg==\""));
    let body: serde_json::Value = serde_json::from_str(&put.body).unwrap();
    assert_eq!(body["deviceScope"], "ms-azure-iot-edge://gw-1");
}

#[tokio::test]
async fn counts_and_purges() {
    let server = Server::with([
        ok(r#"{"totalDeviceCount":5,"enabledDeviceCount":4,"disabledDeviceCount":1}"#),
        ok(r#"{"connectedDeviceCount":3}"#),
        ok(r#"{"totalMessagesPurged":2,"deviceId":"dev-1","moduleId":null}"#),
    ])
    .await;
    let hub = server.hub();
    assert_eq!(hub.device_statistics().await.unwrap().enabled, 4);
    assert_eq!(hub.connected_devices().await.unwrap(), 3);
    assert_eq!(hub.purge_messages(&id()).await.unwrap(), 2);
}
