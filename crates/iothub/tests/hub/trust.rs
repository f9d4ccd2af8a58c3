//! Whom the client talks to.

use iothub::{Effect, HostError, HostName, Kind, Options};

use crate::server::{Server, id, ok};

const TWIN: &str = r#"{"deviceId":"dev-1"}"#;

#[tokio::test]
async fn a_server_with_an_unknown_certificate_gets_no_request() {
    let server = Server::with([ok(TWIN)]).await;
    let error = server
        .hub_with(Options::default())
        .twin(&id())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Transient, Effect::None),
        "{error:?}"
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_certificate_of_another_server_does_not_help() {
    let server = Server::with([ok(TWIN)]).await;
    let other = Server::with([]).await;
    let error = server
        .hub_with(other.options())
        .twin(&id())
        .await
        .unwrap_err();
    assert_eq!(error.effect(), Effect::None, "{error:?}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_host_that_nobody_allowed_cannot_be_named() {
    assert_eq!(
        "localhost:8443".parse::<HostName>(),
        Err(HostError::NotAllowed)
    );
}
