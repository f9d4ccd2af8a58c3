//! Requests against a hub of one twin, kept in memory.

use std::sync::Mutex;

use messages::twin::ErrorCode;
use messages::{DeviceId, TenantId};
use serde_json::{Value, json};

use super::*;
use crate::{BySubject, Caller, Denied, Limits, admission::Admission};

struct OneTwin {
    twin: Mutex<TwinDocument>,
    calls: Mutex<usize>,
}

impl OneTwin {
    fn new() -> Self {
        Self {
            twin: Mutex::new(TwinDocument {
                desired: serde_json::from_str(
                    r#"{"rate":1.10,"$version":3,"a":{"$metadata":{},"b":1}}"#,
                )
                .unwrap(),
                reported: json!({"$version": 1}),
                tags: json!({"mender": true}),
                etag: "AAAAAAAAAAE=".to_owned(),
                version: 2,
            }),
            calls: Mutex::new(0),
        }
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    fn knows(&self, tenant: &TenantId, device: &DeviceId) -> Result<(), TwinError> {
        *self.calls.lock().unwrap() += 1;
        match (tenant.as_str(), device.as_str()) {
            ("t", "dev.1") => Ok(()),
            ("t", _) => Err(TwinError::NotFound),
            _ => Err(TwinError::NoIntegration),
        }
    }
}

impl TwinHub for OneTwin {
    async fn get(&self, tenant: &TenantId, device: &DeviceId) -> Result<TwinDocument, TwinError> {
        self.knows(tenant, device)?;
        Ok(self.twin.lock().unwrap().clone())
    }

    async fn set(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        desired: Value,
        etag: Option<String>,
    ) -> Result<TwinDocument, TwinError> {
        self.knows(tenant, device)?;
        let mut twin = self.twin.lock().unwrap();
        if etag.is_some_and(|etag| etag != twin.etag) {
            return Err(TwinError::Conflict {
                etag: Some(twin.etag.clone()),
            });
        }
        twin.desired = desired;
        twin.etag = "AAAAAAAAAAI=".to_owned();
        twin.version += 1;
        Ok(twin.clone())
    }
}

/// A hub that never answers.
struct Hung;

impl TwinHub for Hung {
    async fn get(&self, _: &TenantId, _: &DeviceId) -> Result<TwinDocument, TwinError> {
        std::future::pending().await
    }

    async fn set(
        &self,
        _: &TenantId,
        _: &DeviceId,
        _: Value,
        _: Option<String>,
    ) -> Result<TwinDocument, TwinError> {
        std::future::pending().await
    }
}

struct ReadersOnly;

impl Access for ReadersOnly {
    async fn check(&self, asked: Asked<'_>) -> Result<Caller, Denied> {
        if asked.verb.edits() {
            Err(TwinError::Forbidden.into())
        } else {
            Ok(Caller::on_subject())
        }
    }
}

fn call<'a>(verb: Verb, device: &'a str, body: &'a str) -> Call<'a> {
    Call {
        verb,
        subject: device,
        headers: None,
        body: body.as_bytes(),
    }
}

#[track_caller]
fn code(reply: Result<TwinDocument, TwinError>) -> ErrorCode {
    reply.unwrap_err().code()
}

#[tokio::test]
async fn a_reply_has_no_bookkeeping_and_every_digit() {
    let hub = OneTwin::new();
    let reply = answer(
        &hub,
        &BySubject,
        call(Verb::Get, "x.twin.get.t.dev=2E1", ""),
    );
    assert_eq!(
        String::from_utf8(reply.await.unwrap().to_body()).unwrap(),
        r#"{"desired":{"a":{"b":1},"rate":1.10},"reported":{},"tags":{"mender":true},"etag":"AAAAAAAAAAE=","version":2}"#
    );
}

#[tokio::test]
async fn set_replaces_desired_properties_and_leaves_the_tags() {
    let hub = OneTwin::new();
    let body = r#"{"desired":{"n":9007199254740993},"etag":"AAAAAAAAAAE="}"#;
    let reply = answer(
        &hub,
        &BySubject,
        call(Verb::Set, "x.twin.set.t.dev=2E1", body),
    )
    .await;
    let twin = reply.unwrap();
    assert_eq!(twin.desired.to_string(), r#"{"n":9007199254740993}"#);
    assert_eq!(twin.tags, json!({"mender": true}));

    let stale = answer(
        &hub,
        &BySubject,
        call(Verb::Set, "x.twin.set.t.dev=2E1", body),
    )
    .await;
    assert_eq!(code(stale), ErrorCode::Conflict);
}

#[tokio::test]
async fn a_wrong_request_never_reaches_the_hub() {
    let hub = OneTwin::new();
    let large = format!(r#"{{"desired":{{"a":"{}"}}}}"#, "x".repeat(65_536));
    for (subject, body, expected) in [
        ("x.twin.set.t.dev=2E1", "not json", ErrorCode::Invalid),
        (
            "x.twin.set.t.dev=2E1",
            r#"{"desired":{"a":{"$version":1}}}"#,
            ErrorCode::Invalid,
        ),
        ("x.twin.set.t.dev=2E1", large.as_str(), ErrorCode::TooLarge),
        (
            "x.twin.set.t.=2E=2E",
            r#"{"desired":{}}"#,
            ErrorCode::Invalid,
        ),
        (
            "x.twin.set.t.a=3Bb",
            r#"{"desired":{}}"#,
            ErrorCode::Invalid,
        ),
    ] {
        let reply = answer(&hub, &BySubject, call(Verb::Set, subject, body)).await;
        assert_eq!(code(reply), expected, "{subject}");
    }
    assert_eq!(hub.calls(), 0);
}

#[tokio::test]
async fn a_refusal_is_the_same_for_devices_that_exist_and_those_that_do_not() {
    let hub = OneTwin::new();
    for device in ["x.twin.set.t.dev=2E1", "x.twin.set.t.other"] {
        let reply = answer(&hub, &ReadersOnly, call(Verb::Set, device, "not json")).await;
        assert_eq!(reply.unwrap_err(), TwinError::Forbidden);
    }
    assert_eq!(hub.calls(), 0);
    let read = answer(
        &hub,
        &ReadersOnly,
        call(Verb::Get, "x.twin.get.t.dev=2E1", ""),
    )
    .await;
    assert!(read.is_ok());
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let hub = OneTwin::new();
    for subject in ["x.twin.get.t.other", "x.twin.get.=.dev=2E1"] {
        let reply = answer(&hub, &BySubject, call(Verb::Get, subject, "{}")).await;
        assert_eq!(code(reply), ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn a_hub_that_hangs_ends_in_504_also_for_those_who_wait_behind() {
    let admission = Admission::new(Limits {
        running_per_tenant: 1,
        ..Limits::default()
    });
    let (first, second) = (admission.admit("t").unwrap(), admission.admit("t").unwrap());
    let get = call(Verb::Get, "x.twin.get.t.dev=2E1", "");
    let deadline = Duration::from_millis(20);
    let (one, two) = tokio::join!(
        in_turn(&Hung, &BySubject, get, &first, deadline),
        in_turn(&Hung, &BySubject, get, &second, deadline),
    );
    assert_eq!(
        (code(one), code(two)),
        (ErrorCode::TimedOut, ErrorCode::TimedOut)
    );
}

#[test]
fn the_last_two_tokens_name_the_device() {
    assert_eq!(tokens("my.own.prefix.twin.get.=.dev"), ("=", "dev"));
    assert_eq!(tokens("dev"), ("", "dev"));
}
