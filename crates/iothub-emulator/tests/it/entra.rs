//! Tokens of the built-in issuer: all ways to get one, and what they open.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::harness::{Answer, Emulator};

const CERTIFICATE: &str = include_str!("fixtures/client.pem");
const KEY: &str = include_str!("fixtures/client-key.pem");
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn with_app(args: &[&str], app: &Value) -> Emulator {
    let hub = Emulator::start(args);
    let set = hub
        .control("PUT", "/entra/apps/client-1", &app.to_string())
        .await;
    assert_eq!(set.status, 204, "{}", set.text);
    hub
}

async fn ask(hub: &Emulator, fields: &[(&str, &str)]) -> Answer {
    let url = format!(
        "https://{}/tenant-1/oauth2/v2.0/token",
        hub.ready["hub"].as_str().unwrap()
    );
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", "client-1"),
        ("scope", "https://iothubs.azure.net/.default"),
    ];
    form.extend_from_slice(fields);
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let body: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let request = hub
        .client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded");
    Answer::read(request.body(body.join("&")).send().await.unwrap()).await
}

async fn call(hub: &Emulator, token: &str, method: &str, path: &str) -> Answer {
    let url = format!(
        "https://{}{path}?api-version=2021-04-12",
        hub.ready["hub"].as_str().unwrap()
    );
    let request = hub
        .client
        .request(method.parse().unwrap(), url)
        .bearer_auth(token);
    let request = match method {
        "PUT" => request.json(&json!({"deviceId": "d1"})),
        _ => request,
    };
    Answer::read(request.send().await.unwrap()).await
}

fn token_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_gets_a_token_that_opens_what_the_roles_allow() {
    let hub = with_app(
        &[],
        &json!({"secrets": ["s3cret"], "roles": ["IoT Hub Registry Contributor"]}),
    )
    .await;
    let token = token_of(&ask(&hub, &[("client_secret", "s3cret")]).await);
    assert_eq!(call(&hub, &token, "PUT", "/devices/d1").await.status, 200);
    let twin = call(&hub, &token, "GET", "/twins/d1").await;
    assert_eq!(
        (twin.status, twin.header("iothub-errorcode")),
        (401, Some("IotHubUnauthorizedAccess"))
    );
    assert!(
        twin.json()["Message"]
            .as_str()
            .unwrap()
            .contains("due to no assigned permissions")
    );
    let refused = ask(&hub, &[("client_secret", "wrong")]).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (401, &json!("invalid_client"))
    );
    assert_eq!(call(&hub, "a.b.c", "GET", "/devices/d1").await.status, 401);
    let journal = hub.journal().await;
    assert!(
        !journal
            .iter()
            .any(|entry| entry.to_string().contains("s3cret"))
    );
    assert_eq!(
        (&journal[0]["operation"], &journal[0]["status"]),
        (&json!("token"), &json!(200))
    );
}

#[tokio::test]
async fn modules_of_a_missing_device_are_404_for_a_caller_from_entra() {
    let hub = Emulator::start(&[
        "--entra-app",
        "client-1=s:IoT Hub Data Contributor",
        "--no-shared-access",
        "--missing-role",
        "403",
    ]);
    let token = token_of(&ask(&hub, &[("client_secret", "s")]).await);
    let missing = call(&hub, &token, "GET", "/devices/d1/modules").await;
    assert_eq!(
        (missing.status, missing.header("iothub-errorcode")),
        (404, Some("DeviceNotFound"))
    );
    assert_eq!(
        hub.send("GET", "/devices", None, None).await.status,
        401,
        "shared access is off"
    );
    hub.control(
        "PUT",
        "/entra/apps/client-1",
        r#"{"secrets":["s"],"roles":["IoT Hub Data Reader"]}"#,
    )
    .await;
    assert_eq!(call(&hub, &token, "PUT", "/devices/d1").await.status, 403);
    assert_eq!(call(&hub, &token, "GET", "/devices").await.status, 200);
}

#[tokio::test]
async fn commands_are_refused_to_callers_from_entra() {
    let hub = with_app(
        &[],
        &json!({"secrets": ["s"], "roles": ["IoT Hub Data Contributor"]}),
    )
    .await;
    let token = token_of(&ask(&hub, &[("client_secret", "s")]).await);
    assert_eq!(
        call(&hub, &token, "POST", "/digitaltwins/d1/commands/x")
            .await
            .status,
        401
    );
}

/// An assertion signed with the test key.
fn assertion(header: &Value, claims: &Value, encoding: &'static dyn RsaEncoding) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        encoding,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(hub: &Emulator) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let aud = format!(
        "https://{}/tenant-1/oauth2/v2.0/token",
        hub.ready["hub"].as_str().unwrap()
    );
    json!({"aud": aud, "iss": "client-1", "sub": "client-1", "jti": "1", "nbf": now, "iat": now, "exp": now + 300})
}

