//! What is wrong with an integration, in iot-manager's words.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{KEY, World, connection_string};

async fn refused(line: &str, body: &str, detail: &str) {
    let world = World::new();
    let answer = world.management(line, body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    let error = answer.error();
    let text = error
        .strip_prefix("malformed request body: ")
        .unwrap_or_else(|| panic!("{error}"));
    assert!(text.contains(detail), "{text}");
    assert!(!error.contains(KEY), "{error}");
    assert!(world.held().integrations.is_empty());
}

async fn new(body: Value, detail: &str) {
    refused("POST /integrations", &body.to_string(), detail).await;
}

async fn with_string(string: &str, detail: &str) {
    let credentials = json!({"type": "sas", "connection_string": string});
    new(
        json!({"provider": "iot-hub", "credentials": credentials}),
        detail,
    )
    .await;
    let id = "3f6c0000-0000-4000-8000-000000000000";
    let line = format!("PUT /integrations/{id}/credentials");
    refused(&line, &credentials.to_string(), detail).await;
}

#[tokio::test]
async fn no_body_or_no_json() {
    refused("POST /integrations", "", "EOF").await;
    refused("POST /integrations", "nonsense", "").await;
    refused("POST /integrations", r#"{"provider":7}"#, "provider").await;
}

#[tokio::test]
async fn credentials_missing() {
    let faults = "credentials: (type: cannot be blank.); provider: 'iot-hub' incompatible with credential type ''.";
    new(json!({"provider": "iot-hub"}), faults).await;
}

#[tokio::test]
async fn nothing_given() {
    let faults = "credentials: (type: cannot be blank.); provider: cannot be blank.";
    new(json!({}), faults).await;
}

#[tokio::test]
async fn a_wrong_pair_or_an_unknown_provider() {
    let aws = json!({"type": "aws", "aws": {}});
    let faults = "provider: 'iot-hub' incompatible with credential type 'aws'";
    new(json!({"provider": "iot-hub", "credentials": aws}), faults).await;
    let sas = json!({"type": "sas", "connection_string": connection_string()});
    let faults = "provider: 'abacus' incompatible with credential type 'sas'";
    new(json!({"provider": "abacus", "credentials": sas}), faults).await;
}

#[tokio::test]
async fn a_type_that_is_none() {
    let odd = json!({"type": "odd"});
    new(
        json!({"provider": "iot-hub", "credentials": odd}),
        "credentials: (type: must be a valid value.)",
    )
    .await;
}

#[tokio::test]
async fn providers_that_are_not_served_here() {
    for (provider, kind) in [("iot-core", "aws"), ("webhook", "http")] {
        let credentials = json!({"type": kind, kind: {"url": "https://x.example"}});
        let text = format!("provider: '{provider}' is not supported, only 'iot-hub' is.");
        new(
            json!({"provider": provider, "credentials": credentials}),
            &text,
        )
        .await;
    }
}

#[tokio::test]
async fn an_id_that_is_no_uuid() {
    let body = json!({"id": "new", "provider": "iot-hub"});
    new(body, "invalid UUID length: 3").await;
}

#[tokio::test]
async fn no_string() {
    for credentials in [
        json!({"type": "sas"}),
        json!({"type": "sas", "connection_string": ""}),
    ] {
        let text = "credentials: (connection_string: cannot be blank.)";
        new(
            json!({"provider": "iot-hub", "credentials": credentials}),
            text,
        )
        .await;
    }
}

#[tokio::test]
async fn a_description_that_is_too_long() {
    let sas = json!({"type": "sas", "connection_string": connection_string()});
    let body = json!({"provider": "iot-hub", "description": "x".repeat(1025), "credentials": sas});
    new(body, "description: the length must be no more than 1024.").await;
}

#[tokio::test]
async fn new_credentials_without_type_or_of_another_one() {
    let line = "PUT /integrations/3f6c0000-0000-4000-8000-000000000000/credentials";
    refused(line, "{}", "type: cannot be blank.").await;
    refused(
        line,
        r#"{"type":"aws"}"#,
        "'iot-hub' incompatible with credential type 'aws'",
    )
    .await;
    refused(
        line,
        r#"{"type":"sas"}"#,
        "connection_string: cannot be blank.",
    )
    .await;
}

#[tokio::test]
async fn connection_strings() {
    let rest = format!("SharedAccessKeyName=p;SharedAccessKey={KEY}");
    for (string, text) in [
        (
            format!("HostName=h.azure-devices.net;{rest};"),
            "invalid connectionstring format",
        ),
        (
            format!("HostName=h.azure-devices.net;GatewayHostName=g;{rest}"),
            "invalid connection string key: GatewayHostName",
        ),
        (
            "HostName=h;SharedAccessKey=?".to_owned(),
            "shared access key format: ",
        ),
        (
            rest.clone(),
            "connection string invalid: HostName: cannot be blank.",
        ),
        (
            "HostName=h;SharedAccessKeyName=p".to_owned(),
            "connection string invalid: Key: cannot be blank.",
        ),
        (
            format!("HostName=h;SharedAccessKey={KEY}"),
            "one of 'DeviceId' or 'SharedAccessKeyName' must be set",
        ),
        (
            format!("HostName=evil.example;{rest}"),
            "HostName: hostname does not refer to a trusted domain.",
        ),
        (
            format!("HostName=h.azure-devices.net.evil.example;{rest}"),
            "HostName: hostname does not refer to a trusted domain.",
        ),
        (
            format!("HostName=nobody.azure-devices.net;{rest}"),
            "HostName: failed to lookup host with name 'nobody.azure-devices.net'.",
        ),
        (
            format!(
                "HostName=h.azure-devices.net;ModuleId={};{rest}",
                "m".repeat(4096)
            ),
            "connection string can be no longer than 4096 characters",
        ),
    ] {
        with_string(&string, text).await;
    }
}
