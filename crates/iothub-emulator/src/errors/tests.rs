//! Error bodies, compared with recorded ones.

use super::*;
use crate::throttle::Meter;

const ID: &str = "d13bed74-7f56-45ad-8834-4794baaa1fa7";
const NOW: Ticks = Ticks::from_unix_micros(1_592_346_896_000_000);

#[test]
fn a_registry_error_carries_name_text_tracking_id_and_group() {
    assert_eq!(
        ServiceError::device_not_found("d 1").body(ID, NOW),
        r#"{"Message":"ErrorCode:DeviceNotFound;d 1","ExceptionMessage":"Tracking ID:d13bed747f5645ad88344794baaa1fa7-G:1-TimeStamp:06/16/2020 22:34:56"}"#
    );
}

#[test]
fn a_twin_error_has_no_group_in_its_tracking_id() {
    let body = ServiceError::device_not_found("d1")
        .by_twins()
        .body(ID, NOW);
    assert!(
        body.contains("Tracking ID:d13bed747f5645ad88344794baaa1fa7-TimeStamp:"),
        "{body}"
    );
}

#[test]
fn texts_with_quotes_stay_valid_json() {
    let body = ServiceError::invalid(r#"a "quoted" \ text"#).body(ID, NOW);
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        parsed["Message"],
        r#"ErrorCode:ArgumentInvalid;a "quoted" \ text"#
    );
}

#[test]
fn injected_refusals_borrow_the_usual_name_of_their_status() {
    let name =
        |status: u16| ServiceError::injected(StatusCode::from_u16(status).unwrap(), None).name;
    assert_eq!(name(429), "ThrottlingBacklogTimeout");
    assert_eq!(name(503), "ServiceUnavailable");
    assert_eq!(name(507), "ServerError");
    let own = ServiceError::injected(StatusCode::SERVICE_UNAVAILABLE, Some("ServerBusy"));
    assert_eq!(own.name, "ServerBusy");
}

#[test]
fn each_named_refusal_has_its_status() {
    for (error, status) in [
        (ServiceError::device_already_exists("d"), 409),
        (ServiceError::precondition_failed("x"), 412),
        (ServiceError::protocol_version("x"), 400),
        (ServiceError::invalid_scope("x"), 400),
        (ServiceError::unauthorized(), 401),
        (ServiceError::no_such_resource(), 404),
        (ServiceError::method_not_allowed(&http::Method::PUT), 405),
        (ServiceError::body_too_large(), 413),
        (ServiceError::throttled(Meter::Registry), 429),
    ] {
        assert_eq!(error.status, status, "{}", error.name);
    }
}
