//! Twins.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ports::{DeviceState, Integrations as _, StateError};
use crate::testing::{Answer, MANAGEMENT, World, claims, request, token};

/// More than a 64-bit float keeps.
const LONG: &str = "9007199254740993";

fn world() -> (World, Uuid) {
    let world = World::new();
    let value = |text: &str| serde_json::from_str(text).unwrap();
    let state = DeviceState {
        desired: value(&format!(
            r#"{{"n":{LONG},"$version":3,"$metadata":{{}},"in":{{"$version":1}}}}"#
        )),
        reported: value(r#"{"$version":7,"up":1.50}"#),
        etag: "AAE=".to_owned(),
    };
    world.held().twins.insert("d".parse().unwrap(), state);
    let id = world.api.backend.id(&"t1".parse().unwrap());
    (world, id)
}

async fn put(world: &World, id: Uuid, if_match: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![(
        "authorization",
        format!("Bearer {}", token(&claims("ann", "t1"))),
    )];
    headers.extend(if_match.map(|etag| ("if-match", etag.to_owned())));
    let line = format!("PUT /devices/d/state/{id}");
    world.send(request(MANAGEMENT, &line, &headers, body)).await
}

#[tokio::test]
async fn the_state_is_named_by_the_integration_and_keeps_its_numbers() {
    let (world, id) = world();
    let answer = world.management("GET /devices/d/state", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = format!(
        r#"{{"{id}":{{"desired":{{"in":{{"$version":1}},"n":{LONG}}},"reported":{{"up":1.50}}}}}}"#
    );
    assert_eq!(answer.body, text);
}

#[tokio::test]
async fn the_state_of_one_integration_has_an_etag() {
    let (world, id) = world();
    let answer = world
        .management(&format!("GET /devices/d/state/{id}"), "")
        .await;
    assert_eq!(answer.json()["reported"].to_string(), r#"{"up":1.50}"#);
    assert_eq!(answer.headers["etag"], "\"AAE=\"");
}

#[tokio::test]
async fn a_fresh_twin_is_two_empty_objects() {
    let (world, id) = world();
    let fresh = DeviceState {
        desired: Value::Null,
        reported: json!({"$version": 1}),
        etag: String::new(),
    };
    world.held().twins.insert("e".parse().unwrap(), fresh);
    let answer = world
        .management(&format!("GET /devices/e/state/{id}"), "")
        .await;
    assert_eq!(answer.body, r#"{"desired":{},"reported":{}}"#);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (world, id) = world();
    let other = Uuid::nil();
    for (line, text) in [
        ("GET /devices/x/state".to_owned(), "device not found"),
        ("GET /devices/a%20b/state".to_owned(), "device not found"),
        (
            format!("GET /devices/x/state/{id}"),
            "integration not found",
        ),
        (
            format!("GET /devices/d/state/{other}"),
            "integration not found",
        ),
        (
            format!("PUT /devices/x/state/{id}"),
            "integration not found",
        ),
        (
            format!("PUT /devices/d/state/{other}"),
            "integration not found",
        ),
    ] {
        let answer = world.management(&line, r#"{"desired":{}}"#).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{line}");
        assert_eq!(answer.error(), text, "{line}");
    }
    assert_eq!(
        world
            .management("GET /devices/a%2Fb/state", "")
            .await
            .error(),
        "not found"
    );
}

#[tokio::test]
async fn bad_ids_are_400() {
    let (world, id) = world();
    for (line, text) in [
        (
            "GET /devices/d/state/trash".to_owned(),
            "integration ID is not a valid UUID",
        ),
        (
            "PUT /devices/d/state/trash".to_owned(),
            "integration ID is not a valid UUID",
        ),
        ("GET /devices//state".to_owned(), "device ID is empty"),
        (format!("GET /devices//state/{id}"), "device ID is empty"),
        (format!("PUT /devices//state/{id}"), "device ID is empty"),
    ] {
        let answer = world.management(&line, r#"{"desired":{}}"#).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{line}");
        assert_eq!(answer.error(), text, "{line}");
    }
}

#[tokio::test]
async fn an_edit_replaces_and_answers_with_the_new_state() {
    let (world, id) = world();
    let body = r#"{"Desired":{"m":1.50,"gone":null,"$version":3},"reported":{"x":1},"other":1}"#;
    let answer = put(&world, id, None, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        r#"{"desired":{"m":1.50},"reported":{"up":1.50}}"#
    );
    assert_eq!(answer.headers["etag"], "\"AAE=2\"");
}

#[tokio::test]
async fn an_edit_that_the_hub_would_refuse_is_a_malformed_request_body() {
    let (world, id) = world();
    let answer = put(
        &world,
        id,
        None,
        &format!(r#"{{"desired":{{"n":{LONG}}}}}"#),
    )
    .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer
            .error()
            .starts_with("malformed request body: a whole number is"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn an_edit_that_cannot_be_read_is_a_malformed_request_body() {
    let (world, id) = world();
    for (body, text) in [
        ("", "malformed request body: EOF"),
        ("nonsense", "malformed request body: "),
        (r#"{"desired":7}"#, "malformed request body: "),
        (
            r#"{"desired":{"a":{"$version":1}}}"#,
            "malformed request body: ",
        ),
        (r#"{"desired":{"a":1,"a":2}}"#, "malformed request body: "),
    ] {
        let answer = put(&world, id, None, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.error().starts_with(text), "{}", answer.body);
    }
}

#[tokio::test]
async fn if_match_lets_only_the_seen_version_be_replaced() {
    let (world, id) = world();
    let body = r#"{"desired":{"a":1}}"#;
    for etag in ["\"old\"", "old", "\"a\", \"b\""] {
        let answer = put(&world, id, Some(etag), body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{etag}");
        assert_eq!(answer.error(), "conflict when updating the device state");
    }
    for etag in ["\"AAE=\"", "W/\"AAE=2\"", "*", "\"x\", \"AAE=222\""] {
        assert_eq!(
            put(&world, id, Some(etag), body).await.status,
            200,
            "{etag}"
        );
    }
}

#[tokio::test]
async fn troubles_with_the_hub_are_told_apart_and_never_401() {
    let (world, id) = world();
    for (trouble, status) in [
        (StateError::NotFound, 404),
        (StateError::Conflict, 409),
        (StateError::Invalid("why".to_owned()), 400),
        (StateError::Throttled, 429),
        (StateError::HubRefused, 502),
        (StateError::HubUnavailable, 502),
        (StateError::TimedOut, 504),
        (StateError::Unavailable, 503),
    ] {
        // Only an edit can be in conflict.
        let is_of_edits = trouble == StateError::Conflict;
        world.held().trouble = Some(trouble);
        if !is_of_edits {
            let line = format!("GET /devices/d/state/{id}");
            assert_eq!(world.management(&line, "").await.status, status);
        }
        let answer = put(&world, id, None, r#"{"desired":{}}"#).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.headers.contains_key("retry-after"),
            [429, 503].contains(&status)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_hangs_is_504() {
    let (world, _) = world();
    world.held().hangs = true;
    let answer = world.management("GET /devices/d/state", "").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
}
