//! Each operation as it goes over the wire.

use iothub::{NewIdentity, Status};
use serde_json::{Value, json};

use crate::server::{Server, answer, id, ok};

const IDENTITY: &str = r#"{"deviceId":"dev-1","generationId":"637612875240648717","etag":"NzI3ODk0ODYz","status":"enabled","statusReason":null,"authentication":{"symmetricKey":{"primaryKey":"cHJpbWFyeQ==","secondaryKey":"c2Vjb25kYXJ5"},"type":"sas"},"capabilities":{"iotEdge":false},"news":[1.50]}"#;
const TWIN: &str = r#"{"deviceId":"dev-1","etag":"AAAAAAAAAAE=","version":2,"tags":{"a":1},"properties":{"desired":{"b":12345678901234567890.10,"$version":1},"reported":{}}}"#;

#[tokio::test]
async fn reading_a_device_gives_its_identity() {
    let server = Server::with([ok(IDENTITY)]).await;
    let identity = server.hub().device(&id()).await.unwrap();
    assert_eq!(identity.etag(), Some("NzI3ODk0ODYz"));
    assert_eq!(identity.primary_key().unwrap().expose(), "cHJpbWFyeQ==");

    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(
        seen.line(),
        "GET /devices/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(seen.header("host"), Some(&*server.host()));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), None);
    let token = seen.header("authorization").unwrap();
    assert!(
        token.starts_with("SharedAccessSignature sr=localhost%3A"),
        "{token}"
    );
    assert!(token.ends_with("&skn=worker"), "{token}");
}

#[tokio::test]
async fn creating_a_device_asks_for_nothing_to_be_there() {
    let server = Server::with([ok(IDENTITY)]).await;
    let new = NewIdentity {
        status_reason: Some("mender:1:2".into()),
        ..NewIdentity::new(id())
    };
    server.hub().create_device(&new).await.unwrap();

    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(
        seen.line(),
        "PUT /devices/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(seen.header("if-match"), None);
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        json!({"deviceId": "dev-1", "status": "enabled", "statusReason": "mender:1:2"})
    );
}

#[tokio::test]
async fn updating_a_device_sends_back_what_was_read() {
    let server = Server::with([ok(IDENTITY), ok(IDENTITY)]).await;
    let hub = server.hub();
    let mut identity = hub.device(&id()).await.unwrap();
    identity.set_status(Status::Disabled);
    hub.update_device(&identity).await.unwrap();

    let [_, seen] = server.seen().try_into().unwrap();
    assert_eq!(
        seen.line(),
        "PUT /devices/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(seen.header("if-match"), Some("\"NzI3ODk0ODYz\""));
    let mut expected: Value = serde_json::from_str(IDENTITY).unwrap();
    expected["status"] = "disabled".into();
    assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), expected);
    assert!(
        seen.body.contains("1.50"),
        "numbers keep their digits: {}",
        seen.body
    );
}

#[tokio::test]
async fn deleting_a_device_names_its_version() {
    let server = Server::with([answer("204 No Content", "", "")]).await;
    server
        .hub()
        .delete_device(&id(), "NzI3ODk0ODYz")
        .await
        .unwrap();

    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(
        seen.line(),
        "DELETE /devices/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(seen.header("if-match"), Some("\"NzI3ODk0ODYz\""));
}

#[tokio::test]
async fn a_twin_is_read_and_edited() {
    let server = Server::with([ok(TWIN), ok(TWIN), ok(TWIN)]).await;
    let hub = server.hub();
    let twin = hub.twin(&id()).await.unwrap().without_metadata();
    assert_eq!(
        twin.desired().to_string(),
        r#"{"b":12345678901234567890.10}"#
    );
    hub.patch_twin(&id(), &json!({"tags": {"a": null}}), None)
        .await
        .unwrap();
    hub.replace_twin(&id(), &json!({"tags": {}}), twin.etag())
        .await
        .unwrap();

    let [read, patch, put] = server.seen().try_into().unwrap();
    assert_eq!(
        read.line(),
        "GET /twins/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(
        patch.line(),
        "PATCH /twins/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(
        (patch.header("if-match"), &*patch.body),
        (None, r#"{"tags":{"a":null}}"#)
    );
    assert_eq!(
        put.line(),
        "PUT /twins/dev-1?api-version=2021-04-12 HTTP/1.1"
    );
    assert_eq!(put.header("if-match"), Some("\"AAAAAAAAAAE=\""));
    assert_eq!(
        put.header("content-type"),
        Some("application/json; charset=utf-8")
    );
}

#[tokio::test]
async fn an_id_with_reserved_characters_stays_one_path_segment() {
    let server = Server::with([ok(r#"{"deviceId":"a%2F#?..+","authentication":{}}"#)]).await;
    let id = "a%2F#?..+".parse().unwrap();
    server.hub().device(&id).await.unwrap();
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(
        seen.line(),
        "GET /devices/a%252F%23%3F..%2B?api-version=2021-04-12 HTTP/1.1"
    );
}

#[tokio::test]
async fn clones_share_one_connection_and_one_token() {
    let server = Server::with([ok(TWIN), ok(TWIN), ok(TWIN)]).await;
    let hub = server.hub();
    for _ in 0..3 {
        let hub = hub.clone();
        tokio::spawn(async move { hub.twin(&id()).await })
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(server.connections(), 1);
    let tokens: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}
