//! Configurations and edge deployments as an SDK sees them.

use serde_json::{Value, json};

use crate::harness::Emulator;

fn body() -> Value {
    json!({
        "id": "c1", "schemaVersion": null, "labels": {"a": "b"}, "targetCondition": "tags.site = 1", "priority": 5,
        "content": {"deviceContent": {"properties.desired.chiller": {"on": true}}},
        "metrics": {"queries": {"all": "SELECT deviceId FROM devices"}},
    })
}

fn start() -> Emulator {
    Emulator::start(&["--configuration-ms", "50"])
}

#[tokio::test]
async fn a_configuration_lives_from_create_to_delete() {
    let hub = start();
    let put = async |if_match: Option<&str>| {
        hub.send("PUT", "/configurations/c1", if_match, Some(&body()))
            .await
    };
    let made = put(None).await;
    assert_eq!(
        (made.status, made.header("etag")),
        (200, Some("\"MQ==\"")),
        "{}",
        made.text
    );
    assert_eq!(
        put(Some("MQ==")).await.header("iothub-errorcode"),
        Some("ConfigurationAlreadyExists")
    );
    assert_eq!(put(Some("\"MQ==\"")).await.json()["etag"], "Mg==");
    assert_eq!(put(Some("\"MQ==\"")).await.status, 412);
    assert_eq!(
        hub.send("GET", "/configurations?top=0", None, None)
            .await
            .json()[0]["id"],
        "c1"
    );
    assert_eq!(
        hub.send("DELETE", "/configurations/c1", Some("\"MQ==\""), None)
            .await
            .status,
        412
    );
    assert_eq!(
        hub.send("DELETE", "/configurations/c1", None, None)
            .await
            .status,
        204
    );
    let gone = hub.send("GET", "/configurations/c1", None, None).await;
    assert_eq!(
        (gone.status, gone.header("iothub-errorcode")),
        (404, Some("ConfigurationNotFound"))
    );
}

#[tokio::test]
async fn it_is_applied_to_what_it_targets_and_counted() {
    let hub = start();
    hub.control("PUT", "/devices/in", r#"{"tags":{"site":1}}"#)
        .await;
    hub.control("PUT", "/devices/out", r#"{"tags":{"site":2}}"#)
        .await;
    hub.send("PUT", "/configurations/c1", None, Some(&body()))
        .await;
    let twin = hub
        .seen("/twins/in", |twin| {
            twin["configurations"]["c1"]["status"] == "Applied"
        })
        .await;
    assert_eq!(
        twin["properties"]["desired"]["chiller"],
        json!({"on": true})
    );
    let counted = hub
        .seen("/configurations/c1", |it| {
            it["systemMetrics"]["results"]["appliedCount"] == 1
        })
        .await;
    assert_eq!(
        (
            &counted["systemMetrics"]["results"]["targetedCount"],
            &counted["metrics"]["results"]["all"]
        ),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        hub.send("GET", "/twins/out", None, None).await.json()["configurations"],
        Value::Null
    );
    hub.control("PUT", "/devices/out", r#"{"tags":{"site":1}}"#)
        .await;
    hub.seen("/twins/out", |twin| {
        twin["configurations"]["c1"]["status"] == "Applied"
    })
    .await;
    let query = json!({"query": "SELECT deviceId FROM devices WHERE configurations.[[c1]].status = 'Applied'"});
    let rows = hub
        .send("POST", "/devices/query", None, Some(&query))
        .await
        .json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    hub.send("DELETE", "/configurations/c1", Some("*"), None)
        .await;
    let twin = hub
        .seen("/twins/in", |twin| twin["configurations"].is_null())
        .await;
    assert_eq!(
        twin["properties"]["desired"]["chiller"],
        json!({"on": true}),
        "what it wrote must stay"
    );
}

#[tokio::test]
async fn queries_can_be_tried_first() {
    let hub = start();
    let body = json!({"targetCondition": "tags.a = 1", "customMetricQueries": {"good": "SELECT * FROM devices", "bad": "SELECT"}});
    let tried = hub
        .send("POST", "/configurations/testQueries", None, Some(&body))
        .await;
    assert_eq!(
        (tried.status, &tried.json()["targetConditionError"]),
        (200, &Value::Null)
    );
    let errors = tried.json()["customMetricQueryErrors"].clone();
    assert!(errors["bad"].is_string() && errors.get("good").is_none());
    let star = hub
        .send(
            "POST",
            "/configurations/testQueries",
            None,
            Some(&json!({"targetCondition": "*"})),
        )
        .await;
    assert!(star.json()["targetConditionError"].is_string());
}

#[tokio::test]
async fn content_is_applied_to_one_edge_device() {
    let hub = start();
    hub.control(
        "PUT",
        "/devices/edge",
        r#"{"capabilities":{"iotEdge":true}}"#,
    )
    .await;
    hub.control("PUT", "/devices/leaf", "").await;
    let content = json!({"modulesContent": {"$edgeAgent": {"properties.desired": {"schemaVersion": "1.0"}}, "m1": {"properties.desired": {"a": 1}}}});
    let apply = async |id: &str, content: &Value| {
        let path = format!("/devices/{id}/applyConfigurationContent");
        hub.send("POST", &path, None, Some(content)).await.status
    };
    assert_eq!(apply("edge", &content).await, 204);
    let twin = hub
        .send("GET", "/twins/edge/modules/m1", None, None)
        .await
        .json();
    assert_eq!(twin["properties"]["desired"]["a"], 1);
    assert_eq!(
        (
            apply("leaf", &content).await,
            apply("nobody", &content).await
        ),
        (400, 404)
    );
    assert_eq!(apply("edge", &json!({"deviceContent": {}})).await, 400);
}
