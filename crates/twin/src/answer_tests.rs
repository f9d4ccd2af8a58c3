//! Requests against a hub of one twin, kept in memory.

use std::sync::Mutex;

use messages::twin::{
    ErrorCode, FoundTwin, JobCounts, JobName, JobReply, JobRequest, JobStatus, MethodReply,
    MethodRequest, PatchRequest, QueryReply, QueryRequest, SetRequest, TwinDocument,
};
use messages::{DeviceId, TenantId};
use serde_json::json;

use super::*;
use crate::address::tokens;
use crate::{BySubject, Caller, Denied, Target, admission::Admission};

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
    async fn get(&self, of: Target<'_>) -> Result<TwinDocument, TwinError> {
        self.knows(of.tenant, of.device)?;
        Ok(self.twin.lock().unwrap().clone())
    }

    async fn set(&self, of: Target<'_>, edit: SetRequest) -> Result<TwinDocument, TwinError> {
        self.knows(of.tenant, of.device)?;
        let mut twin = self.twin.lock().unwrap();
        if edit.etag.is_some_and(|etag| etag != twin.etag) {
            return Err(TwinError::Conflict {
                etag: Some(twin.etag.clone()),
            });
        }
        twin.desired = edit.desired;
        twin.etag = "AAAAAAAAAAI=".to_owned();
        twin.version += 1;
        Ok(twin.clone())
    }

    async fn patch(&self, _: Target<'_>, _: PatchRequest) -> Result<TwinDocument, TwinError> {
        unreachable!("no test patches")
    }

    async fn method(&self, _: Target<'_>, call: MethodRequest) -> Result<MethodReply, TwinError> {
        *self.calls.lock().unwrap() += 1;
        Ok(MethodReply {
            status: 200,
            payload: call.payload,
        })
    }

    async fn query(
        &self,
        _: &TenantId,
        query: QueryRequest,
        _: usize,
    ) -> Result<QueryReply, TwinError> {
        *self.calls.lock().unwrap() += 1;
        Ok(QueryReply {
            twins: vec![FoundTwin {
                device: query.condition.to_text(),
                module: None,
                twin: self.twin.lock().unwrap().clone(),
            }],
            continuation: None,
        })
    }

    async fn create_job(&self, _: &TenantId, job: JobRequest) -> Result<JobReply, TwinError> {
        self.job(&TenantId::default(), &job.id).await
    }

    async fn job(&self, _: &TenantId, id: &JobName) -> Result<JobReply, TwinError> {
        *self.calls.lock().unwrap() += 1;
        Ok(JobReply {
            id: id.clone(),
            work: "patch".to_owned(),
            status: JobStatus::Queued,
            counts: JobCounts::default(),
        })
    }

    async fn cancel_job(&self, tenant: &TenantId, id: &JobName) -> Result<JobReply, TwinError> {
        self.job(tenant, id).await
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

fn call<'a>(verb: Verb, subject: &'a str, body: &'a str) -> Call<'a> {
    Call {
        verb,
        tokens: tokens(subject, verb, false),
        headers: None,
        body: body.as_bytes(),
        received: Instant::now(),
    }
}

#[track_caller]
fn code(reply: Result<Vec<u8>, TwinError>) -> ErrorCode {
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
        String::from_utf8(reply.await.unwrap()).unwrap(),
        r#"{"desired":{"a":{"b":1},"rate":1.10},"reported":{},"tags":{"mender":true},"etag":"AAAAAAAAAAE=","version":2}"#
    );
}

#[tokio::test]
async fn set_replaces_desired_properties_and_leaves_the_tags() {
    let hub = OneTwin::new();
    let body = r#"{"desired":{"n":4503599627370495},"etag":"AAAAAAAAAAE="}"#;
    let reply = answer(
        &hub,
        &BySubject,
        call(Verb::Set, "x.twin.set.t.dev=2E1", body),
    )
    .await;
    let twin = TwinDocument::parse(&reply.unwrap()).unwrap();
    assert_eq!(twin.desired.to_string(), r#"{"n":4503599627370495}"#);
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

/// Requests of one tenant whose turn never comes: its only turn is taken.
fn waiting() -> Place {
    let admission = Admission::new(Limits {
        running_per_tenant: 0,
        ..Limits::default()
    });
    admission.admit("t", Verb::Get).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let hub = OneTwin::new();
    let place = waiting();
    let get = call(Verb::Get, "x.twin.get.t.dev=2E1", "");
    let mut headers = HeaderMap::new();
    headers.insert(messages::header::TIMEOUT_MS, "1500");
    let hurried = Call {
        headers: Some(&headers),
        ..get
    };
    let begun = Instant::now();
    let reply = in_turn(&hub, &BySubject, hurried, &place, &Limits::default()).await;
    assert_eq!(
        (code(reply), begun.elapsed().as_millis()),
        (ErrorCode::TimedOut, 1500)
    );
    let reply = in_turn(&hub, &BySubject, get, &place, &Limits::default()).await;
    assert_eq!(code(reply), ErrorCode::TimedOut);
    place.running.add_permits(1);
    let reply = in_turn(&hub, &BySubject, hurried, &place, &Limits::default()).await;
    assert_eq!(code(reply), ErrorCode::TimedOut, "it is too late by now");
    assert_eq!(hub.calls(), 0);
}

#[tokio::test]
async fn a_method_that_takes_longer_than_its_requester_waits_is_not_called() {
    let hub = OneTwin::new();
    let mut headers = HeaderMap::new();
    headers.insert(messages::header::TIMEOUT_MS, "10000");
    for (body, called) in [
        (r#"{"name":"reboot"}"#, false),
        (r#"{"name":"reboot","response_timeout_s":10}"#, true),
    ] {
        let call = Call {
            headers: Some(&headers),
            ..call(Verb::Method, "x.twin.method.t.dev=2E1", body)
        };
        let reply = answer(&hub, &BySubject, call).await;
        assert_eq!(reply.is_ok(), called, "{body}");
        assert_eq!(hub.calls(), usize::from(called));
    }
}

#[tokio::test]
async fn every_verb_reaches_the_hub_and_no_reply_has_bookkeeping() {
    let hub = OneTwin::new();
    for (verb, body) in [
        (Verb::Query, "{}"),
        (Verb::JobCreate, r#"{"id":"a","patch":{"tags":{"b":null}}}"#),
        (Verb::JobGet, r#"{"id":"a"}"#),
        (Verb::JobCancel, r#"{"id":"a"}"#),
    ] {
        let subject = format!("x.twin.{}.t", verb.as_str());
        let reply = answer(&hub, &BySubject, call(verb, &subject, body)).await;
        let text = String::from_utf8(reply.unwrap()).unwrap();
        assert!(!text.contains('$'), "{text}");
    }
    assert_eq!(hub.calls(), 4);
}
