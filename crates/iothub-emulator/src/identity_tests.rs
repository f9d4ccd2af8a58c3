//! The rules of a single identity, each as one sentence.

use serde_json::{Value, json};

use super::*;

const THEN: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);
const NOW: Ticks = Ticks::from_unix_micros(1_767_225_601_000_000);

fn keys() -> FreshKeys {
    FreshKeys {
        primary: "cA==".into(),
        secondary: "cw==".into(),
    }
}

fn check(fields: &Value) -> Result<IdentityEdit, ServiceError> {
    IdentityDraft::parse(fields.to_string().as_bytes())?.check("d1")
}

fn created(fields: &Value) -> Identity {
    Identity::create(
        "d1",
        check(fields).unwrap(),
        THEN,
        IdentityEtag::first(7),
        keys(),
    )
    .unwrap()
}

#[track_caller]
fn refused(fields: &Value) {
    assert_eq!(check(fields).unwrap_err().status, 400);
}

#[test]
fn a_minimal_create_is_enabled_with_no_reason() {
    let made = created(&json!({"deviceId": "d1"}));
    assert_eq!((made.status, made.status_reason), (Status::Enabled, None));
    assert_eq!(made.status_updated, Ticks::NEVER);
    assert_eq!(made.generation, THEN);
}

#[test]
fn the_body_must_name_the_id_of_the_path() {
    refused(&json!({"deviceId": "d2"}));
    refused(&json!({"deviceId": "D1"}));
    refused(&json!({}));
}

#[test]
fn unknown_and_hub_owned_fields_are_ignored() {
    let fields = json!({"deviceId": "d1", "etag": 17, "generationId": [], "connectionState": "x", "colour": {}});
    assert!(check(&fields).is_ok());
}

#[test]
fn a_status_other_than_the_two_is_refused() {
    refused(&json!({"deviceId": "d1", "status": "paused"}));
    refused(&json!({"deviceId": "d1", "status": true}));
}

#[test]
fn a_status_reason_has_at_most_128_characters() {
    assert!(check(&json!({"deviceId": "d1", "statusReason": "ü".repeat(128)})).is_ok());
    refused(&json!({"deviceId": "d1", "statusReason": "ü".repeat(129)}));
}

#[test]
fn a_body_that_is_not_json_is_refused_without_echoing_it() {
    for body in [
        &b"{\"deviceId\":\"secret"[..],
        b"",
        b"[]",
        b"\xff",
        b"{\"status\":{\"secret\":1}}",
    ] {
        let error = IdentityDraft::parse(body).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(!error.text.contains("secret"), "{}", error.text);
    }
}

#[test]
fn an_update_moves_the_etag_by_one_and_keeps_the_generation() {
    let mut device = created(&json!({"deviceId": "d1"}));
    let first = device.etag;
    device
        .replace(check(&json!({"deviceId": "d1"})).unwrap(), NOW, keys())
        .unwrap();
    assert_eq!((device.etag, device.generation), (first.next(), THEN));
}

#[test]
fn the_status_time_moves_only_when_the_status_does() {
    let mut device = created(&json!({"deviceId": "d1"}));
    device
        .replace(
            check(&json!({"deviceId": "d1", "statusReason": "x"})).unwrap(),
            NOW,
            keys(),
        )
        .unwrap();
    assert_eq!(device.status_updated, Ticks::NEVER);
    device
        .replace(
            check(&json!({"deviceId": "d1", "status": "disabled"})).unwrap(),
            NOW,
            keys(),
        )
        .unwrap();
    assert_eq!(device.status_updated, NOW);
}

#[test]
fn what_an_update_leaves_out_is_reset() {
    let mut device =
        created(&json!({"deviceId": "d1", "status": "disabled", "statusReason": "why"}));
    device
        .replace(check(&json!({"deviceId": "d1"})).unwrap(), NOW, keys())
        .unwrap();
    assert_eq!(
        (device.status, device.status_reason),
        (Status::Enabled, None)
    );
}

#[test]
fn an_identity_sent_back_as_it_is_changes_nothing_but_the_etag() {
    let key = "AAECAwQFBgcICQoLDA0ODw==";
    let mut device = created(
        &json!({"deviceId": "d1", "status": "disabled", "statusReason": "why",
        "authentication": {"symmetricKey": {"primaryKey": key, "secondaryKey": key}}}),
    );
    let before = device.clone();
    device
        .replace(device.as_draft().check("d1").unwrap(), NOW, keys())
        .unwrap();
    assert_eq!(device.authentication, before.authentication);
    assert_eq!(
        (device.status, device.status_reason),
        (before.status, before.status_reason)
    );
    assert_eq!(device.etag, before.etag.next());
}

#[test]
fn ids_hold_the_characters_of_the_service_and_no_others() {
    for good in [
        "a",
        "A-z:0.9+%_#*?!(),=@;$'",
        &"x".repeat(128),
        "...",
        "a.b",
    ] {
        assert!(check_id(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "a b",
        "a/b",
        "ä",
        "a\n",
        "a\"",
        "a&b",
        "a~b",
        &"x".repeat(129),
    ] {
        assert!(check_id(bad).is_err(), "{bad}");
    }
}
