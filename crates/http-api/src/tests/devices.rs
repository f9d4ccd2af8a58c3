//! Provisioning, statuses, decommissioning, and the end of a tenant.

use axum::http::StatusCode;
use lifecycle::Status;
use serde_json::json;

use crate::testing::{Answer, INTERNAL, World, request};

fn device() -> serde_json::Value {
    json!({
        "id": "7b1f0f5e", "status": "accepted", "revision": 3,
        "created_ts": "2026-08-20T10:11:12.345Z", "later": [1],
        "auth_sets": [{"id": "a", "device_id": "7b1f0f5e", "identity_data": {"mac": "00:11"},
            "pubkey": "PEM", "status": "accepted", "ts": "2026-08-20T10:11:12.345Z"}],
    })
}

#[track_caller]
fn accepted(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::ACCEPTED, "")
    );
}

#[tokio::test]
async fn a_provisioned_device_is_an_event_with_all_that_counts() {
    let world = World::new();
    accepted(
        &world
            .internal("POST /tenants//devices", &device().to_string())
            .await,
    );
    let event = world.held().events[0].clone();
    assert_eq!(event.about.device.as_str(), "7b1f0f5e");
    assert_eq!(event.about.tenant.as_str(), "");
    assert_eq!((event.status, event.revision), (Status::Accepted, Some(3)));
    assert_eq!(event.created.unwrap().as_micros(), 1_787_220_672_345_000);
    assert!(event.id.0.starts_with("http-provision-"), "{:?}", event.id);
}

#[tokio::test]
async fn the_tenant_of_the_path_counts() {
    let world = World::new();
    accepted(
        &world
            .internal("POST /tenants/t1/devices", r#"{"id":"d"}"#)
            .await,
    );
    assert_eq!(world.held().events[0].about.tenant.as_str(), "t1");
}

#[tokio::test]
async fn the_old_name_of_the_id_wins() {
    let world = World::new();
    let body = r#"{"id":"new","device_id":"old"}"#;
    accepted(&world.internal("POST /tenants//devices", body).await);
    assert_eq!(world.held().events[0].about.device.as_str(), "old");
}

#[tokio::test]
async fn a_device_without_id_is_missing_device_id() {
    let world = World::new();
    for body in ["{}", "null", r#"{"id":""}"#, r#"{"id":null}"#] {
        let answer = world.internal("POST /tenants//devices", body).await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::BAD_REQUEST, "missing device ID".into())
        );
    }
}

#[tokio::test]
async fn a_device_that_cannot_be_read_is_a_malformed_request_body() {
    let world = World::new();
    for body in [
        "",
        "nonsense",
        "[]",
        r#"{"id":7}"#,
        r#"{"id":"d","auth_sets":{}}"#,
        r#"{"id":"d","auth_sets":[{"id":1}]}"#,
        r#"{"id":"d","auth_sets":[{"identity_data":"x"}]}"#,
        r#"{"id":"d","created_ts":"yesterday"}"#,
        r#"{"id":"d","status":"unheard of"}"#,
        r#"{"id":"a/b"}"#,
    ] {
        let answer = world.internal("POST /tenants//devices", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(
            answer.error().starts_with("malformed request body: "),
            "{}",
            answer.body
        );
    }
    assert!(world.held().events.is_empty());
}

#[tokio::test]
async fn a_bulk_call_is_one_event_for_each_device() {
    let world = World::new();
    let body = r#"[{"id":"a","revision":7},{"device_id":"b"},{},{"id":""}]"#;
    accepted(
        &world
            .internal("PUT /tenants//bulk/devices/status/rejected", body)
            .await,
    );
    let events = world.held().events.clone();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.status == Status::Rejected));
    assert_eq!(events[0].revision, Some(7));
}

#[tokio::test]
async fn a_bulk_call_of_nobody_is_202() {
    let world = World::new();
    for body in ["[]", "null"] {
        accepted(
            &world
                .internal("PUT /tenants//bulk/devices/status/noauth", body)
                .await,
        );
    }
}

