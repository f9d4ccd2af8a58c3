//! The readers of messages: Mender's, our own, and those of callers of our services.

use lifecycle::EventId;
use messages::ops::{MAX_LETTERS, MAX_RATE, MAX_WAIT_S, Which, parse_replay};
use messages::twin::{
    JobWork, parse_get, parse_job_create, parse_method, parse_patch, parse_query, parse_set,
};
use messages::{parse_event, parse_mender};
use serde_json::Value;

/// What a Mender workflow published. A reason for refusing it repeats nothing of it.
pub(crate) fn message(bytes: &[u8]) {
    match parse_mender(bytes) {
        Ok(message) => assert!(message.devices.len() <= bytes.len()),
        Err(reason) => assert!(reason.to_string().len() < 200),
    }
}

/// An event of ours. What is understood means the same when written and read again.
pub(crate) fn event(bytes: &[u8]) {
    let id = || EventId("fuzz-1".to_owned());
    let Ok(event) = parse_event(id(), "t1", "d1", bytes, 0) else {
        return;
    };
    let written = messages::to_body(&event);
    let again = parse_event(id(), "t1", "d1", &written, 0);
    assert_eq!(again.as_ref(), Ok(&event), "not the same when read again");
}

/// A request to the twin service. What is let through holds none of the hub's own keys.
pub(crate) fn twin_request(bytes: &[u8]) {
    let _ = parse_get(bytes);
    if let Ok(request) = parse_set(bytes) {
        check(&request.desired);
        let again = parse_set(&request.to_body()).expect("what was let in is let in again");
        assert!(again == request, "not the same when read again");
    }
    if let Ok(request) = parse_patch(bytes) {
        for section in [&request.desired, &request.tags].into_iter().flatten() {
            check(section);
        }
    }
    if let Ok(request) = parse_query(bytes) {
        let again = parse_query(&request.to_body());
        assert_eq!(again, Ok(request), "not the same when read again");
    }
    if let Ok(request) = parse_method(bytes) {
        let again = parse_method(&request.to_body());
        assert!(again == Ok(request), "not the same when read again");
    }
    if let Ok(request) = parse_job_create(bytes)
        && let JobWork::Patch(edit) = request.work
    {
        for section in [&edit.desired, &edit.tags].into_iter().flatten() {
            check(section);
        }
    }
}

/// A request for a replay. What is not understood replays nothing.
pub(crate) fn ops_request(bytes: &[u8]) {
    match parse_replay(bytes) {
        Ok(request) => {
            assert!((1..=MAX_LETTERS).contains(&request.limit));
            assert!((1..=MAX_RATE).contains(&request.rate));
            assert!(request.wait.as_secs() <= MAX_WAIT_S);
            assert!(!matches!(&request.which, Which::These(none) if none.is_empty()));
        }
        Err(reason) => assert!(reason.to_string().len() < 400),
    }
}

fn check(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(
                    !key.starts_with('$'),
                    "one of the hub's own keys came through"
                );
                check(value);
            }
        }
        Value::Array(items) => items.iter().for_each(check),
        _ => {}
    }
}
