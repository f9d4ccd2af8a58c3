//! Identities go back as they came, and show no key.

use super::*;
use crate::error::{Effect, Kind};

/// As the service sends it, with a thumbprint in capitals and a field nobody knows yet.
const SENT: &str = r#"{"deviceId":"d1","generationId":"637612875240648717","etag":"NzI3ODk0ODYz","connectionState":"Disconnected","status":"enabled","statusReason":null,"connectionStateUpdatedTime":"0001-01-01T00:00:00","cloudToDeviceMessageCount":0,"authentication":{"symmetricKey":{"primaryKey":"cHJpbWFyeQ==","secondaryKey":"c2Vjb25kYXJ5"},"x509Thumbprint":{"PrimaryThumbprint":null,"SecondaryThumbprint":null},"type":"sas"},"capabilities":{"iotEdge":false},"later":{"exact":12345678901234567890.10}}"#;

fn sent() -> Identity {
    Identity::from_json(SENT.as_bytes()).unwrap()
}

fn body_of(identity: &Identity) -> Value {
    serde_json::from_slice(&identity.to_body().unwrap()).unwrap()
}

#[test]
fn what_is_not_changed_goes_back_as_it_came() {
    let text = String::from_utf8(sent().to_body().unwrap()).unwrap();
    assert!(text.contains("12345678901234567890.10"), "{text}");
    assert_eq!(
        body_of(&sent()),
        serde_json::from_str::<Value>(SENT).unwrap()
    );
}

#[test]
fn setters_change_only_their_field() {
    let mut identity = sent();
    identity.set_status(Status::Disabled);
    identity.set_status_reason(Some("mender:1:2"));
    let mut expected: Value = serde_json::from_str(SENT).unwrap();
    expected["status"] = "disabled".into();
    expected["statusReason"] = "mender:1:2".into();
    assert_eq!(body_of(&identity), expected);
}

#[test]
fn its_fields_can_be_asked_for() {
    let identity = sent();
    assert_eq!(identity.device_id().as_str(), "d1");
    assert_eq!(identity.generation_id(), Some("637612875240648717"));
    assert_eq!(identity.etag(), Some("NzI3ODk0ODYz"));
    assert_eq!(identity.status(), Some(Status::Enabled));
    assert_eq!(identity.status_reason(), None);
    assert_eq!(identity.is_connected(), Some(false));
    assert_eq!(identity.primary_key().unwrap().expose(), "cHJpbWFyeQ==");
}

#[test]
fn a_device_with_certificates_has_no_key() {
    for key in [
        "null",
        r#"{"primaryKey":null,"secondaryKey":null}"#,
        r#"{"primaryKey":""}"#,
    ] {
        let body = format!(
            r#"{{"deviceId":"d","authentication":{{"symmetricKey":{key},"type":"selfSigned"}}}}"#
        );
        assert!(
            Identity::from_json(body.as_bytes())
                .unwrap()
                .primary_key()
                .is_none(),
            "{key}"
        );
    }
}

#[test]
fn debug_shows_the_fields_but_no_key() {
    let shown = format!("{:?}", sent());
    assert!(shown.contains("637612875240648717"), "{shown}");
    assert!(
        !shown.contains("cHJpbWFyeQ") && !shown.contains("c2Vjb25kYXJ5"),
        "{shown}"
    );
}

#[test]
fn a_body_that_is_no_identity_is_malformed() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"deviceId":7}"#,
        r#"{"deviceId":"a/b"}"#,
        "<html>",
        "{\"deviceId\":\"d\"",
    ] {
        let error = Identity::from_json(body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Malformed, Effect::Unknown),
            "{body}"
        );
    }
}

#[test]
fn an_update_that_would_make_new_keys_is_refused() {
    let identity = Identity::from_json(br#"{"deviceId":"d","etag":"MQ=="}"#).unwrap();
    assert_eq!(identity.to_body().unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_reason_that_is_too_long_is_refused() {
    let mut identity = sent();
    identity.set_status_reason(Some(&"ä".repeat(128)));
    assert!(identity.to_body().is_ok());
    identity.set_status_reason(Some(&"ä".repeat(129)));
    assert_eq!(identity.to_body().unwrap_err().kind(), Kind::Invalid);
}
