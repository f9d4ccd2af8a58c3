//! Events of our own schema.

use lifecycle::Timestamp;
use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Result<Event, Malformed> {
    parse_event(
        EventId("E-1".to_owned()),
        "t1",
        "dev=2E1",
        body.as_bytes(),
        0,
    )
}

#[track_caller]
fn refused(body: &str, reason: &str) {
    assert_eq!(read(body).unwrap_err().reason, reason, "{body}");
}

#[test]
fn a_full_event_is_read() {
    let body = r#"{"status":"accepted","revision":7,"created_ts":"2026-08-20T10:11:12.3456789Z","tenant_id":"t1","device_id":"dev.1","later":{"more":[1]}}"#;
    let event = read(body).unwrap();
    assert_eq!(event.about.device.as_str(), "dev.1");
    assert_eq!(event.status, Status::Accepted);
    assert_eq!(event.revision, Some(7));
    assert_eq!(
        event.created,
        Some(Timestamp::from_micros(1_787_220_672_345_000))
    );
}

#[test]
fn the_status_alone_is_enough() {
    let event = read(r#"{"status":"rejected"}"#).unwrap();
    assert_eq!((event.revision, event.created), (None, None));
    let nulls = r#"{"status":"rejected","revision":null,"created_ts":null,"tenant_id":null}"#;
    assert_eq!(read(nulls).unwrap(), event);
}

#[test]
fn a_body_that_contradicts_the_subject_is_refused() {
    refused(
        r#"{"status":"accepted","tenant_id":"t2"}"#,
        "tenant in the body contradicts the subject",
    );
    refused(
        r#"{"status":"accepted","tenant_id":""}"#,
        "tenant in the body contradicts the subject",
    );
    refused(
        r#"{"status":"accepted","device_id":"dev=2E1"}"#,
        "device in the body contradicts the subject",
    );
}

#[test]
fn damaged_events_are_refused() {
    refused("", "the JSON text ends too early");
    refused("not json", "not valid JSON");
    refused(r#"["accepted"]"#, "not a JSON object");
    refused(r#"{"revision":1}"#, "status is missing");
    refused(r#"{"status":"enabled"}"#, "unknown status");
    refused(r#"{"status":true}"#, "status: not a text");
    refused(
        r#"{"status":"accepted","status":"rejected"}"#,
        "a field is given twice",
    );
    for revision in ["-1", "1.5", "1e3", "18446744073709551616", "\"7\"", "[]"] {
        let body = format!(r#"{{"status":"accepted","revision":{revision}}}"#);
        refused(&body, "revision: not an unsigned 64-bit number");
    }
    refused(
        r#"{"status":"accepted","created_ts":"yesterday"}"#,
        "created_ts: not an RFC 3339 time",
    );
}

#[test]
fn a_subject_that_names_nobody_is_refused() {
    let id = || EventId("E-1".to_owned());
    for (tenant, device) in [
        ("t1", "="),
        ("t1", "a=3Bb"),
        ("t1", "=2E=2E"),
        ("=zz", "d"),
        ("", "d"),
    ] {
        assert!(parse_event(id(), tenant, device, br#"{"status":"accepted"}"#, 0).is_err());
    }
    assert!(parse_event(id(), "=", "d", br#"{"status":"accepted"}"#, 0).is_ok());
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = prop::sample::select(vec![
        Status::Accepted,
        Status::Preauthorized,
        Status::Pending,
        Status::Rejected,
        Status::Noauth,
        Status::Decommissioned,
    ]);
    let millis = prop::option::of(-62_104_060_800_000_i64..253_402_200_000_000);
    (
        status,
        any::<Option<u64>>(),
        millis,
        "\\PC{0,20}",
        "[-:.+%_#*?!(),=@$'a-zA-Z0-9]{3,20}",
        any::<u64>(),
    )
        .prop_map(|(status, revision, millis, tenant, device, replay)| Event {
            id: EventId("IOTHUB_EVENTS-7".to_owned()),
            about: DeviceRef {
                tenant: tenant.parse().expect("short and printable"),
                device: device.parse().expect("made of allowed characters"),
            },
            status,
            revision,
            created: millis.map(|millis| Timestamp::from_micros(millis * 1_000)),
            replay,
        })
}

proptest! {
    #[test]
    fn every_event_comes_back(event in any_event()) {
        let tenant = event.about.tenant.to_token();
        let device = event.about.device.to_token();
        let body = to_body(&event);
        let back = parse_event(event.id.clone(), &tenant, &device, &body, event.replay);
        prop_assert_eq!(back, Ok(event));
    }

    #[test]
    fn no_bytes_make_it_panic(
        tenant in ".{0,9}", device in ".{0,9}", body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse_event(EventId(String::new()), &tenant, &device, &body, 0);
    }
}
