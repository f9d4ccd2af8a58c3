//! Refusals as the service was seen to send them, and as it might.

use http::header::HeaderName;

use super::*;

const NOON: &str = "Thu, 01 Jan 2026 12:00:00 GMT";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

fn answer(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Error {
    read(
        StatusCode::from_u16(status).unwrap(),
        &headers(pairs),
        body.as_bytes(),
    )
}

#[track_caller]
fn check(error: &Error, kind: Kind, effect: Effect, name: Option<&str>, number: Option<u32>) {
    assert_eq!(
        (error.kind(), error.effect(), error.name(), error.number()),
        (kind, effect, name, number)
    );
}

#[test]
fn the_header_names_the_error_and_the_body_the_tracking_id() {
    let body = r#"{"Message":"ErrorCode:DeviceNotFound;dev-1","ExceptionMessage":"Tracking ID:d13bed747f5645ad88344794baaa1fa7-G:4-TimeStamp:06/16/2020 22:34:56"}"#;
    let error = answer(404, &[("iothub-errorcode", "DeviceNotFound")], body);
    check(
        &error,
        Kind::NotFound,
        Effect::None,
        Some("DeviceNotFound"),
        Some(404_001),
    );
    assert_eq!(
        error.tracking_id(),
        Some("d13bed747f5645ad88344794baaa1fa7")
    );
    assert_eq!(
        error.to_string(),
        "not found (status 404, DeviceNotFound, 404001, tracking id d13bed747f5645ad88344794baaa1fa7)"
    );
}

#[test]
fn without_the_header_the_message_names_the_error() {
    let body = r#"{"Message":"ErrorCode:PreconditionFailed;Precondition failed: Device version did not match","ExceptionMessage":""}"#;
    check(
        &answer(412, &[], body),
        Kind::PreconditionFailed,
        Effect::None,
        Some("PreconditionFailed"),
        Some(412_001),
    );
}

#[test]
fn the_header_wins_over_the_message() {
    let body = r#"{"Message":"ErrorCode:DeviceAlreadyExists;x"}"#;
    let error = answer(403, &[("iothub-errorcode", "IotHubQuotaExceeded")], body);
    check(
        &error,
        Kind::QuotaExceeded,
        Effect::None,
        Some("IotHubQuotaExceeded"),
        Some(403_002),
    );
}

#[test]
fn the_newer_style_names_the_error_by_number() {
    let body = r#"{"errorCode":409301,"message":"Device d already contains Module m.","trackingId":"ABC-G2","timestampUtc":"2026-08-15T09:09:19Z"}"#;
    let error = answer(409, &[], body);
    check(
        &error,
        Kind::AlreadyExists,
        Effect::None,
        Some("ModuleAlreadyExistsOnDevice"),
        Some(409_301),
    );
    assert_eq!(error.tracking_id(), Some("ABC-G2"));
}

#[test]
fn the_newer_style_may_hide_in_the_message() {
    let text = r#"{"Message":"{\"errorCode\":404103,\"message\":\"not online\",\"trackingId\":\"T1\",\"info\":null}","ExceptionMessage":""}"#;
    let object = r#"{"Message":{"errorCode":404103,"trackingId":"T1"},"ExceptionMessage":""}"#;
    for body in [text, object] {
        let error = answer(404, &[], body);
        check(
            &error,
            Kind::NotAvailable,
            Effect::None,
            Some("DeviceNotOnline"),
            Some(404_103),
        );
        assert_eq!(error.tracking_id(), Some("T1"));
    }
}

#[test]
fn a_number_that_is_not_known_is_judged_by_its_class() {
    let error = answer(400, &[], r#"{"errorCode":404999}"#);
    check(&error, Kind::NotFound, Effect::None, None, Some(404_999));
    let error = answer(400, &[], r#"{"errorCode":7}"#);
    check(&error, Kind::Invalid, Effect::None, None, Some(7));
}

#[test]
fn an_empty_or_foreign_body_leaves_the_status() {
    for body in [
        "",
        "<html>nothing here</html>",
        "[]",
        "null",
        r#"{"Message":7}"#,
        "\u{0}",
    ] {
        check(
            &answer(401, &[], body),
            Kind::Unauthorized,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(403, &[], body),
            Kind::Unauthorized,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(404, &[], body),
            Kind::NotFound,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(409, &[], body),
            Kind::AlreadyExists,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(412, &[], body),
            Kind::PreconditionFailed,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(418, &[], body),
            Kind::Invalid,
            Effect::None,
            None,
            None,
        );
        check(
            &answer(502, &[], body),
            Kind::Transient,
            Effect::Unknown,
            None,
            None,
        );
    }
}

#[test]
fn a_full_hub_is_told_from_a_large_body() {
    check(
        &answer(413, &[("iothub-errorcode", "TooManyDevices")], ""),
        Kind::HubFull,
        Effect::None,
        Some("TooManyDevices"),
        Some(413_002),
    );
    check(
        &answer(413, &[], ""),
        Kind::Invalid,
        Effect::None,
        None,
        None,
    );
}

#[test]
fn a_basic_tier_is_not_a_missing_role() {
    let error = answer(
        403,
        &[("iothub-errorcode", "OperationNotAvailableInCurrentTier")],
        "",
    );
    assert_eq!(error.kind(), Kind::NotAvailable);
    assert_eq!(
        answer(403, &[("iothub-errorcode", "IotHubSuspended")], "").kind(),
        Kind::NotAvailable
    );
    assert_eq!(
        answer(403, &[], r#"{"errorCode":403001}"#).kind(),
        Kind::QuotaExceeded
    );
}

#[test]
fn a_failing_server_is_transient_whatever_it_names() {
    let error = answer(503, &[("iothub-errorcode", "DeviceNotFound")], "");
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Transient, Effect::Unknown)
    );
    let error = answer(500, &[("iothub-errorcode", "ThrottlingException")], "");
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Throttled { retry_after: None }, Effect::Unknown)
    );
}

