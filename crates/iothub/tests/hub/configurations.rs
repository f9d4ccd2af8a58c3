//! Configurations, deployments and digital twins as they go over the wire.

use std::collections::BTreeMap;

use iothub::{Command, Configuration, ConfigurationContent, Kind, NewConfiguration};
use serde_json::json;

use crate::server::{Server, answer, id, ok};

const SENT: &str = r#"{"id":"c1","content":{"deviceContent":{"properties.desired.x":1}},"targetCondition":"*","priority":10,"etag":"MQ=="}"#;

#[tokio::test]
async fn a_configuration_lives_through_all_its_calls() {
    let list = format!("[{SENT}]");
    let gone = answer("204 No Content", "", "");
    let server = Server::with([ok(SENT), ok(&list), ok(SENT), ok(SENT), gone]).await;
    let hub = server.hub();
    let content = ConfigurationContent::device(json!({"properties.desired.x": 1})).unwrap();
    let new = NewConfiguration::new("c1".parse().unwrap(), content);
    hub.create_configuration(&new).await.unwrap();
    assert_eq!(hub.configurations().await.unwrap().len(), 1);
    let mut read: Configuration = hub.configuration(&new.id).await.unwrap();
    read.set_priority(11);
    hub.update_configuration(&read).await.unwrap();
    hub.delete_configuration(&new.id, "MQ==").await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("if-match"), None);
    assert_eq!(seen[3].header("if-match"), Some("\"MQ==\""));
    assert!(
        seen[3].body.contains(r#""priority":11"#),
        "{}",
        seen[3].body
    );
    assert!(seen[4].line().starts_with("DELETE /configurations/c1?"));
}

#[tokio::test]
async fn an_answer_about_another_configuration_is_not_believed() {
    let server = Server::with([ok(&SENT.replace("c1", "c2"))]).await;
    let error = server
        .hub()
        .configuration(&"c1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
}

#[tokio::test]
async fn queries_are_tested_and_modules_applied() {
    let server = Server::with([
        ok(r#"{"targetConditionError":"near 'x'","customMetricQueryErrors":{}}"#),
        answer("204 No Content", "", ""),
    ])
    .await;
    let hub = server.hub();
    let test = hub.test_queries("x", &BTreeMap::new()).await.unwrap();
    assert_eq!(test.condition_error.as_deref(), Some("near 'x'"));
    let modules = ConfigurationContent::edge(json!({"$edgeAgent": {}})).unwrap();
    hub.apply_content(&id(), &modules).await.unwrap();
    assert!(
        server.seen()[1]
            .line()
            .starts_with("POST /devices/dev-1/applyConfigurationContent?")
    );
}

#[tokio::test]
async fn a_digital_twin_is_read_patched_and_commanded() {
    let body = r#"{"$dtId":"dev-1","$metadata":{"$model":"dtmi:a;1"}}"#;
    let server = Server::with([
        answer("200 OK", "ETag: \"AAE=\"\r\n", body),
        answer("202 Accepted", "ETag: \"AAI=\"\r\n", ""),
        answer(
            "200 OK",
            "x-ms-command-statuscode: 203\r\n",
            r#"{"done":1}"#,
        ),
        answer("200 OK", "", ""),
    ])
    .await;
    let hub = server.hub();
    let twin = hub.digital_twin(&id()).await.unwrap();
    assert_eq!(
        (twin.etag.as_deref(), twin.model_id()),
        (Some("AAE="), "dtmi:a;1")
    );
    let patch = json!([{"op": "add", "path": "/x", "value": 1}]);
    let new = hub
        .patch_digital_twin(&id(), &patch, twin.etag.as_deref())
        .await;
    assert_eq!(new.unwrap().as_deref(), Some("AAI="));
    let command = Command::new("reboot").unwrap();
    let answer = hub.call_command(&id(), &command).await.unwrap();
    assert_eq!(
        (answer.status, answer.payload),
        (Some(203), json!({"done": 1}))
    );
    let answer = hub.call_command(&id(), &command).await.unwrap();
    assert_eq!((answer.status, answer.payload), (None, json!(null)));
}