#[tokio::test]
async fn an_assertion_signed_with_a_certificates_key_gets_a_token_in_both_styles() {
    let hub = with_app(
        &[],
        &json!({"certificates": [CERTIFICATE], "roles": ["devices/read"]}),
    )
    .await;
    let der = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let new = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(digest(&SHA256, &der))});
    let old = json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der))});
    let send = async |assertion: &str| {
        ask(
            &hub,
            &[
                ("client_assertion_type", ASSERTION),
                ("client_assertion", assertion),
            ],
        )
        .await
    };
    let good = [
        assertion(&new, &claims(&hub), &RSA_PSS_SHA256),
        assertion(&old, &claims(&hub), &RSA_PKCS1_SHA256),
    ];
    for assertion in &good {
        let token = token_of(&send(assertion).await);
        assert_eq!(call(&hub, &token, "GET", "/devices").await.status, 200);
    }
    let changed = |field: &str, value: Value| {
        let mut claims = claims(&hub);
        claims[field] = value;
        assertion(&new, &claims, &RSA_PSS_SHA256)
    };
    let bad = [
        changed("aud", json!("https://elsewhere/token")),
        changed("iss", json!("other")),
        changed("exp", json!(1)),
        changed("jti", Value::Null),
        assertion(
            &json!({"alg": "PS256", "x5t#S256": "AAAA"}),
            &claims(&hub),
            &RSA_PSS_SHA256,
        ),
        assertion(&new, &claims(&hub), &RSA_PKCS1_SHA256),
    ];
    for (at, assertion) in bad.iter().enumerate() {
        assert_eq!(send(assertion).await.status, 401, "bad assertion {at}");
    }
}

#[tokio::test]
async fn a_workload_gets_a_token_for_its_clusters_token() {
    let app = json!({"federated": [{"issuer": "https://cluster", "subject": "system:serviceaccount:ns:name"}], "roles": ["devices/read"]});
    let hub = with_app(&[], &app).await;
    let body = json!({"issuer": "https://cluster", "subject": "system:serviceaccount:ns:name", "audience": "api://AzureADTokenExchange"});
    let made = hub
        .control("POST", "/entra/workload-token", &body.to_string())
        .await
        .json();
    let fields = [
        ("client_assertion_type", ASSERTION),
        ("client_assertion", made["token"].as_str().unwrap()),
    ];
    let token = token_of(&ask(&hub, &fields).await);
    assert_eq!(call(&hub, &token, "GET", "/devices").await.status, 200);
}

#[tokio::test]
async fn managed_identities_are_served_without_tls_and_can_go_wrong() {
    let hub = with_app(
        &[],
        &json!({"managed": "system", "roles": ["devices/read"]}),
    )
    .await;
    let overview = hub.control("GET", "/entra", "").await.json();
    let get = async |url: &str, version: &str, name: &str, value: &str| {
        let url = format!("{url}?api-version={version}&resource=https%3A%2F%2Fiothubs.azure.net");
        Answer::read(
            hub.client
                .get(url)
                .header(name, value)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let imds = overview["imds"].as_str().unwrap();
    hub.faults(&json!([{"operation": "managed-token", "times": 1, "status": 410}]))
        .await;
    assert_eq!(
        get(imds, "2018-02-01", "Metadata", "true").await.status,
        410
    );
    let answer = get(imds, "2018-02-01", "Metadata", "true").await;
    assert!(answer.json()["expires_on"].is_string());
    assert_eq!(
        call(&hub, &token_of(&answer), "GET", "/devices")
            .await
            .status,
        200
    );
    assert_eq!(get(imds, "2018-02-01", "x-other", "true").await.status, 400);
    let (endpoint, header) = (
        overview["identity_endpoint"].as_str().unwrap(),
        overview["identity_header"].as_str().unwrap(),
    );
    let answer = get(endpoint, "2019-08-01", "X-IDENTITY-HEADER", header).await;
    assert_eq!(
        call(&hub, &token_of(&answer), "GET", "/devices")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn token_libraries_find_the_endpoint() {
    let hub = Emulator::start(&[]);
    let host = hub.ready["hub"].as_str().unwrap();
    let url = format!("https://{host}/tenant-1/v2.0/.well-known/openid-configuration");
    let found = Answer::read(hub.client.get(url).send().await.unwrap())
        .await
        .json();
    assert_eq!(
        found["token_endpoint"],
        format!("https://{host}/tenant-1/oauth2/v2.0/token")
    );
    let keys = hub
        .client
        .get(found["jwks_uri"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(Answer::read(keys).await.json()["keys"][0]["kty"], "OKP");
}
