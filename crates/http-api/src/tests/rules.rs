//! What holds for every request.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::StatusCode;

use crate::testing::{INTERNAL, MANAGEMENT, World, request};
use crate::{Answered, Limits, Offered, Watch};

#[tokio::test]
async fn alive_is_204_whatever_is_away() {
    let world = World::new();
    world.held().is_away = true;
    let answer = world.internal("GET /alive", "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
}

#[tokio::test]
async fn health_is_204_or_503_with_nothing_but_the_error() {
    let world = World::new();
    assert_eq!(world.internal("GET /health", "").await.status, 204);
    world.held().is_away = true;
    let answer = world.internal("GET /health", "").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, r#"{"error":"the message broker is away"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_is_503_within_two_seconds() {
    let world = World::new();
    world.held().hangs = true;
    let began = tokio::time::Instant::now();
    assert_eq!(world.internal("GET /health", "").await.status, 503);
    assert!(began.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn health_is_503_first_when_the_service_is_about_to_stop() {
    let world = World::new();
    world.api.begin_to_stop();
    assert_eq!(world.internal("GET /health", "").await.status, 503);
    assert_eq!(world.internal("GET /alive", "").await.status, 204);
    let provisioned = world
        .internal("POST /tenants//devices", r#"{"id":"d"}"#)
        .await;
    assert_eq!(provisioned.status, 202);
}

#[tokio::test]
async fn a_request_id_is_echoed_in_header_and_error() {
    let world = World::new();
    let headers = [("X-MEN-RequestID", "req-1".to_owned())];
    let answer = world
        .send(request(INTERNAL, "GET /nothing", &headers, ""))
        .await;
    assert_eq!(answer.headers["x-men-requestid"], "req-1");
    assert_eq!(answer.body, r#"{"error":"not found","request_id":"req-1"}"#);
}

#[tokio::test]
async fn without_a_request_id_or_with_one_that_is_no_short_text_a_random_uuid_is_made() {
    let world = World::new();
    for headers in [
        vec![],
        vec![("X-MEN-RequestID", String::new())],
        vec![("X-MEN-RequestID", "a b".to_owned())],
        vec![("X-MEN-RequestID", "x".repeat(1000))],
    ] {
        let answer = world
            .send(request(INTERNAL, "GET /alive", &headers, ""))
            .await;
        let id = answer.headers["x-men-requestid"].to_str().unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    }
}

#[tokio::test]
async fn no_such_route_is_404_not_found() {
    let world = World::new();
    for line in ["GET /nothing", "DELETE /tenants/", "GET /tenants"] {
        let answer = world.internal(line, "").await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::NOT_FOUND, "not found".into())
        );
    }
}

#[tokio::test]
async fn deleting_a_device_of_the_published_document_is_404_even_without_a_token() {
    let world = World::new();
    let answer = world
        .send(request(MANAGEMENT, "DELETE /devices/d", &[], ""))
        .await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::NOT_FOUND, "not found".into())
    );
}

#[tokio::test]
async fn another_method_is_405_also_head() {
    let world = World::new();
    for line in [
        "HEAD /alive",
        "GET /tenants//devices",
        "OPTIONS /health",
        "PATCH /tenants/t",
    ] {
        let answer = world.internal(line, "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{line}");
        assert_eq!(answer.error(), "method not allowed");
    }
}

#[tokio::test]
async fn a_slash_too_many_is_301_for_get_and_307_for_the_rest() {
    let world = World::new();
    let answer = world.management("GET /events/?page=2", "").await;
    assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(
        answer.headers["location"],
        format!("{MANAGEMENT}/events?page=2")
    );
    let answer = world.internal("POST /tenants//devices/", "{}").await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        answer.headers["location"],
        format!("{INTERNAL}/tenants//devices")
    );
}

#[tokio::test]
async fn a_body_of_more_than_one_mib_is_413_announced_or_not() {
    let world = World::new();
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(1024 * 1024));
    let length = ("content-length", long.len().to_string());
    for headers in [vec![], vec![length]] {
        for (prefix, line) in [
            (INTERNAL, "POST /tenants//devices"),
            (INTERNAL, "PUT /tenants//bulk/devices/status/accepted"),
        ] {
            let answer = world.send(request(prefix, line, &headers, &long)).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(answer.error(), "http: request body too large");
        }
    }
    let answer = world.management("POST /integrations", &long).await;
    assert_eq!(answer.error(), "http: request body too large");
    assert!(world.held().events.is_empty());
}

#[tokio::test]
async fn a_panic_is_500_internal_error() {
    let world = World::new();
    let string = "HostName=panic;SharedAccessKeyName=p;SharedAccessKey=MDEyMzQ1";
    let body = format!(
        r#"{{"provider":"iot-hub","credentials":{{"type":"sas","connection_string":"{string}"}}}}"#
    );
    let answer = world.management("POST /integrations", &body).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.error(), "internal error");
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let world = World::new();
    let headers = [("content-type", "text/plain".to_owned())];
    let body = r#"{"id":"d"}"#;
    let answer = world
        .send(request(INTERNAL, "POST /tenants//devices", &headers, body))
        .await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn too_many_at_once_are_503_with_a_time_to_come_back() {
    let world = World::with(Limits {
        in_flight: 0,
        ..Limits::default()
    });
    let answer = world
        .internal("POST /tenants//devices", r#"{"id":"d"}"#)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(world.internal("GET /alive", "").await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::new();
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let mut sent = request(INTERNAL, "POST /tenants//devices", &[], "");
    *sent.body_mut() = Body::from_stream(never);
    assert_eq!(world.send(sent).await.status, StatusCode::REQUEST_TIMEOUT);
}

/// Keeps what it hears.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(&'static str, &'static str, u16)>>);

impl Watch for Heard {
    fn answered(&self, answered: &Answered) {
        let Answered { method, route, .. } = *answered;
        let heard = (method, route, answered.status.as_u16());
        self.0.lock().unwrap().push(heard);
    }
}

#[tokio::test]
async fn who_watches_hears_of_each_answer_and_of_no_name_that_a_caller_chose() {
    let heard = Arc::new(Heard::default());
    let api = World::new().api.watched_by(heard.clone());
    let world = World { api };
    world.internal("GET /alive", "").await;
    world.internal("DELETE /tenants/t1/devices/d1", "").await;
    world.management("GET /integrations", "").await;
    let offered = Offered {
        internal: true,
        management: true,
    };
    for line in ["GET /d1", "BREW /alive", "POST /alive"] {
        let request = request(INTERNAL, line, &[], "");
        world.api.answer(offered, request).await;
    }
    let expected = [
        ("GET", "alive", 204),
        ("DELETE", "tenants/:/devices/:", 202),
        ("GET", "integrations", 200),
        ("GET", "", 404),
        ("OTHER", "", 405),
        ("POST", "", 405),
    ];
    assert_eq!(*heard.0.lock().unwrap(), expected);
}
