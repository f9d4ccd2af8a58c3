//! Tokens of Microsoft Entra ID: one server plays the issuer, another the hub.

use std::time::Duration;

use iothub::entra::{
    Authority, ClientCertificate, Entra, EntraApp, EntraSource, IdentityEndpoint, ManagedIdentity,
    SigningAlgorithm,
};
use iothub::{Effect, Kind, Options};

use crate::server::{Reply, Seen, Server, answer, hub_of, id, ok};

const TWIN: &str = r#"{"deviceId":"dev-1","properties":{}}"#;
const PEM: &[u8] = include_bytes!("../data/client.pem");

/// An answer with a token that holds for so many seconds.
fn token(text: &str, seconds: u32) -> Reply {
    ok(&format!(
        r#"{{"token_type":"Bearer","expires_in":{seconds},"access_token":"{text}"}}"#
    ))
}

fn app(issuer: &Server) -> EntraApp {
    let authority = Authority::configured(&format!("https://{}", issuer.host())).unwrap();
    EntraApp::new(authority, "tenant", "client").unwrap()
}

fn with_secret(issuer: &Server, options: Options) -> Entra {
    let source = EntraSource::ClientSecret {
        app: app(issuer),
        secret: "sesame".into(),
    };
    Entra::new(source, options).unwrap()
}

fn with_certificate(issuer: &Server) -> Entra {
    let certificate = ClientCertificate::from_pem(PEM, PEM, SigningAlgorithm::Ps256).unwrap();
    let source = EntraSource::ClientCertificate {
        app: app(issuer),
        certificate,
    };
    Entra::new(source, issuer.options()).unwrap()
}

fn managed(issuer: &Server) -> Entra {
    let url = format!("https://{}/metadata/identity/oauth2/token", issuer.host());
    let source = EntraSource::ManagedIdentity(ManagedIdentity {
        endpoint: IdentityEndpoint::virtual_machine(&url).unwrap(),
        retries: vec![Duration::ZERO; 5],
        ..ManagedIdentity::default()
    });
    Entra::new(source, issuer.options()).unwrap()
}

/// The tokens that the requests brought.
fn bearers(seen: &[Seen]) -> Vec<&str> {
    seen.iter()
        .map(|seen| seen.header("authorization").unwrap())
        .collect()
}

