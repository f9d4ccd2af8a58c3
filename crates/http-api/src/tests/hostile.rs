//! What nobody means well by: bodies that blow up, headers twice, paths that lead elsewhere, ids that
//! are none. Each is refused with a status and a text of the APIs, or means what it would anyway.

use axum::http::{HeaderValue, StatusCode};

use crate::testing::{INTERNAL, MANAGEMENT, World, claims, request, token};

const CREATE: &str = "POST /integrations";

#[tokio::test]
async fn a_body_that_blows_up_is_400_and_stores_nothing() {
    let world = World::new();
    let deep = |open: &str, close: &str| open.repeat(50_000) + &close.repeat(50_000);
    for bomb in [
        deep("[", "]"),
        deep(r#"{"a":"#, "}"),
        r#"{"id":"#.to_owned() + &deep("[", "]") + "}",
        r#"{"id":"d","revision":1e999999999}"#.to_owned(),
        r#"{"id":"d","revision":99999999999999999999999999}"#.to_owned(),
        r#"{"id":"d","revision":-1}"#.to_owned(),
        r#"{"id":"d","created_ts":"-99999-01-01T00:00:00Z"}"#.to_owned(),
        "{\"id\":\"d\"".to_owned(),
        "\u{feff}{\"id\":\"d\"}".to_owned(),
        r#"{"id":"\ud800"}"#.to_owned(),
    ] {
        for line in [
            "POST /tenants//devices",
            "PUT /tenants//bulk/devices/status/accepted",
        ] {
            let answer = world.internal(line, &bomb).await;
            let shown: String = bomb.chars().take(60).collect();
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{line}: {shown}");
            assert!(answer.error().len() < 300, "{}", answer.error());
        }
        let answer = world.management(CREATE, &bomb).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert!(world.held().events.is_empty());
    assert!(world.held().integrations.is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_malformed_request_body() {
    let world = World::new();
    let mut sent = request(INTERNAL, "POST /tenants//devices", &[], "");
    *sent.body_mut() = axum::body::Body::from(&b"{\"id\":\"\xff\xfe\"}"[..]);
    let answer = world.send(sent).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().starts_with("malformed request body: "));
}

#[tokio::test]
async fn a_header_that_is_there_twice_counts_once_and_never_mixes_two_users() {
    let world = World::new();
    let bearer = |tenant: &str| format!("Bearer {}", token(&claims("ann", tenant)));
    let headers = [
        ("authorization", bearer("t1")),
        ("authorization", bearer("t2")),
        ("x-men-requestid", "one".to_owned()),
        ("x-men-requestid", "two".to_owned()),
    ];
    let answer = world
        .send(request(MANAGEMENT, "GET /devices/d/state", &headers, ""))
        .await;
    assert_eq!(answer.headers["x-men-requestid"], "one");
    assert_eq!(answer.error(), "device not found");
    let mut sent = request(MANAGEMENT, "GET /integrations", &[], "");
    let odd = HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    sent.headers_mut().insert("authorization", odd);
    assert_eq!(world.send(sent).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_404_and_does_nothing() {
    let world = World::new();
    for line in [
        "DELETE /tenants/t1/../",
        "DELETE /tenants//..",
        "DELETE /tenants/%2F",
        "GET /tenants/../alive",
        "GET /%2e%2e/alive",
        "GET /alive%00",
        "GET /ALIVE",
        "GET //alive",
        "GET /alive/alive",
        "POST /tenants/a/b/devices",
        "GET /tenants/%ff/devices",
        "POST /tenants/%ff/devices",
    ] {
        let answer = world.internal(line, r#"{"id":"d"}"#).await;
        let nothing = [
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        assert!(
            nothing.contains(&answer.status),
            "{line}: {}",
            answer.status
        );
    }
    assert!(
        world.held().forgotten.is_empty(),
        "{:?}",
        world.held().forgotten
    );
    assert!(world.held().events.is_empty());
}

#[tokio::test]
async fn a_tenant_of_odd_characters_is_itself_and_no_other() {
    let world = World::new();
    for (path, tenant) in [
        ("%2A", "*"),
        ("%3E", ">"),
        ("a.b", "a.b"),
        ("a%20b", "a b"),
        ("%D1%82", "т"),
        ("%3D", "="),
        ("..", ".."),
    ] {
        let line = format!("POST /tenants/{path}/devices");
        let answer = world.internal(&line, r#"{"id":"d"}"#).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{path}");
        let told = world.held().events.pop().unwrap();
        assert_eq!(told.about.tenant.as_str(), tenant);
        let token_of = told.about.tenant.to_token();
        assert!(
            !token_of.contains(['.', '*', '>', ' ']),
            "one token: {token_of}"
        );
    }
    for path in ["x".repeat(129), "%D1%82".repeat(65)] {
        for line in [
            format!("POST /tenants/{path}/devices"),
            format!("DELETE /tenants/{path}"),
        ] {
            let answer = world.internal(&line, r#"{"id":"d"}"#).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(answer.error().starts_with("invalid tenant ID: "));
        }
    }
    let stranger = token(&claims("ann", &"x".repeat(129)));
    let answer = world.of(&stranger, "GET /integrations", "").await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(world.held().events.is_empty() && world.held().forgotten.is_empty());
}

#[tokio::test]
async fn no_error_repeats_what_it_was_sent_or_breaks_a_line() {
    let world = World::new();
    let odd = "hunter2-\\u001b[31m\\r\\n";
    for (line, body) in [
        ("POST /tenants//devices", format!(r#"{{"id":7,"{odd}":1}}"#)),
        ("POST /tenants//devices", format!(r#"{{"id":"{odd};"}}"#)),
        (
            "PUT /tenants//bulk/devices/status/accepted",
            format!(r#"["{odd}"]"#),
        ),
    ] {
        let answer = world.internal(line, &body).await;
        let text = answer.body;
        assert!(
            !text.contains("hunter2") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_uuid_of_a_state_is_taken_in_every_form_and_a_text_too_long_in_none() {
    let world = World::new();
    for form in [
        "3F6C0000-0000-4000-8000-000000000000",
        "%7B3f6c0000-0000-4000-8000-000000000000%7D",
        "urn:uuid:3f6c0000-0000-4000-8000-000000000000",
        "3f6c0000000040008000000000000000",
    ] {
        let answer = world
            .management(&format!("GET /devices/d/state/{form}"), "")
            .await;
        assert_eq!(answer.error(), "integration not found", "{form}");
    }
    let long = "3".repeat(10_000);
    let answer = world
        .management(&format!("GET /devices/d/state/{long}"), "")
        .await;
    assert_eq!(answer.error(), "integration ID is not a valid UUID");
}

#[tokio::test]
async fn a_success_without_a_body_is_truly_empty() {
    let world = World::new();
    for (line, body) in [
        ("GET /alive", ""),
        ("GET /health", ""),
        ("POST /tenants//devices", r#"{"id":"d"}"#),
        ("PUT /tenants//bulk/devices/status/accepted", "[]"),
        ("DELETE /tenants//devices/d", ""),
        ("DELETE /tenants/t", ""),
    ] {
        let answer = world.internal(line, body).await;
        assert!(answer.status.is_success(), "{line}");
        assert_eq!(answer.body, "", "{line}");
        assert!(!answer.headers.contains_key("content-type"), "{line}");
    }
}
