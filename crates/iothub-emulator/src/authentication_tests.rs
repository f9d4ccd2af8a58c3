//! Keys and thumbprints: what is kept, what is made up, what is refused.

use super::*;
use serde_json::{Value, json};

fn key(bytes: usize) -> String {
    STANDARD.encode(vec![7; bytes])
}

fn fresh() -> FreshKeys {
    FreshKeys {
        primary: key(32),
        secondary: STANDARD.encode([8; 32]),
    }
}

fn check(draft: Value) -> Result<AuthenticationEdit, ServiceError> {
    AuthenticationEdit::check(Some(serde_json::from_value(draft).unwrap()))
}

fn keys(primary: &str, secondary: &str) -> Value {
    json!({"symmetricKey": {"primaryKey": primary, "secondaryKey": secondary}})
}

fn resolved(draft: Value) -> Authentication {
    check(draft).unwrap().resolve(None, fresh())
}

#[track_caller]
fn refused(draft: Value, text: &str) {
    let error = check(draft).unwrap_err();
    assert_eq!((error.status.as_u16(), error.text.as_str()), (400, text));
}

#[test]
fn no_authentication_means_sas_with_fresh_keys() {
    let stored = AuthenticationEdit::check(None)
        .unwrap()
        .resolve(None, fresh());
    assert_eq!(stored.kind, AuthenticationType::Sas);
    assert_eq!(stored.symmetric_key.primary_key, Some(key(32)));
}

#[test]
fn empty_keys_mean_fresh_ones() {
    assert_eq!(
        resolved(keys("", "")).symmetric_key.primary_key,
        Some(key(32))
    );
}

#[test]
fn an_update_without_keys_gets_fresh_ones_even_if_the_device_had_some() {
    let before = resolved(keys(&key(48), &key(48)));
    let after = check(json!({"type": "sas"}))
        .unwrap()
        .resolve(Some(&before), fresh());
    assert_eq!(after.symmetric_key.primary_key, Some(key(32)));
}

#[test]
fn given_keys_are_kept_byte_for_byte() {
    let stored = resolved(keys(&key(16), &key(64)));
    assert_eq!(stored.symmetric_key.primary_key, Some(key(16)));
    assert_eq!(stored.symmetric_key.secondary_key, Some(key(64)));
}

#[test]
fn keys_must_be_base64_of_16_to_64_bytes() {
    refused(keys(&key(15), &key(32)), "Invalid device key length");
    refused(keys(&key(32), &key(65)), "Invalid device key length");
    refused(
        keys("not base64!", &key(32)),
        "The device key is not a valid base64 string",
    );
}

#[test]
fn one_key_alone_is_refused() {
    refused(keys(&key(32), ""), "Either no keys or both keys can be set");
    let alone = json!({"symmetricKey": {"secondaryKey": key(32)}});
    refused(alone, "Either no keys or both keys can be set");
}

#[test]
fn thumbprints_are_40_or_64_hex_digits_and_keep_their_case() {
    let stored = resolved(json!({"x509Thumbprint": {"primaryThumbprint": "aB".repeat(20)}}));
    assert_eq!(stored.kind, AuthenticationType::SelfSigned);
    assert_eq!(
        stored.x509_thumbprint.primary_thumbprint,
        Some("aB".repeat(20))
    );
    assert_eq!(stored.symmetric_key, KeyPair::default());
    for bad in ["aB".repeat(19), "xy".repeat(20), "aB:".repeat(20)] {
        refused(
            json!({"x509Thumbprint": {"primaryThumbprint": bad}}),
            "StringIsNotThumbprint",
        );
    }
}

#[test]
fn switching_to_self_signed_without_keys_keeps_the_old_ones() {
    let before = resolved(keys(&key(48), &key(48)));
    let after = check(json!({"type": "selfSigned"}))
        .unwrap()
        .resolve(Some(&before), fresh());
    assert_eq!(after.symmetric_key, before.symmetric_key);
}

#[test]
fn the_type_none_is_refused_for_devices() {
    refused(json!({"type": "none"}), "DeviceAuthenticationTypeIsMissing");
    refused(
        json!({"type": "password"}),
        "The authentication type is not known.",
    );
}

#[test]
fn debug_output_never_shows_a_key() {
    let stored = resolved(keys(&key(16), &key(64)));
    let shown = format!("{stored:?} {:?} {:?}", stored.as_draft(), fresh());
    assert!(
        !shown.contains(&key(16)) && !shown.contains(&key(32)),
        "{shown}"
    );
}

#[test]
fn the_wire_form_has_the_order_of_the_service() {
    let text = serde_json::to_string(&resolved(json!({"type": "certificateAuthority"}))).unwrap();
    assert_eq!(
        text,
        r#"{"symmetricKey":{"primaryKey":null,"secondaryKey":null},"x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null},"type":"certificateAuthority"}"#
    );
}
