//! Who may ask.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::ports::Refusal;
use crate::testing::{Answer, MANAGEMENT, World, claims, connection_string, request, token};

/// With these headers, at a path whose id is wrong: who asks is looked at first.
async fn with(headers: &[(&str, String)]) -> Answer {
    let world = World::new();
    world
        .send(request(
            MANAGEMENT,
            "GET /integrations/no-uuid",
            headers,
            "",
        ))
        .await
}

async fn unauthorized(authorization: &str, text: &str) {
    let answer = with(&[("authorization", authorization.to_owned())]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization}");
    assert_eq!(
        answer.headers["www-authenticate"],
        "Bearer realm=\"ManagementJWT\""
    );
    assert!(answer.error().starts_with(text), "{}", answer.body);
}

#[tokio::test]
async fn without_a_token_it_is_401_authorization_not_present_in_header() {
    let answer = with(&[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers["www-authenticate"],
        "Bearer realm=\"ManagementJWT\""
    );
    assert_eq!(answer.error(), "Authorization not present in header");
}

#[tokio::test]
async fn another_form_of_the_header_is_401_malformed_authorization_header() {
    for value in ["", "Bearer", "abc", "Bearer a b", "Bearer  a"] {
        unauthorized(value, "malformed Authorization header").await;
    }
}

#[tokio::test]
async fn another_scheme_is_401_unknown_authorization_method() {
    unauthorized("Basic YTpi", "unknown Authorization method Basic").await;
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_401_identity() {
    for token in ["a", "a.b", "a.!!.c", "a.YQ.c", "a.W10.c"] {
        unauthorized(&format!("Bearer {token}"), "identity: ").await;
    }
    let long = format!("a.{}.c", "e".repeat(10_000));
    unauthorized(&format!("Bearer {long}"), "identity: ").await;
}

#[tokio::test]
async fn a_token_of_nobody_is_401_claim_sub_is_required() {
    for claims in [
        json!({"mender.user": true}),
        json!({"sub": "", "mender.user": true}),
    ] {
        let text = "identity: claim \"sub\" is required";
        unauthorized(&format!("Bearer {}", token(&claims)), text).await;
    }
}

#[tokio::test]
async fn a_token_of_no_user_is_403() {
    for claims in [
        json!({"sub": "d"}),
        json!({"sub": "d", "mender.user": false}),
    ] {
        let bearer = format!("Bearer {}", token(&claims));
        let answer = with(&[("authorization", bearer)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(
            answer.error(),
            "user identity missing from authorization token"
        );
    }
}

#[tokio::test]
async fn the_scheme_has_any_case_and_a_cookie_does_as_well() {
    let token = token(&claims("ann", "t1"));
    let bearer = ("authorization", format!("bEARER {token}"));
    let cookie = ("cookie", format!("theme=dark; JWT={token}"));
    for header in [bearer, cookie] {
        // It got as far as the wrong id.
        assert_eq!(with(&[header]).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn the_tenant_is_that_of_the_token() {
    let world = World::new();
    let body = json!({"provider": "iot-hub", "credentials": {"type": "sas", "connection_string": connection_string()}});
    let of = |tenant| token(&claims("ann", tenant));
    assert_eq!(
        world
            .of(&of("t1"), "POST /integrations", &body.to_string())
            .await
            .status,
        201
    );
    assert_eq!(
        world.of(&of("t2"), "GET /integrations", "").await.body,
        "[]"
    );
    let none: Value = json!({"sub": "ann", "mender.user": true});
    assert_eq!(
        world.of(&token(&none), "GET /integrations", "").await.body,
        "[]"
    );
}

#[tokio::test]
async fn each_request_is_judged_by_what_it_wants() {
    let world = World::new();
    let uuid = "3f6c0000-0000-4000-8000-000000000000";
    for (line, wish) in [
        ("GET /integrations", "Look".to_owned()),
        ("GET /events", "Look".to_owned()),
        ("POST /integrations", "Administer".to_owned()),
        (
            &format!("PUT /integrations/{uuid}/credentials"),
            "Administer".to_owned(),
        ),
        (
            &format!("DELETE /integrations/{uuid}"),
            "Administer".to_owned(),
        ),
        ("GET /devices/d/state", r#"Read(DeviceId("d"))"#.to_owned()),
        (
            &format!("PUT /devices/d/state/{uuid}"),
            r#"Edit(DeviceId("d"))"#.to_owned(),
        ),
    ] {
        world.management(line, "").await;
        let last = world.held().wishes.pop().unwrap();
        assert_eq!(last, format!("ann: {wish}"), "{line}");
    }
}

#[tokio::test]
async fn a_refusal_comes_before_anything_is_looked_at() {
    let world = World::new();
    for (refusal, status) in [
        (Refusal::Unauthenticated, 401),
        (Refusal::Forbidden, 403),
        (Refusal::Undecided, 503),
    ] {
        world.held().refusal = Some(refusal);
        let answer = world.management("POST /integrations", "nonsense").await;
        assert_eq!(answer.status, status);
        let answer = world.management("GET /devices/d/state", "").await;
        assert_eq!(answer.status, status);
    }
}