#[tokio::test]
async fn every_status_is_known_and_others_are_invalid_before_the_body_is_read() {
    let world = World::new();
    for status in [
        "accepted",
        "noauth",
        "pending",
        "preauthorized",
        "rejected",
        "decommissioned",
    ] {
        let line = format!("PUT /tenants//bulk/devices/status/{status}");
        accepted(&world.internal(&line, "[]").await);
    }
    for status in ["dismissed", "Accepted", "x"] {
        let line = format!("PUT /tenants//bulk/devices/status/{status}");
        let answer = world.internal(&line, "nonsense").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), format!("invalid status '{status}'"));
    }
}

#[tokio::test]
async fn a_bulk_body_that_cannot_be_read_is_an_invalid_request_body() {
    let world = World::new();
    for body in [
        "",
        "{}",
        "[1]",
        r#"[{"id":1}]"#,
        r#"[{"id":"d","auth_sets":[1]}]"#,
    ] {
        let answer = world
            .internal("PUT /tenants//bulk/devices/status/pending", body)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(
            answer.error().starts_with("invalid request body: "),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn one_hundred_devices_are_taken_and_one_more_is_too_many() {
    let world = World::new();
    let devices = |n: usize| {
        json!(
            (0..n)
                .map(|i| json!({"id": format!("d{i}")}))
                .collect::<Vec<_>>()
        )
    };
    let line = "PUT /tenants//bulk/devices/status/accepted";
    accepted(&world.internal(line, &devices(100).to_string()).await);
    assert_eq!(world.held().events.len(), 100);
    let answer = world.internal(line, &devices(101).to_string()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.error(),
        "too many bulk items: max 100 items per request"
    );
}

#[tokio::test]
async fn a_decommission_is_202_also_of_what_cannot_be_a_device_and_the_second_time() {
    let world = World::new();
    for _ in 0..2 {
        accepted(&world.internal("DELETE /tenants//devices/d", "").await);
    }
    accepted(&world.internal("DELETE /tenants//devices/a%20b", "{}").await);
    let events = world.held().events.clone();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].status, Status::Decommissioned);
    assert_eq!(events[0].revision, None);
}

#[tokio::test]
async fn the_preauth_delete_has_no_revision_that_could_be_compared() {
    let world = World::new();
    let body = r#"[{"id":"d","revision":0}]"#;
    accepted(
        &world
            .internal("PUT /tenants//bulk/devices/status/decommissioned", body)
            .await,
    );
    let event = world.held().events[0].clone();
    assert_eq!(
        (event.status, event.revision),
        (Status::Decommissioned, None)
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_503() {
    let world = World::new();
    world.held().is_away = true;
    for (line, body) in [
        ("POST /tenants//devices", r#"{"id":"d"}"#),
        (
            "PUT /tenants//bulk/devices/status/accepted",
            r#"[{"id":"d"}]"#,
        ),
        ("DELETE /tenants//devices/d", ""),
        ("DELETE /tenants/t1", ""),
    ] {
        let answer = world.internal(line, body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{line}");
        assert_eq!(answer.error(), "the message broker is away");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_in_time_is_503_within_two_seconds() {
    let world = World::new();
    world.held().hangs = true;
    let began = tokio::time::Instant::now();
    let answer = world
        .internal("POST /tenants//devices", r#"{"id":"d"}"#)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(began.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn each_call_is_an_event_of_its_own() {
    let world = World::new();
    let headers = [("X-MEN-RequestID", "r1".to_owned())];
    let line = "PUT /tenants//bulk/devices/status/accepted";
    for _ in 0..2 {
        accepted(
            &world
                .send(request(INTERNAL, line, &headers, r#"[{"id":"d"}]"#))
                .await,
        );
    }
    let events = world.held().events.clone();
    assert_ne!(events[0].id, events[1].id);
}

#[tokio::test]
async fn a_tenant_is_forgotten_with_204_and_the_empty_one_cannot_be() {
    let world = World::new();
    let answer = world.internal("DELETE /tenants/t1", "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    assert_eq!(world.internal("DELETE /tenants/", "").await.status, 404);
    assert_eq!(world.held().forgotten, ["t1".parse().unwrap()]);
}
