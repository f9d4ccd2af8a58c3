//! Every shape that Mender servers send, and what is refused.

use proptest::prelude::*;

use super::*;

const ID: &str = "7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11";
const TENANT: &str = "66ff8a4650829de3d99a25f1";
/// 2026-08-20T10:11:12.345Z.
const CREATED: i64 = 1_787_220_672_345_000;

fn device(status: Status, revision: Option<u64>, created: Option<i64>) -> MenderDevice {
    MenderDevice {
        device: ID.parse().unwrap(),
        status,
        revision,
        created: created.map(Timestamp::from_micros),
    }
}

#[track_caller]
fn says(body: &str, tenant: &str, expected: &[MenderDevice]) {
    let message = parse_mender(body.replace("ID", ID).as_bytes()).unwrap();
    assert_eq!(message.tenant.as_str(), tenant);
    let devices: Result<Vec<_>, _> = message.devices.into_iter().collect();
    assert_eq!(devices.unwrap(), expected);
}

#[track_caller]
fn refused(body: &str, reason: &str) {
    assert_eq!(
        parse_mender(body.replace("ID", ID).as_bytes()).unwrap_err(),
        Malformed {
            reason: reason.to_owned().into()
        }
    );
}

#[track_caller]
fn bad_devices(body: &str, reasons: &[Option<&str>]) {
    let message = parse_mender(body.replace("ID", ID).as_bytes()).unwrap();
    let got: Vec<_> = message
        .devices
        .iter()
        .map(|device| device.as_ref().err().map(|bad| bad.malformed.to_string()))
        .collect();
    assert_eq!(
        got,
        reasons
            .iter()
            .map(|r| r.map(str::to_owned))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_provision_of_the_newest_server_carries_a_revision() {
    says(
        r#"{"device":{"auth_sets":[{"device_id":"other","id":"d1f5","identity_data":{"mac":"00"},"status":"rejected"}],"created_ts":"2026-08-20T10:11:12.345Z","id":"ID","revision":3,"status":"accepted"},"device_id":"ID","event":"device-provisioned","request_id":"r-1","status":"accepted","tenant_id":""}"#,
        "",
        &[device(Status::Accepted, Some(3), Some(CREATED))],
    );
}

#[test]
fn a_provision_of_version_4_carries_none() {
    says(
        r#"{"device":{"id":"ID","identity_data":{"mac":"00"},"status":"pending","decommissioning":false,"created_ts":"2026-08-20T10:11:12.345678901Z","updated_ts":"x","auth_sets":[]},"device_id":"ID","event":"device-provisioned","request_id":"","status":"accepted","tenant_id":"66ff8a4650829de3d99a25f1"}"#,
        TENANT,
        &[device(Status::Accepted, None, Some(CREATED))],
    );
}

#[test]
fn a_provision_without_a_status_of_its_own_uses_that_of_the_device() {
    says(
        r#"{"device":{"id":"ID","status":"accepted"},"device_id":"ID","event":"device-provisioned","status":null}"#,
        "",
        &[device(Status::Accepted, None, None)],
    );
    says(
        r#"{"device":null,"device_id":"ID","event":"device-provisioned","status":"accepted"}"#,
        "",
        &[device(Status::Accepted, None, None)],
    );
}

#[test]
fn a_provision_must_name_one_device_and_no_decommission() {
    refused(
        r#"{"device":{"id":"other"},"device_id":"ID","event":"device-provisioned","status":"accepted"}"#,
        "device_id contradicts device.id",
    );
    refused(
        r#"{"device_id":"ID","event":"device-provisioned","status":"decommissioned"}"#,
        "a provisioned device cannot be decommissioned",
    );
    refused(
        r#"{"device":["ID"],"event":"device-provisioned","status":"accepted"}"#,
        "device: not a JSON object",
    );
}

#[test]
fn a_status_change_is_read_from_every_form_of_the_list() {
    let expected = [device(Status::Rejected, Some(7), None)];
    for devices in [
        r#"[{"id":"ID","revision":7}]"#,
        r#"[{"device_id":"ID","revision":7}]"#,
        r#"[{"id":"older","device_id":"ID","revision":7}]"#,
        r#"[{"id":"ID","revision":7,"status":"accepted"}]"#,
        r#""[{\"id\":\"ID\",\"revision\":7}]""#,
    ] {
        let body = format!(
            r#"{{"devices":{devices},"event":"device-status-changed","request_id":"r-2","status":"rejected","tenant_id":"{TENANT}"}}"#
        );
        says(&body, TENANT, &expected);
    }
}

#[test]
fn a_list_may_be_empty_or_null() {
    for devices in ["[]", "null", r#""[]""#, r#""null""#, r#""""#] {
        let body = format!(
            r#"{{"devices":{devices},"event":"device-status-changed","status":"noauth","tenant_id":null}}"#
        );
        says(&body, "", &[]);
    }
}

#[test]
fn a_preauthorised_device_that_was_deleted_has_no_revision_to_compare() {
    says(
        r#"{"devices":[{"id":"ID","revision":0}],"event":"device-status-changed","status":"decommissioned"}"#,
        "",
        &[device(Status::Decommissioned, None, None)],
    );
}

#[test]
fn a_decommission_names_just_the_device() {
    says(
        r#"{"device_id":"ID","event":"device-decommissioned","request_id":"r-3","tenant_id":""}"#,
        "",
        &[device(Status::Decommissioned, None, None)],
    );
    refused(
        r#"{"device_id":"ID","event":"device-decommissioned","status":"accepted"}"#,
        "status contradicts the decommission",
    );
}

#[test]
fn without_a_name_the_fields_tell_the_event() {
    says(
        r#"{"devices":[{"id":"ID","revision":7}],"status":"rejected"}"#,
        "",
        &[device(Status::Rejected, Some(7), None)],
    );
    says(
        r#"{"device":{"id":"ID","status":"accepted","revision":3}}"#,
        "",
        &[device(Status::Accepted, Some(3), None)],
    );
    says(
        r#"{"request_id":"r","tenant_id":"","device_id":"ID"}"#,
        "",
        &[device(Status::Decommissioned, None, None)],
    );
    refused(r#"{"request_id":"r"}"#, "the message names no device");
}

#[test]
fn a_null_for_a_status_is_never_taken_for_a_decommission() {
    bad_devices(
        r#"{"device_id":"ID","status":null}"#,
        &[Some("status is missing")],
    );
    bad_devices(
        r#"{"device_id":"ID","device":null}"#,
        &[Some("status is missing")],
    );
}

#[test]
fn one_bad_device_does_not_lose_the_others() {
    bad_devices(
        r#"{"devices":[{"id":"ID"},{"id":"a/b"},{"id":".."},{"id":"a;b"},{"id":5},{},7,{"id":"ID","id":"x"},{"id":"ID","revision":-1},{"id":"ID","revision":1.0},{"id":"ID","revision":18446744073709551616},{"id":"ID","revision":"7"},{"id":"ID","created_ts":"soon"},{"id":"ID"}],"status":"pending"}"#,
        &[
            None,
            Some("device id: id has a character that Azure IoT Hub does not allow, or a ';'"),
            Some("device id: id is '.' or '..'"),
            Some("device id: id has a character that Azure IoT Hub does not allow, or a ';'"),
            Some("id: not a text"),
            Some("the device has no id"),
            Some("not a JSON object"),
            Some("a field is given twice"),
            Some("revision: not an unsigned 64-bit number"),
            Some("revision: not an unsigned 64-bit number"),
            Some("revision: not an unsigned 64-bit number"),
            Some("revision: not an unsigned 64-bit number"),
            Some("created_ts: not an RFC 3339 time"),
            None,
        ],
    );
}

#[test]
fn a_bad_device_keeps_its_id_if_that_is_short() {
    let long = "x".repeat(129);
    let body = format!(r#"{{"devices":[{{"id":"a\n/b"}},{{"id":"{long}"}}],"status":"pending"}}"#);
    let devices = parse_mender(body.as_bytes()).unwrap().devices;
    let bad: Vec<_> = devices.iter().map(|d| d.as_ref().unwrap_err()).collect();
    assert_eq!(bad[0].device.as_deref(), Some("a\n/b"));
    assert!(format!("{:?}", bad[0]).contains("a=0A=2Fb"));
    assert_eq!(bad[1].device, None);
}

#[test]
fn unknown_words_are_refused_and_never_repeated() {
    for status in ["enabled", "ACCEPTED", "", "accepted "] {
        let body = format!(r#"{{"devices":[{{"id":"ID"}}],"status":"{status}"}}"#);
        refused(&body, "unknown status");
    }
    refused(
        r#"{"event":"device-exploded","device_id":"ID"}"#,
        "unknown event",
    );
    refused(
        r#"{"event":"device-decommissioned","device_id":"ID","tenant_id":"a\u0000"}"#,
        "tenant_id: id has a character that Azure IoT Hub does not allow, or a ';'",
    );
}

#[test]
fn damaged_messages_are_refused() {
    refused("", "the JSON text ends too early");
    refused(
        r#"{"devices":{"id":"ID"},"status":"pending"}"#,
        "devices: not a list",
    );
    refused(
        r#"{"devices":"ID","status":"pending"}"#,
        "devices: not a list",
    );
    refused(
        r#"{"devices":"ID","event":"device-status-changed","status":7}"#,
        "status: not a text",
    );
    refused(
        r#"{"event":"device-status-changed","status":"pending"}"#,
        "devices is missing",
    );
    refused(
        r#"{"device_id":"ID","device_id":"x"}"#,
        "a field is given twice",
    );
    let deep = "[".repeat(500) + &"]".repeat(500);
    refused(
        &format!(r#"{{"other":{deep}}}"#),
        "the body is nested more than 128 deep",
    );
    refused(
        &format!(r#"{{"devices":"{deep}","status":"pending"}}"#),
        "devices: nested more than 128 deep",
    );
    let many = format!("[{}7]", "7,".repeat(MAX_DEVICES));
    refused(
        &format!(r#"{{"devices":{many},"status":"pending"}}"#),
        "devices: more than 1000",
    );
    assert!(parse_mender(b"{\"device_id\":\"\xff\"}").is_err());
    assert!(parse_mender(&vec![b' '; crate::MAX_BODY + 1]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_mender(&body);
    }

    #[test]
    fn no_json_makes_it_panic(
        devices in r#"(\[|"|\{|null|\{"id":"[a-z/]{0,3}"\}|,|\]|\}|-?[0-9]{1,25}){0,8}"#,
        event in "(device-provisioned|device-status-changed|device-decommissioned|x)",
        status in "(accepted|rejected|decommissioned|x)",
        id in ".{0,5}",
    ) {
        let id = serde_json::to_string(&id).unwrap();
        for field in ["device", "devices"] {
            let body = format!(
                r#"{{"event":"{event}","status":"{status}","device_id":{id},"{field}":{devices}}}"#
            );
            let _ = parse_mender(body.as_bytes());
        }
    }
}