/// The field of a form, as it was sent.
fn field<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    let pairs = seen.body.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn a_secret_gives_a_token_that_all_requests_share() {
    let issuer = Server::with([token("t1", 3599)]).await;
    let server = Server::with([ok(TWIN), ok(TWIN), ok(TWIN)]).await;
    let hub = hub_of(&server, with_secret(&issuer, issuer.options()));
    let id = id();
    let (a, b, c) = tokio::join!(hub.twin(&id), hub.twin(&id), hub.twin(&id));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(bearers(&server.seen()), ["Bearer t1"; 3]);

    let [seen] = issuer.seen().try_into().unwrap();
    assert_eq!(seen.line(), "POST /tenant/oauth2/v2.0/token HTTP/1.1");
    assert_eq!(field(&seen, "client_secret"), Some("sesame"));
    assert_eq!(
        field(&seen, "scope"),
        Some("https%3A%2F%2Fiothubs.azure.net%2F.default")
    );
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed() {
    // A life of 1 s is used for none of it.
    let issuer = Server::with([token("t1", 1), token("t2", 3599)]).await;
    let server = Server::with([ok(TWIN), ok(TWIN)]).await;
    let hub = hub_of(&server, with_secret(&issuer, issuer.options()));
    hub.twin(&id()).await.unwrap();
    hub.twin(&id()).await.unwrap();
    assert_eq!(bearers(&server.seen()), ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_token_that_the_hub_refuses_is_replaced_once() {
    let issuer = Server::with([token("t1", 3599), token("t2", 3599)]).await;
    let refused = answer("401 Unauthorized", "", "");
    let server = Server::with([refused, ok(TWIN)]).await;
    let hub = hub_of(&server, with_secret(&issuer, issuer.options()));
    hub.twin(&id()).await.unwrap();
    assert_eq!(bearers(&server.seen()), ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_refused_credential_is_not_asked_with_again_and_never_shown() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: sesame","error_codes":[7000215]}"#;
    let issuer = Server::with([answer("401 Unauthorized", "", body)]).await;
    let server = Server::with([]).await;
    let hub = hub_of(&server, with_secret(&issuer, issuer.options()));
    let error = hub.twin(&id()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.name(), error.aadsts()),
        (
            Kind::Unauthorized,
            Effect::None,
            Some("invalid_client"),
            Some(7_000_215)
        )
    );
    assert_eq!((issuer.seen().len(), server.seen().len()), (1, 0));
    let shown = format!("{error} {error:?} {hub:?}");
    assert!(!shown.contains("sesame"), "{shown}");
}

#[tokio::test]
async fn an_issuer_that_sends_elsewhere_is_not_followed() {
    let elsewhere = Server::with([token("t1", 3599)]).await;
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let to = format!("Location: https://{}/token\r\n", elsewhere.host());
        let issuer = Server::with([answer(status, &to, "")]).await;
        let server = Server::with([]).await;
        let hub = hub_of(&server, with_secret(&issuer, issuer.options()));
        assert!(hub.twin(&id()).await.is_err());
        assert_eq!((issuer.seen().len(), server.seen().len()), (1, 0));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_issuer_with_an_unknown_certificate_gets_no_secret() {
    let issuer = Server::with([token("t1", 3599)]).await;
    let server = Server::with([]).await;
    let hub = hub_of(&server, with_secret(&issuer, Options::default()));
    let error = hub.twin(&id()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Transient, Effect::None)
    );
    assert!(issuer.seen().is_empty());
}

#[tokio::test]
async fn a_silent_issuer_costs_no_more_than_the_calls_own_limit() {
    let issuer = Server::with([Reply::Silence]).await;
    let server = Server::with([]).await;
    let entra = with_secret(&issuer, issuer.options());
    let hub = {
        let host = server.host();
        let allowed = iothub::AllowedHosts::new([&host]).unwrap();
        let options = Options {
            request_timeout: Duration::from_millis(500),
            ..server.options()
        };
        let credential = iothub::Credential::Entra(entra);
        iothub::Hub::new(allowed.check(&host).unwrap(), credential, options).unwrap()
    };
    let error = hub.twin(&id()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Transient, Effect::None)
    );
}

#[tokio::test]
async fn a_certificate_signs_an_assertion() {
    let issuer = Server::with([token("t1", 3599)]).await;
    let server = Server::with([ok(TWIN)]).await;
    let hub = hub_of(&server, with_certificate(&issuer));
    hub.twin(&id()).await.unwrap();
    let [seen] = issuer.seen().try_into().unwrap();
    let assertion = field(&seen, "client_assertion").unwrap();
    assert_eq!(assertion.split('.').count(), 3, "{assertion}");
    assert_eq!(field(&seen, "client_secret"), None);
}

#[tokio::test]
async fn an_assertion_that_a_wrong_clock_spoilt_is_made_again() {
    let refused = |date: &str| {
        let body = r#"{"error":"invalid_client","error_codes":[700024]}"#;
        answer("401 Unauthorized", date, body)
    };
    let far = "Date: Sat, 01 Jan 2050 12:00:00 GMT\r\n";
    let issuer = Server::with([refused(far), token("t1", 3599)]).await;
    let server = Server::with([ok(TWIN)]).await;
    let hub = hub_of(&server, with_certificate(&issuer));
    hub.twin(&id()).await.unwrap();
    assert_eq!(issuer.seen().len(), 2);
    // With a right clock it is the credential that is wrong.
    let issuer = Server::with([refused(""), token("t1", 3599)]).await;
    let hub = hub_of(&server, with_certificate(&issuer));
    assert!(hub.twin(&id()).await.is_err());
    assert_eq!(issuer.seen().len(), 1);
}

#[tokio::test]
async fn a_federated_token_is_read_for_each_request() {
    let issuer = Server::with([token("t1", 1), token("t2", 3599)]).await;
    let server = Server::with([ok(TWIN), ok(TWIN)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let source = EntraSource::WorkloadIdentity {
        app: app(&issuer),
        token_file: file.clone(),
    };
    let hub = hub_of(&server, Entra::new(source, issuer.options()).unwrap());
    let error = hub.twin(&id()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized, "there is no file yet");
    for text in ["first\n", "second\n"] {
        std::fs::write(&file, text).unwrap();
        hub.twin(&id()).await.unwrap();
    }
    let seen = issuer.seen();
    let sent: Vec<_> = seen
        .iter()
        .map(|seen| field(seen, "client_assertion"))
        .collect();
    assert_eq!(sent, [Some("first"), Some("second")]);
}

#[tokio::test]
async fn a_machines_identity_is_asked_for_patiently() {
    let passing = [
        "404 Not Found",
        "410 Gone",
        "429 Too Many Requests",
        "500 Oops",
    ];
    let replies = passing.map(|status| answer(status, "", ""));
    let good =
        ok(r#"{"access_token":"t1","expires_in":"3599","expires_on":"1","token_type":"Bearer"}"#);
    let issuer = Server::with(replies.into_iter().chain([good])).await;
    let server = Server::with([ok(TWIN)]).await;
    hub_of(&server, managed(&issuer)).twin(&id()).await.unwrap();
    assert_eq!(bearers(&server.seen()), ["Bearer t1"]);
    let seen = issuer.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0].header("metadata"), Some("true"));
    assert!(
        seen[0]
            .line()
            .ends_with("&resource=https%3A%2F%2Fiothubs.azure.net HTTP/1.1")
    );
}

#[tokio::test]
async fn a_machine_without_an_identity_is_told_at_once_and_a_busy_one_at_last() {
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let issuer = Server::with([answer("400 Bad Request", "", body)]).await;
    let server = Server::with([]).await;
    let error = hub_of(&server, managed(&issuer))
        .twin(&id())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert_eq!(issuer.seen().len(), 1);

    let issuer = Server::with((0..6).map(|_| answer("503 Busy", "", ""))).await;
    let error = hub_of(&server, managed(&issuer))
        .twin(&id())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Transient, Effect::None)
    );
    assert_eq!(issuer.seen().len(), 5);
}
