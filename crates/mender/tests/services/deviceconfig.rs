//! The deviceconfig client against a server that answers in every way it should and should not.

use crate::support::{Play, Server, answer, install_tls, options};
use mender::{Deviceconfig, Error, Options, SetupError};

const SECRET: &str = "HostName=h.azure-devices.net;DeviceId=d-1;SharedAccessKey=c2VjcmV0";
const DEPLOYMENT: &str = "7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11";

#[tokio::test]
async fn a_connection_string_is_set_for_the_empty_tenant() {
    let server = Server::answering("204 No Content", "").await;
    let set = server.deviceconfig();
    set.set_connection_string("", "d-1", SECRET)
        .await
        .expect("204 is success");
    let asked = server.asked().remove(0);
    let path = "/api/internal/v1/deviceconfig/tenants//configurations/device/d-1";
    assert!(asked.starts_with(&format!("PATCH {path} HTTP/1.1\r\n")));
    assert!(asked.contains("content-type: application/json\r\n"));
    assert!(asked.ends_with(&format!(
        "\r\n\r\n{{\"azureConnectionString\":\"{SECRET}\"}}"
    )));
}

#[tokio::test]
async fn no_error_of_setting_repeats_the_secret() {
    let echo = format!(r#"{{"error":"bad value {SECRET}"}}"#);
    for status in ["400 Bad Request", "500 Internal Server Error", "200 OK"] {
        let server = Server::answering(status, &echo).await;
        let client = server.deviceconfig();
        let set = client.set_connection_string("t", "d-1", SECRET).await;
        let error = set.expect_err("only 204 is success");
        let printed = format!("{error} {error:?} {client:?}");
        assert!(!printed.contains("c2VjcmV0"), "{printed}");
    }
}

#[tokio::test]
async fn a_deployment_has_an_id() {
    let body = format!(r#"{{"deployment_id":"{DEPLOYMENT}"}}"#);
    let server = Server::answering("200 OK", &body).await;
    let id = server.deviceconfig().deploy("t", "d-1").await;
    assert_eq!(id.expect("200 is success").to_string(), DEPLOYMENT);
    let asked = server.asked().remove(0);
    let path = "/api/internal/v1/deviceconfig/tenants/t/configurations/device/d-1/deploy";
    assert!(asked.starts_with(&format!("POST {path} HTTP/1.1\r\n")));
    assert!(asked.ends_with("\r\n\r\n{\"retries\":1}"));
}

async fn deploy(play: Play) -> Error {
    let server = Server::start(vec![play]).await;
    let deployed = server.deviceconfig().deploy("", "d-1").await;
    deployed.expect_err("the answer is a failure")
}

#[tokio::test]
async fn an_all_zero_deployment_was_not_started() {
    let body = r#"{"deployment_id":"00000000-0000-0000-0000-000000000000"}"#;
    let error = deploy(answer("200 OK", "", body)).await;
    assert_eq!(error, Error::NotStarted);
    assert!(!error.effect_unknown());
}

#[tokio::test]
async fn a_success_that_cannot_be_read_may_have_had_an_effect() {
    for body in ["<html>", "{}", r#"{"deployment_id":"soon"}"#, ""] {
        let error = deploy(answer("200 OK", "", body)).await;
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error}");
        assert!(error.effect_unknown());
    }
    let error = deploy(answer("202 Accepted", "", "{}")).await;
    assert!(matches!(error, Error::Malformed { .. }) && error.effect_unknown());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let error = deploy(answer("200 OK", "", &" ".repeat(100_000))).await;
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn an_unknown_device_is_told_from_an_unknown_path() {
    let known_words = r#"{"error":"device not found","request_id":"r"}"#;
    let error = deploy(answer("404 Not Found", "", known_words)).await;
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let error = deploy(answer("404 Not Found", "", "404 page not found")).await;
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(!error.effect_unknown());
}

#[tokio::test]
async fn refusals_are_permanent_and_quote_the_reason() {
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "409 Conflict",
    ] {
        let error = deploy(answer(status, "", r#"{"error":"not like that"}"#)).await;
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!error.effect_unknown());
        assert!(error.to_string().ends_with(": not like that"), "{error}");
    }
}

#[tokio::test]
async fn throttling_names_its_wait() {
    let error = deploy(answer("429 Too Many Requests", "Retry-After: 7\r\n", "")).await;
    let Error::Throttled { retry_after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(7));
}

#[tokio::test]
async fn server_errors_pass_but_may_have_had_an_effect() {
    for status in ["500 Internal Server Error", "503 Service Unavailable"] {
        let error = deploy(answer(status, "", "")).await;
        assert!(matches!(error, Error::Transient { .. }), "{error}");
        assert!(error.effect_unknown());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(vec![
        answer("307 Temporary Redirect", "Location: /elsewhere\r\n", ""),
        answer(
            "200 OK",
            "",
            &format!(r#"{{"deployment_id":"{DEPLOYMENT}"}}"#),
        ),
    ])
    .await;
    let error = server
        .deviceconfig()
        .deploy("", "d-1")
        .await
        .expect_err("a redirect");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_early_leaves_the_effect_unknown() {
    let cut = Play::Answer("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"depl".to_owned());
    for play in [Play::HangUp, Play::Silence, cut] {
        let error = deploy(play).await;
        assert!(matches!(error, Error::Transient { .. }), "{error}");
        assert!(error.effect_unknown(), "{error}");
    }
}

#[tokio::test]
async fn without_a_connection_there_was_no_effect() {
    install_tls();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = Deviceconfig::new(&format!("http://{address}"), options()).expect("a client");
    let error = client.deploy("", "d-1").await.expect_err("nobody listens");
    assert!(matches!(error, Error::Transient { .. }), "{error}");
    assert!(!error.effect_unknown(), "{error}");
}

#[tokio::test]
async fn health_is_a_204() {
    let server = Server::answering("204 No Content", "").await;
    server.deviceconfig().health().await.expect("healthy");
    assert!(server.asked()[0].starts_with("GET /api/internal/v1/deviceconfig/health HTTP/1.1\r\n"));
    let server = Server::answering("500 Internal Server Error", "").await;
    assert!(server.deviceconfig().health().await.is_err());
}

#[test]
fn a_bad_base_url_is_refused_without_being_quoted() {
    install_tls();
    let made = Deviceconfig::new("http://me:hunter2@host", Options::default());
    let error = made.expect_err("it holds a password");
    assert!(matches!(error, SetupError::BaseUrl(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
