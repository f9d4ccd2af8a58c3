//! Holds `schemas/`, its examples and the code together.
//!
//! Every example is valid, or refused, by its schema and by the code alike, and whatever the code
//! writes is valid. A schema that drifts from the code is a broken promise to other publishers.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::{Draft, Validator};
use lifecycle::{Done, Event, EventId, Outcome, Status, Timestamp};
use messages::ops::{ReplayReply, parse_replay};
use messages::twin::{
    self, FoundTwin, JobCounts, JobReply, JobStatus, MethodReply, PatchRequest, QueryReply,
    SetRequest, TwinDocument,
};
use messages::{
    AuditMessage, HubStatus, Malformed, OutcomeMessage, SuspendedStatus, WaitingFor,
    WebhookMessage, WorkerStatus, device_of, header, parse_event, parse_mender, to_body,
};
use serde_json::{Value, json};

const NAMES: [&str; 18] = [
    "audit",
    "ops-dlq-replay-request",
    "ops-dlq-replay-reply",
    "event",
    "outcome",
    "dead-letter",
    "mender-event",
    "twin-request",
    "twin-reply",
    "twin-query-request",
    "twin-query-reply",
    "twin-method-request",
    "twin-method-reply",
    "twin-job-request",
    "twin-job-name",
    "twin-job-reply",
    "webhook",
    "worker-status",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn schema(name: &str) -> Validator {
    let path = folder().join(format!("{name}.schema.json"));
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&serde_json::from_slice(&text).unwrap())
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The files of `examples/<name>` or of `examples/<name>/invalid`; at least one.
fn examples(name: &str, below: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("examples").join(name).join(below);
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    assert!(!files.is_empty(), "no examples in {}", folder.display());
    files
}

fn valid(name: &str) -> Vec<(String, Vec<u8>)> {
    examples(name, "")
}

fn invalid(name: &str) -> Vec<(String, Vec<u8>)> {
    examples(name, "invalid")
}

#[track_caller]
fn conforms(name: &str, body: &[u8]) {
    let value: Value = serde_json::from_slice(body).unwrap();
    if let Err(error) = schema(name).validate(&value) {
        panic!("{name}: {value}: {error}");
    }
}

/// Checks that `reads` takes exactly the valid examples.
#[track_caller]
fn code_agrees<T>(name: &str, reads: impl Fn(&[u8]) -> Option<T>) {
    for (path, body) in valid(name) {
        assert!(reads(&body).is_some(), "refused by the code: {path}");
    }
    for (path, body) in invalid(name) {
        assert!(reads(&body).is_none(), "taken by the code: {path}");
    }
}

fn event_of(body: &[u8]) -> Result<Event, Malformed> {
    let value: Value = serde_json::from_slice(body).unwrap();
    let token = |field: &str, default: &str| {
        lifecycle::encode_token(value[field].as_str().unwrap_or(default))
    };
    let (tenant, device) = (token("tenant_id", ""), token("device_id", "dev-1"));
    parse_event(EventId("E-1".to_owned()), &tenant, &device, body, 0)
}

fn some_event() -> Event {
    Event {
        id: EventId("IOTHUB_EVENTS-17".to_owned()),
        about: device_of("66ff8a4650829de3d99a25f1", "dev=2E1").unwrap(),
        status: Status::Accepted,
        revision: Some(u64::MAX),
        created: Some(Timestamp::from_micros(1_787_220_672_345_000)),
        replay: 3,
    }
}

#[test]
fn every_schema_takes_its_valid_examples_and_refuses_the_others() {
    for name in NAMES {
        let schema = schema(name);
        for (path, body) in valid(name) {
            let value = serde_json::from_slice(&body).unwrap();
            if let Err(error) = schema.validate(&value) {
                panic!("{path}: {error}");
            }
        }
        for (path, body) in invalid(name) {
            let value = serde_json::from_slice(&body).unwrap();
            assert!(!schema.is_valid(&value), "taken by the schema: {path}");
        }
    }
}

#[test]
fn the_code_reads_events_as_their_schema_says() {
    code_agrees("event", |body| event_of(body).ok());
}

#[test]
fn the_code_reads_and_writes_a_workers_status_as_its_schema_says() {
    code_agrees("worker-status", |body| WorkerStatus::parse(body).ok());
    let status = WorkerStatus {
        worker: "host/1".to_owned(),
        waiting: vec![WaitingFor::default()],
        hubs: vec![HubStatus::default()],
        suspended: vec![SuspendedStatus::default()],
        ..WorkerStatus::default()
    };
    conforms("worker-status", &status.to_body());
}

#[test]
fn the_code_reads_the_audit_log_as_its_schema_says() {
    code_agrees("audit", |body| AuditMessage::parse(body).ok());
}

#[test]
fn the_code_reads_outcomes_as_their_schema_says() {
    code_agrees("outcome", |body| OutcomeMessage::parse(body).ok());
}

#[test]
fn the_code_reads_what_mender_sends_as_its_schema_says() {
    code_agrees("mender-event", |body| {
        let devices = parse_mender(body).ok()?.devices;
        devices.into_iter().collect::<Result<Vec<_>, _>>().ok()
    });
}

#[test]
fn the_code_reads_twin_requests_as_their_schema_says() {
    code_agrees("twin-request", |body| {
        let get = twin::parse_get(body).ok();
        get.or_else(|| twin::parse_set(body).ok().map(drop))
            .or_else(|| twin::parse_patch(body).ok().map(drop))
    });
}

#[test]
fn the_code_reads_queries_methods_and_jobs_as_their_schemas_say() {
    code_agrees("twin-query-request", |body| twin::parse_query(body).ok());
    code_agrees("twin-method-request", |body| twin::parse_method(body).ok());
    code_agrees("twin-job-request", |body| twin::parse_job_create(body).ok());
    code_agrees("twin-job-name", |body| twin::parse_job_name(body).ok());
}

#[test]
fn the_code_reads_and_writes_replays_as_their_schemas_say() {
    code_agrees("ops-dlq-replay-request", |body| parse_replay(body).ok());
    code_agrees("ops-dlq-replay-reply", |body| ReplayReply::parse(body).ok());
    for (path, body) in valid("ops-dlq-replay-reply") {
        let reply = ReplayReply::parse(&body).unwrap();
        conforms("ops-dlq-replay-reply", &reply.to_body());
        let written: Value = serde_json::from_slice(&reply.to_body()).unwrap();
        let read: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(written, read, "{path}");
    }
}

#[test]
fn the_code_reads_twin_replies() {
    for (path, body) in valid("twin-reply") {
        assert!(TwinDocument::parse(&body).is_ok(), "{path}");
    }
    for (path, body) in valid("twin-query-reply") {
        assert!(QueryReply::parse(&body).is_ok(), "{path}");
    }
    code_agrees("twin-method-reply", |body| MethodReply::parse(body).ok());
    code_agrees("twin-job-reply", |body| JobReply::parse(body).ok());
}

#[test]
fn events_that_the_code_writes_are_valid() {
    let full = some_event();
    let bare = Event {
        about: device_of("=", "dev-1").unwrap(),
        status: Status::Decommissioned,
        revision: None,
        created: None,
        ..full.clone()
    };
    for event in [full, bare] {
        conforms("event", &to_body(&event));
    }
}

#[test]
fn outcomes_that_the_code_writes_are_valid() {
    let outcomes = [
        Outcome::Applied,
        Outcome::Unchanged,
        Outcome::Superseded,
        Outcome::Ignored,
        Outcome::Dead,
    ];
    for outcome in outcomes {
        let done = Done {
            event: some_event(),
            outcome,
            reason: None,
        };
        let message = OutcomeMessage::from(&done);
        conforms("outcome", &message.to_body());
        let at = Timestamp::from_micros(1_787_220_672_345_678);
        let sent = WebhookMessage::outcome(message, at).to_body();
        conforms("webhook", &sent);
        // What is told is an outcome, whole.
        let told: Value = serde_json::from_slice(&sent).unwrap();
        conforms("outcome", told["data"].to_string().as_bytes());
        assert_eq!(
            told["type"],
            json!(format!(
                "outcome.{}",
                told["data"]["outcome"].as_str().unwrap()
            ))
        );
        assert_eq!(told["timestamp"], json!("2026-08-20T10:11:12.345678Z"));
        conforms("webhook", &WebhookMessage::test("", at).to_body());
    }
    let why = parse_mender(b"not json").unwrap_err();
    let id = EventId("WORKFLOWS-3".to_owned());
    conforms(
        "outcome",
        &OutcomeMessage::malformed(&id, None, None, &why, 0).to_body(),
    );
}

#[test]
fn twin_messages_that_the_code_writes_are_valid() {
    let set = SetRequest {
        desired: json!({"a": [1, {"b": true}]}),
        etag: Some("AAAAAAAAAAE=".to_owned()),
    };
    conforms("twin-request", &set.to_body());
    let patch = PatchRequest {
        desired: None,
        tags: Some(json!({"site": "x"})),
        etag: None,
    };
    conforms("twin-request", &patch.to_body());
    let sent_by_the_hub = TwinDocument {
        desired: json!({"a": {"$metadata": {}, "b": [{"$version": 1}]}, "$version": 4}),
        reported: Value::Null,
        tags: Value::Null,
        etag: "AAAAAAAAAAE=".to_owned(),
        version: 2,
    };
    let page = QueryReply {
        twins: vec![FoundTwin {
            device: "dev-1".to_owned(),
            module: None,
            twin: sent_by_the_hub.clone(),
        }],
        continuation: Some("dev-1".to_owned()),
    };
    conforms("twin-reply", &sent_by_the_hub.cleaned().to_body());
    conforms("twin-query-reply", &page.cleaned().to_body());
}

#[test]
fn requests_and_replies_about_methods_and_jobs_that_the_code_writes_are_valid() {
    let query = twin::parse_query(br#"{"continuation":"a.b"}"#).unwrap();
    conforms("twin-query-request", &query.to_body());
    let method = twin::parse_method(br#"{"name":"reboot","payload":1.10}"#).unwrap();
    conforms("twin-method-request", &method.to_body());
    let answer = MethodReply {
        status: 200,
        payload: Value::Null,
    };
    conforms("twin-method-reply", &answer.to_body());
    for status in [
        JobStatus::Queued,
        JobStatus::Scheduled,
        JobStatus::Running,
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::Cancelled,
        JobStatus::Unknown,
    ] {
        let job = JobReply {
            id: "a-1".parse().unwrap(),
            work: "patch".to_owned(),
            status,
            counts: JobCounts::default(),
        };
        conforms("twin-job-reply", &job.to_body());
    }
}

#[test]
fn the_dead_letter_schema_names_our_headers_and_classes() {
    let text = fs::read(folder().join("dead-letter.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&text).unwrap();
    let headers = &schema["properties"]["headers"];
    for name in [
        header::DLQ_CLASS,
        header::DLQ_REASON,
        header::DLQ_ATTEMPTS,
        header::DLQ_EVENT_ID,
        header::DLQ_SUBJECT,
        header::DLQ_TENANT,
        header::DLQ_DEVICE,
    ] {
        assert!(headers["properties"][name].is_object(), "{name}");
    }
    let classes = &headers["properties"][header::DLQ_CLASS]["enum"];
    assert_eq!(classes, &json!(header::CLASSES));
    let original = format!("^{}.+$", header::ORIGINAL);
    assert!(headers["patternProperties"][original].is_object());
}
