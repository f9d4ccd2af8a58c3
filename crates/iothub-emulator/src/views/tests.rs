//! The wire forms, compared byte for byte.

use serde_json::{Value, json};

use super::*;
use crate::authentication::FreshKeys;
use crate::etag::{IdentityEtag, Precondition};
use crate::identity::IdentityDraft;
use crate::registry::{Fresh, Registry};
use crate::twin::TwinDraft;

const THEN: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);
const NOW: Ticks = Ticks::from_unix_micros(1_767_225_601_500_000);
const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn device(mut fields: Value) -> Device {
    fields["deviceId"] = json!("d1");
    let edit = IdentityDraft::parse(fields.to_string().as_bytes())
        .unwrap()
        .check("d1")
        .unwrap();
    let keys = FreshKeys {
        primary: KEY.to_owned(),
        secondary: KEY.to_owned(),
    };
    let mut registry = Registry::default();
    let fresh = Fresh {
        now: THEN,
        etag_seed: 627_894_863,
        keys,
        template: None,
        rules: crate::choices::DeviceRules::default(),
    };
    registry
        .put("d1", edit, &Precondition::Absent, fresh)
        .result
        .unwrap();
    registry.get("d1").unwrap().clone()
}

#[test]
fn a_created_identity_prints_never_without_zone() {
    let device = device(json!({}));
    assert_eq!(device.identity.etag, IdentityEtag::first(627_894_863));
    let key = KEY;
    assert_eq!(
        created_identity(&device),
        format!(
            r#"{{"deviceId":"d1","generationId":"639028224000000000","etag":"NzI3ODk0ODYz","connectionState":"Disconnected","status":"enabled","statusReason":null,"connectionStateUpdatedTime":"0001-01-01T00:00:00","statusUpdatedTime":"0001-01-01T00:00:00","lastActivityTime":"0001-01-01T00:00:00","cloudToDeviceMessageCount":0,"authentication":{{"symmetricKey":{{"primaryKey":"{key}","secondaryKey":"{key}"}},"x509Thumbprint":{{"primaryThumbprint":null,"secondaryThumbprint":null}},"type":"sas"}},"capabilities":{{"iotEdge":false}}}}"#
        )
    );
}

#[test]
fn every_other_answer_prints_never_with_zone() {
    let text = identity(&device(json!({})));
    assert_eq!(
        text.matches(r#":"0001-01-01T00:00:00Z""#).count(),
        3,
        "{text}"
    );
}

#[test]
fn scopes_follow_the_capabilities_when_there_are_any() {
    let text = identity(&device(json!({"deviceScope": "s"})));
    let tail = r#""capabilities":{"iotEdge":false},"deviceScope":"s","parentScopes":["s"]}"#;
    assert!(text.ends_with(tail), "{text}");
}

#[test]
fn a_new_twin_prints_like_the_recorded_one() {
    assert_eq!(
        twin(&device(json!({})), "2020-03-13"),
        r#"{"deviceId":"d1","etag":"AAAAAAAAAAE=","deviceEtag":"NzI3ODk0ODYz","status":"enabled","statusUpdateTime":"0001-01-01T00:00:00Z","connectionState":"Disconnected","lastActivityTime":"0001-01-01T00:00:00Z","cloudToDeviceMessageCount":0,"authenticationType":"sas","x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null},"version":2,"properties":{"desired":{"$metadata":{"$lastUpdated":"2026-01-01T00:00:00Z"},"$version":1},"reported":{"$metadata":{"$lastUpdated":"2026-01-01T00:00:00Z"},"$version":1}},"capabilities":{"iotEdge":false}}"#
    );
}

#[test]
fn newer_api_versions_add_the_model_id_and_capitalise_thumbprints() {
    let text = twin(&device(json!({})), "2021-04-12");
    assert!(
        text.contains(r#""x509Thumbprint":{"PrimaryThumbprint":null,"SecondaryThumbprint":null}"#),
        "{text}"
    );
    assert!(text.contains(r#""modelId":"","version":2"#), "{text}");
    let older = twin(&device(json!({})), "2020-09-30");
    assert!(
        older.contains(r#""primaryThumbprint":null"#) && older.contains("modelId"),
        "{older}"
    );
}

#[test]
fn tags_and_reason_appear_in_a_twin_only_when_set() {
    let mut device = device(json!({"statusReason": "why"}));
    let edit = br#"{"tags":{"b":1,"a":"x"},"properties":{"desired":{"zz":1}}}"#;
    device
        .twin
        .patch(&TwinDraft::parse(edit).unwrap(), NOW)
        .unwrap();
    let text = twin(&device, "2021-04-12");
    assert!(
        text.contains(r#""status":"enabled","statusReason":"why","statusUpdateTime""#),
        "{text}"
    );
    assert!(
        text.contains(r#""version":3,"tags":{"a":"x","b":1},"properties""#),
        "{text}"
    );
    let desired = r#""desired":{"zz":1,"$metadata":{"$lastUpdated":"2026-01-01T00:00:01.5Z","$lastUpdatedVersion":2,"zz":{"$lastUpdated":"2026-01-01T00:00:01.5Z","$lastUpdatedVersion":2}},"$version":2}"#;
    assert!(text.contains(desired), "{text}");
}

#[test]
fn the_control_view_hides_keys_behind_a_fingerprint() {
    let hidden = super::device(&device(json!({})), Keys::Hidden);
    assert!(!hidden.contains(KEY), "{hidden}");
    let expected = r#""authentication":{"type":"sas","fingerprint":""#;
    assert!(
        hidden.contains(expected) && hidden.contains(r#""twin":{"deviceId":"d1""#),
        "{hidden}"
    );
    assert!(super::device(&device(json!({})), Keys::Shown).contains(KEY));
}

#[test]
fn a_fingerprint_is_the_start_of_the_sha_256_of_the_text() {
    assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
}
