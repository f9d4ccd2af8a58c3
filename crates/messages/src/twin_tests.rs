//! What edits are taken, which are refused, and what callers see.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn refused<T>(read: Result<T, BadRequest>, reason: &str) {
    match read {
        Err(BadRequest::Invalid(text)) => assert_eq!(text, reason),
        Err(BadRequest::TooLarge(text)) => panic!("refused as too large: {text}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn get_takes_no_body_or_an_empty_object() {
    for body in ["", " \n", "{}", " { } "] {
        assert_eq!(parse_get(body.as_bytes()), Ok(()), "{body:?}");
    }
    refused(parse_get(b"null"), "not a JSON object");
    refused(
        parse_get(br#"{"desired":{}}"#),
        "get takes an empty body or {}",
    );
}

#[test]
fn a_reply_may_be_sent_back_as_an_edit() {
    let body = br#"{"desired":{"a":1.10},"reported":{"b":2},"tags":{"c":3},"etag":"AAAAAAAAAAE=","version":2}"#;
    let Ok(set) = parse_set(body) else {
        panic!("refused");
    };
    assert_eq!(set.desired.to_string(), r#"{"a":1.10}"#);
    assert_eq!(set.etag.as_deref(), Some("AAAAAAAAAAE="));
    assert!(parse_set(&set.to_body()).ok() == Some(set));
}

#[test]
fn a_set_needs_desired_properties() {
    refused(parse_set(b""), "desired is missing");
    refused(parse_set(b"{"), "not valid JSON");
    refused(parse_set(b"[]"), "not a JSON object");
    refused(parse_set(b"{}"), "desired is missing");
    refused(parse_set(br#"{"desired":null}"#), "desired is missing");
    refused(parse_set(br#"{"desired":[1]}"#), "desired is not an object");
    refused(
        parse_set(br#"{"desired":{},"tag":{}}"#),
        "an edit has no other fields than desired, tags, etag, reported, version",
    );
}

#[test]
fn bookkeeping_is_refused_anywhere_with_its_path() {
    for (body, path) in [
        (r#"{"desired":{"$version":1}}"#, "desired.$version"),
        (
            r#"{"desired":{"a":[{"$metadata":{}}]}}"#,
            "desired.a[0].$metadata",
        ),
        (r#"{"desired":{},"tags":{"$x":1}}"#, "tags.$x"),
        (r#"{"desired":{},"$etag":"x"}"#, "$etag"),
        (r#"{"desired":{"\u0024version":1}}"#, "desired.$version"),
    ] {
        refused(
            parse_set(body.as_bytes()),
            &format!("a key may not begin with '$': {path}"),
        );
    }
}

#[test]
fn an_etag_is_one_that_a_reply_held() {
    for etag in [
        r#""""#,
        r#""*""#,
        r#""\"A\"""#,
        r#""a b""#,
        r#""a\r\nb""#,
        "5",
    ] {
        let body = format!(r#"{{"desired":{{}},"etag":{etag}}}"#);
        refused(
            parse_set(body.as_bytes()),
            "etag is not one that a reply holds",
        );
    }
    let Ok(set) = parse_set(br#"{"desired":{},"etag":null}"#) else {
        panic!("refused");
    };
    assert_eq!(set.etag, None);
}

#[test]
fn a_patch_changes_desired_properties_or_tags() {
    let Ok(patch) = parse_patch(br#"{"tags":{"site":null}}"#) else {
        panic!("refused");
    };
    assert_eq!(
        (patch.desired.as_ref(), patch.tags.clone()),
        (None, Some(json!({"site": null})))
    );
    assert!(parse_patch(&patch.to_body()).ok() == Some(patch));
    refused(parse_patch(b"{}"), "neither desired nor tags is given");
}

#[test]
fn a_long_request_is_too_large() {
    let body = format!(r#"{{"desired":{{"a":"{}"}}}}"#, "x".repeat(MAX_REQUEST));
    let reason = "the request is longer than 64 KiB".to_owned();
    assert_eq!(
        parse_set(body.as_bytes()).err(),
        Some(BadRequest::TooLarge(reason))
    );
}

#[test]
fn callers_see_no_bookkeeping_and_always_three_sections() {
    let document = TwinDocument {
        desired: json!({"a": {"b": [{"$version": 1, "c": 1}], "$metadata": {}}, "$version": 7}),
        reported: json!({"$metadata": {"$lastUpdated": "x"}, "$version": 1}),
        tags: Value::Null,
        etag: "AAAAAAAAAAE=".to_owned(),
        version: 2,
    }
    .cleaned();
    assert_eq!(
        String::from_utf8(document.to_body()).unwrap(),
        r#"{"desired":{"a":{"b":[{"c":1}]}},"reported":{},"tags":{},"etag":"AAAAAAAAAAE=","version":2}"#
    );
    assert_eq!(
        TwinDocument::parse(&document.to_body()).ok(),
        Some(document)
    );
}

#[test]
fn what_is_in_a_twin_is_not_shown_by_debug() {
    let document = TwinDocument {
        desired: json!({"password": "hunter2"}),
        reported: Value::Null,
        tags: Value::Null,
        etag: "A".to_owned(),
        version: 2,
    };
    assert!(!format!("{document:?}").contains("hunter2"));
}

#[test]
fn every_error_code_has_its_number() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(code.number()), Some(code));
    }
    assert_eq!(ErrorCode::from_number(500), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse_get(&body), parse_set(&body).is_ok(), parse_patch(&body).is_ok());
    }

    #[test]
    fn no_edit_lets_bookkeeping_through(path in "[a-c]{1,3}", key in r"\$[a-z]{0,8}") {
        let body = json!({"desired": {path: [{key: 1}]}}).to_string();
        prop_assert!(parse_set(body.as_bytes()).is_err());
    }
}
