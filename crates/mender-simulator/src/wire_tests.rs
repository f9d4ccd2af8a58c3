//! The bytes against the examples of what arrives from real servers.

use super::*;
use crate::fleet::DeviceKey;

const ID: &str = "7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11";

fn device(tenant: &str, status: Status, revision: u64) -> Device {
    let created = "2026-08-20T10:11:12.345Z".parse().expect("a time");
    Device {
        key: DeviceKey {
            tenant: tenant.to_owned(),
            id: ID.to_owned(),
        },
        status,
        revision,
        created,
        updated: "2026-08-20T11:00:00.5Z".parse().expect("a time"),
        provisioned: false,
        decommissioning: false,
        auth_set: "d1f5".to_owned(),
    }
}

#[track_caller]
fn check(value: &impl Serialize, expected: &str) {
    let bytes = String::from_utf8(encode(value)).expect("JSON is text");
    assert_eq!(bytes, expected.replace("{ID}", ID));
}

const AUTH_SET: &str = r#""identity_data":{"mac":"MAC"},"pubkey":"-----BEGIN PUBLIC KEY-----\nd1f5\n-----END PUBLIC KEY-----\n","status":"accepted","ts":"2026-08-20T10:11:12.345Z"}]"#;

fn auth_set(device: &Device) -> String {
    AUTH_SET.replace("MAC", &identity_data(device)["mac"])
}

#[test]
fn provisioning_in_main() {
    let device = device("", Status::Accepted, 3);
    let shape = EventDevice::Main((&device).into());
    let auth_set = auth_set(&device);
    check(
        &Provisioned::new(&device, shape, "r-1"),
        &format!(
            r#"{{"device":{{"auth_sets":[{{"device_id":"{ID}","id":"d1f5",{auth_set},"created_ts":"2026-08-20T10:11:12.345Z","id":"{ID}","revision":3,"status":"accepted"}},"device_id":"{ID}","event":"device-provisioned","request_id":"r-1","status":"accepted","tenant_id":""}}"#
        ),
    );
}

#[test]
fn provisioning_in_v4() {
    let device = device("", Status::Accepted, 3);
    let shape = EventDevice::Full(Box::new((&device).into()));
    let (auth_set, mac) = (auth_set(&device), &identity_data(&device)["mac"]);
    check(
        &Provisioned::new(&device, shape, "r-1"),
        &format!(
            r#"{{"device":{{"auth_sets":[{{"id":"d1f5",{auth_set},"check_in_time":"2026-08-20T11:00:00.5Z","created_ts":"2026-08-20T10:11:12.345Z","decommissioning":false,"id":"{ID}","identity_data":{{"mac":"{mac}"}},"status":"accepted","updated_ts":"2026-08-20T11:00:00.5Z"}},"device_id":"{ID}","event":"device-provisioned","request_id":"r-1","status":"accepted","tenant_id":""}}"#
        ),
    );
}

#[test]
fn a_status_change_in_v4() {
    let device = device("66ff8a4650829de3d99a25f1", Status::Rejected, 7);
    let shape = EventDevice::Short((&device).into());
    check(
        &StatusChanged::new(&device, shape, "r-2"),
        r#"{"devices":[{"id":"{ID}","revision":7}],"event":"device-status-changed","request_id":"r-2","status":"rejected","tenant_id":"66ff8a4650829de3d99a25f1"}"#,
    );
}

#[test]
fn a_dismissal_in_main_has_no_auth_set_left() {
    let device = device("", Status::NoAuth, 8);
    let shape = EventDevice::Main((&device).into());
    check(
        &StatusChanged::new(&device, shape, "r-2"),
        r#"{"devices":[{"auth_sets":[],"created_ts":"2026-08-20T10:11:12.345Z","id":"{ID}","revision":8,"status":"noauth"}],"event":"device-status-changed","request_id":"r-2","status":"noauth","tenant_id":""}"#,
    );
}

#[test]
fn a_preauthorized_device_that_goes() {
    let device = device("", Status::Preauthorized, 1);
    check(
        &StatusChanged::preauthorized_gone(&device, "r-2"),
        r#"{"devices":[{"id":"{ID}","revision":0}],"event":"device-status-changed","request_id":"r-2","status":"decommissioned","tenant_id":""}"#,
    );
}

#[test]
fn a_decommissioning() {
    let device = device("", Status::Accepted, 9);
    check(
        &Decommissioned::new(&device, "r-3"),
        r#"{"device_id":"{ID}","event":"device-decommissioned","request_id":"r-3","tenant_id":""}"#,
    );
}

#[test]
fn strings_are_escaped_as_go_escapes_them() {
    check(
        &"a<b>&c\u{2028}\u{2029}\"\\\n\t\u{1}ü",
        r#""a\u003cb\u003e\u0026c\u2028\u2029\"\\\n\t\u0001ü""#,
    );
}