#[test]
fn a_time_out_at_a_gateway_may_still_take_effect() {
    check(
        &answer(408, &[], ""),
        Kind::Transient,
        Effect::Unknown,
        None,
        None,
    );
}

#[test]
fn a_redirect_is_an_answer_nobody_can_read() {
    check(
        &answer(302, &[("location", "https://example.org")], ""),
        Kind::Malformed,
        Effect::Unknown,
        None,
        None,
    );
}

#[test]
fn what_is_no_name_is_not_repeated() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let body = format!(
        r#"{{"Message":"ErrorCode:{key};{key}","errorCode":"{key}","trackingId":"{key}"}}"#
    );
    let error = answer(
        400,
        &[("iothub-errorcode", key), ("x-ms-request-id", key)],
        &body,
    );
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("AAECAwQ"), "{shown}");
}

#[test]
fn the_request_id_stands_in_for_a_tracking_id() {
    let error = answer(
        429,
        &[("x-ms-request-id", "d13bed74-7f56-45ad-8834-4794baaa1fa7")],
        "",
    );
    assert_eq!(
        error.tracking_id(),
        Some("d13bed74-7f56-45ad-8834-4794baaa1fa7")
    );
}

#[track_caller]
fn pause(pairs: &[(&'static str, &str)], expected: Option<u64>) {
    let retry_after = expected.map(Duration::from_secs);
    assert_eq!(
        answer(429, pairs, "").kind(),
        Kind::Throttled { retry_after }
    );
}

#[test]
fn retry_after_is_read_as_seconds_or_date_and_capped() {
    pause(&[], None);
    pause(&[("retry-after", "17")], Some(17));
    pause(&[("retry-after", "0")], Some(0));
    pause(&[("retry-after", "99999")], Some(3600));
    pause(&[("retry-after", "99999999999999999999999")], Some(3600));
    pause(
        &[
            ("date", NOON),
            ("retry-after", "Thu, 01 Jan 2026 12:00:30 GMT"),
        ],
        Some(30),
    );
    pause(
        &[
            ("date", NOON),
            ("retry-after", "Thu, 01 Jan 2026 11:00:00 GMT"),
        ],
        Some(0),
    );
    pause(
        &[
            ("date", NOON),
            ("retry-after", "Fri, 01 Jan 2027 12:00:00 GMT"),
        ],
        Some(3600),
    );
    pause(&[("retry-after", "-5")], None);
    pause(&[("retry-after", "soon")], None);
}
