//! What goes wrong, what it is called, and whether the request may have taken effect.

use std::time::Duration;

use iothub::{Effect, Error, Kind, Options};
use tokio::net::TcpListener;

use crate::server::{KEY, Reply, Server, answer, hub, id, ok};

const TWIN: &str = r#"{"deviceId":"dev-1","properties":{}}"#;

#[track_caller]
fn check(error: &Error, kind: Kind, effect: Effect, status: Option<u16>) {
    assert_eq!(
        (error.kind(), error.effect(), error.status()),
        (kind, effect, status),
        "{error:?}"
    );
}

/// The error after these replies, and that exactly so many requests led to it.
async fn failure(replies: impl IntoIterator<Item = Reply>, requests: usize) -> Error {
    let server = Server::with(replies).await;
    let error = server.hub().twin(&id()).await.unwrap_err();
    assert_eq!(server.seen().len(), requests, "{error:?}");
    error
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let refused = || {
        answer(
            "401 Unauthorized",
            "iothub-errorcode: IotHubUnauthorizedAccess\r\n",
            "",
        )
    };
    let error = failure([refused(), refused(), ok(TWIN)], 2).await;
    check(&error, Kind::Unauthorized, Effect::None, Some(401));
    assert_eq!(error.name(), Some("IotHubUnauthorizedAccess"));
}

#[tokio::test]
async fn a_wrong_clock_is_repaired_by_the_refusal_it_causes() {
    let server = Server::with([
        answer(
            "401 Unauthorized",
            "Date: Sat, 01 Jan 2050 12:00:00 GMT\r\n",
            "",
        ),
        ok(TWIN),
    ])
    .await;
    server.hub().twin(&id()).await.unwrap();
    let [first, second] = server.seen().try_into().unwrap();
    let noon = 2_524_651_200;
    assert!(
        first.expiry() < noon,
        "the first token goes by the local clock"
    );
    assert!(
        (noon..noon + 3600).contains(&second.expiry()),
        "the second by the hub's: {}",
        second.expiry()
    );
}

#[tokio::test]
async fn refusals_have_no_effect_and_are_not_repeated() {
    for (status, name, kind) in [
        ("400 Bad Request", "ArgumentInvalid", Kind::Invalid),
        ("403 Forbidden", "IotHubQuotaExceeded", Kind::QuotaExceeded),
        ("404 Not Found", "DeviceNotFound", Kind::NotFound),
        ("409 Conflict", "DeviceAlreadyExists", Kind::AlreadyExists),
        (
            "412 Precondition Failed",
            "PreconditionFailed",
            Kind::PreconditionFailed,
        ),
        ("413 Payload Too Large", "TooManyDevices", Kind::HubFull),
        (
            "429 Too Many Requests",
            "ThrottlingBacklogTimeout",
            Kind::Throttled { retry_after: None },
        ),
    ] {
        let header = format!("iothub-errorcode: {name}\r\nConnection: close\r\n");
        let error = failure([answer(status, &header, "")], 1).await;
        assert_eq!(
            (error.kind(), error.effect(), error.name()),
            (kind, Effect::None, Some(name))
        );
    }
}

#[tokio::test]
async fn a_named_pause_is_passed_on() {
    let error = failure(
        [answer("429 Too Many Requests", "Retry-After: 7\r\n", "")],
        1,
    )
    .await;
    assert_eq!(
        error.kind(),
        Kind::Throttled {
            retry_after: Some(Duration::from_secs(7))
        }
    );
}

#[tokio::test]
async fn after_a_server_error_nobody_knows() {
    let error = failure([answer("503 Service Unavailable", "", "")], 1).await;
    check(&error, Kind::Transient, Effect::Unknown, Some(503));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let error = hub(&host, Options::default())
        .twin(&id())
        .await
        .unwrap_err();
    check(&error, Kind::Transient, Effect::None, None);
}

#[tokio::test]
async fn a_dropped_reply_leaves_the_effect_unknown_and_is_not_sent_again() {
    let error = failure([Reply::Last(String::new()), ok(TWIN)], 1).await;
    check(&error, Kind::Transient, Effect::Unknown, None);
}

#[tokio::test]
async fn also_on_a_connection_that_has_served_before() {
    let server = Server::with([ok(TWIN), Reply::Last(String::new()), ok(TWIN)]).await;
    let hub = server.hub();
    hub.twin(&id()).await.unwrap();
    let error = hub.twin(&id()).await.unwrap_err();
    check(&error, Kind::Transient, Effect::Unknown, None);
    assert_eq!((server.seen().len(), server.connections()), (2, 1));
}

#[tokio::test]
async fn silence_ends_at_the_time_limit() {
    let server = Server::with([Reply::Silence]).await;
    let options = Options {
        request_timeout: Duration::from_secs(1),
        ..server.options()
    };
    let error = server.hub_with(options).twin(&id()).await.unwrap_err();
    check(&error, Kind::Transient, Effect::Unknown, None);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn half_a_body_is_no_answer() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"deviceId\":";
    let error = failure([Reply::Last(half.to_owned())], 1).await;
    check(&error, Kind::Transient, Effect::Unknown, Some(200));
}

#[tokio::test]
async fn a_refusal_counts_even_if_its_body_breaks_off() {
    let half = "HTTP/1.1 404 Not Found\r\niothub-errorcode: DeviceNotFound\r\nContent-Length: 1000\r\n\r\n{";
    let error = failure([Reply::Last(half.to_owned())], 1).await;
    check(&error, Kind::NotFound, Effect::None, Some(404));
}

#[tokio::test]
async fn a_success_that_cannot_be_read_may_have_taken_effect() {
    for body in [
        "",
        "<html>signed in?</html>",
        "[]",
        r#"{"deviceId":"dev-2"}"#,
    ] {
        let error = failure([ok(body)], 1).await;
        check(&error, Kind::Malformed, Effect::Unknown, None);
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_a_limit() {
    let long = format!("{{\"deviceId\":\"dev-1\",\"x\":\"{}\"}}", "x".repeat(5000));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n",
        long.len()
    );
    for reply in [ok(&long), Reply::Last(chunked)] {
        let server = Server::with([reply]).await;
        let options = Options {
            max_body: 4096,
            ..server.options()
        };
        let error = server.hub_with(options).twin(&id()).await.unwrap_err();
        check(&error, Kind::Malformed, Effect::Unknown, Some(200));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::with([ok(TWIN)]).await;
    let location = format!("Location: https://{}/\r\n", elsewhere.host());
    let error = failure([answer("307 Temporary Redirect", &location, "")], 1).await;
    check(&error, Kind::Malformed, Effect::Unknown, Some(307));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_error_shows_neither_token_nor_key_nor_what_the_hub_wrote() {
    let body = format!(r#"{{"Message":"ErrorCode:ArgumentInvalid;the key {KEY} is bad"}}"#);
    let server = Server::with([answer("400 Bad Request", "", &body)]).await;
    let hub = server.hub();
    let error = hub.twin(&id()).await.unwrap_err();
    let shown = format!("{error} {error:?} {hub:?}");
    assert!(shown.contains("ArgumentInvalid"), "{shown}");
    assert!(
        !shown.contains("AAECAwQ") && !shown.contains("sig="),
        "{shown}"
    );
}
