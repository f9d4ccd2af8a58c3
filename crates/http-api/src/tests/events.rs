//! The log of events.

use axum::http::StatusCode;
use lifecycle::{Outcome, Status, Timestamp};
use messages::OutcomeMessage;
use serde_json::{Value, json};

use crate::ports::{Integrations as _, Logged};
use crate::testing::World;

fn logged(second: i64, id: &str, status: Status, outcome: Outcome) -> Logged {
    Logged {
        time: Timestamp::from_micros(second * 1_000_000),
        outcome: OutcomeMessage {
            event_id: id.to_owned(),
            tenant_id: Some("t1".to_owned()),
            device_id: Some("d".to_owned()),
            status: Some(status),
            revision: None,
            created_ts: None,
            outcome,
            reason: None,
            replay: 0,
        },
    }
}

async fn listed(world: &World, query: &str) -> Vec<Value> {
    let answer = world.management(&format!("GET /events{query}"), "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(!answer.headers.contains_key("link"));
    answer.json().as_array().unwrap().clone()
}

fn many(count: i64) -> World {
    let world = World::new();
    let log = (0..count).rev();
    let log = log.map(|n| logged(n, &format!("E-{n}"), Status::Pending, Outcome::Applied));
    world.held().log = log.collect();
    world
}

#[tokio::test]
async fn an_event_has_the_form_that_mender_knows() {
    let world = World::new();
    let mut provisioned = logged(1, "http-provision-x", Status::Accepted, Outcome::Applied);
    provisioned.outcome.created_ts = Some(Timestamp::from_micros(1_234_000));
    world.held().log = vec![provisioned];
    let event = listed(&world, "").await.remove(0);
    assert!(event["id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let integration = world.api.backend.id(&"t1".parse().unwrap());
    let expected = json!({
        "id": event["id"], "type": "device-provisioned", "time": "1970-01-01T00:00:01.000Z",
        "data": {"id": "d", "status": "accepted", "created_ts": "1970-01-01T00:00:01.234Z"},
        "delivery_statuses": [{"integration_id": integration, "success": true}],
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn each_kind_of_event_has_its_type_and_data() {
    let world = World::new();
    world.held().log = vec![
        logged(4, "http-status-x", Status::Accepted, Outcome::Applied),
        logged(3, "WORKFLOWS-1", Status::Rejected, Outcome::Unchanged),
        logged(2, "WORKFLOWS-2", Status::Decommissioned, Outcome::Applied),
        logged(1, "WORKFLOWS-3", Status::Accepted, Outcome::Superseded),
    ];
    let found = listed(&world, "").await;
    let types: Vec<_> = found
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "device-status-changed",
            "device-status-changed",
            "device-decommissioned",
            "device-provisioned"
        ]
    );
    assert_eq!(found[1]["data"], json!({"id": "d", "status": "rejected"}));
    assert_eq!(found[2]["data"], json!({"id": "d"}));
}

#[tokio::test]
async fn failures_are_told_and_absent_devices_have_no_delivery() {
    let world = World::new();
    let mut dead = logged(3, "a", Status::Pending, Outcome::Dead);
    dead.outcome.reason = Some("the hub refused".to_owned());
    let mut foreign = logged(2, "b", Status::Accepted, Outcome::Ignored);
    foreign.outcome.reason = Some("the identity is somebody else's".to_owned());
    let absent = logged(1, "c", Status::Decommissioned, Outcome::Unchanged);
    world.held().log = vec![dead, foreign, absent];
    let found = listed(&world, "").await;
    let status = &found[0]["delivery_statuses"][0];
    assert_eq!(
        (&status["success"], &status["error"]),
        (&json!(false), &json!("the hub refused"))
    );
    assert_eq!(found[1]["delivery_statuses"][0]["success"], false);
    assert!(found[2].get("delivery_statuses").is_none());
}

#[tokio::test]
async fn without_an_integration_nothing_was_an_event() {
    let world = World::new();
    let mut ignored = logged(1, "a", Status::Accepted, Outcome::Ignored);
    ignored.outcome.reason = Some("the tenant has no integration".to_owned());
    world.held().log = vec![ignored];
    assert!(listed(&world, "").await.is_empty());
}

#[tokio::test]
async fn what_came_in_two_ways_is_one_event() {
    let world = World::new();
    let event = |second, id: &str, outcome| {
        let mut event = logged(second, id, Status::Accepted, outcome);
        event.outcome.revision = Some(5);
        event
    };
    world.held().log = vec![
        event(2, "WORKFLOWS-1", Outcome::Superseded),
        event(1, "http-provision-x", Outcome::Applied),
    ];
    assert_eq!(listed(&world, "").await.len(), 1);
    world.held().log = vec![
        event(2, "WORKFLOWS-1", Outcome::Superseded),
        event(1, "http-provision-x", Outcome::Unchanged),
    ];
    assert_eq!(
        listed(&world, "").await[0]["time"],
        "1970-01-01T00:00:01.000Z"
    );
}

#[tokio::test]
async fn pages_are_of_twenty_and_the_newest_come_first() {
    let world = many(45);
    let first = listed(&world, "").await;
    assert_eq!(
        (first.len(), &first[0]["time"]),
        (20, &json!("1970-01-01T00:00:44.000Z"))
    );
    let third = listed(&world, "?page=3").await;
    assert_eq!(
        (third.len(), &third[4]["time"]),
        (5, &json!("1970-01-01T00:00:00.000Z"))
    );
    assert!(listed(&world, "?page=4").await.is_empty());
    assert!(listed(&world, "?page=9223372036854775807").await.is_empty());
    assert_eq!(listed(&world, "?page=&per_page=500").await.len(), 45);
    assert_eq!(
        listed(&world, "?page=2&per_page=2").await[0]["time"],
        "1970-01-01T00:00:42.000Z"
    );
}

#[tokio::test]
async fn wrong_pages_are_400() {
    let world = World::new();
    for (query, text) in [
        ("page=foo", r#"invalid page query: "foo""#),
        ("per_page=foo", r#"invalid per_page query: "foo""#),
        (
            "page=0",
            "invalid page query: value must be a non-zero positive integer",
        ),
        (
            "page=-1",
            "invalid page query: value must be a non-zero positive integer",
        ),
        (
            "per_page=0",
            "invalid per_page query: value must be a non-zero positive integer",
        ),
        (
            "per_page=501",
            r#"parameter "per_page" above limit (max: 500)"#,
        ),
        ("integration_id=trash", "integration ID is not a valid UUID"),
    ] {
        let answer = world.management(&format!("GET /events?{query}"), "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), text);
    }
}

#[tokio::test]
async fn an_integration_is_a_filter() {
    let world = many(3);
    let ours = world.api.backend.id(&"t1".parse().unwrap());
    assert_eq!(
        listed(&world, &format!("?integration_id={ours}"))
            .await
            .len(),
        3
    );
    assert_eq!(listed(&world, "?integration_id=").await.len(), 3);
    let other = uuid::Uuid::nil();
    assert!(
        listed(&world, &format!("?integration_id={other}"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_503() {
    let world = World::new();
    world.held().is_away = true;
    assert_eq!(world.management("GET /events", "").await.status, 503);
}
