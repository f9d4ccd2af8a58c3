//! Jobs: one edit or one method for many devices of a tenant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::edit::sections;
use super::{
    BadRequest, Condition, MAX_METHOD_REQUEST, MAX_REQUEST, MethodRequest, PatchRequest, Source,
    fields, free_fields, invalid, only, take_number, take_text,
};
use crate::{Malformed, json, time};
use lifecycle::Timestamp;

/// The longest id: the hub takes 64 characters, of which the tenant's part and a number take some.
const MAX_ID: usize = 40;
/// The longest time that a job may take, in seconds: an hour is usual.
const LONGEST: u64 = 7 * 24 * 3600;

/// The id of a job within its tenant: 1 to 40 lower-case letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobName(String);

impl JobName {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid("id has 1 to 40 lower-case letters, digits and `-`"))
        }
    }
}

/// What a job does on each device.
#[derive(Debug, Clone, PartialEq)]
pub enum JobWork {
    /// Merges into its twin.
    Patch(PatchRequest),
    /// Calls a method.
    Method(MethodRequest),
}

impl JobWork {
    /// The field of the request, and the `type` of the reply.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Patch(_) => "patch",
            Self::Method(_) => "method",
        }
    }
}

/// A job to schedule (`schemas/twin-job-request.schema.json`).
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// What it will be called.
    pub id: JobName,
    /// For which devices.
    pub condition: Condition,
    /// What to do there.
    pub work: JobWork,
    /// Not before this time; at once if there is none.
    pub start: Option<Timestamp>,
    /// How long it may take, in seconds.
    pub max_execution_s: Option<u64>,
}

/// Reads the request of a `job-create`.
pub fn parse_job_create(body: &[u8]) -> Result<JobRequest, BadRequest> {
    let mut fields = free_fields(body, MAX_METHOD_REQUEST)?;
    let known = [
        "id",
        "query",
        "patch",
        "method",
        "start_time",
        "max_execution_s",
    ];
    only(&fields, &known, "a job")?;
    let id = take_text(&mut fields, "id")?.ok_or(invalid("id is missing"))?;
    let query = take_text(&mut fields, "query")?;
    let condition = query.map_or(Ok(Condition::default()), |text| text.parse::<Condition>())?;
    if condition.source != Source::Devices {
        return Err(invalid("a job is for devices, not for modules"));
    }
    let start = take_text(&mut fields, "start_time")?;
    let start = start.map(|text| {
        let time = time::parse(&text).flatten();
        time.ok_or(invalid("start_time is not RFC 3339"))
    });
    let max_execution_s = take_number(&mut fields, "max_execution_s", 1..=LONGEST)?;
    Ok(JobRequest {
        id: id.parse()?,
        condition,
        work: work(fields)?,
        start: start.transpose()?,
        max_execution_s,
    })
}

fn work(mut fields: Map<String, Value>) -> Result<JobWork, BadRequest> {
    let mut part = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(part)) => Ok(Some(part)),
        Some(_) => Err(BadRequest::Invalid(format!("{name} is not an object"))),
    };
    match (part("patch")?, part("method")?) {
        (Some(patch), None) => edit(patch).map(JobWork::Patch),
        (None, Some(method)) => MethodRequest::of(method).map(JobWork::Method),
        _ => Err(invalid("a job has one of patch and method")),
    }
}

fn edit(mut patch: Map<String, Value>) -> Result<PatchRequest, BadRequest> {
    only(&patch, &["desired", "tags"], "patch")?;
    let (desired, tags) = sections(&mut patch)?;
    Ok(PatchRequest {
        desired,
        tags,
        etag: None,
    })
}

/// Reads the request of a `job-get` or a `job-cancel`.
pub fn parse_job_name(body: &[u8]) -> Result<JobName, BadRequest> {
    let mut fields = fields(body, MAX_REQUEST)?;
    only(&fields, &["id"], "the request")?;
    let id = take_text(&mut fields, "id")?.ok_or(invalid("id is missing"))?;
    id.parse()
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Accepted.
    Queued,
    /// Waits for its time.
    Scheduled,
    /// At work.
    Running,
    /// At its end; single devices may have failed.
    Completed,
    /// Given up.
    Failed,
    /// Stopped by a caller.
    Cancelled,
    /// The hub says something else.
    Unknown,
}

impl JobStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// How many devices of a job are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// All of them, as far as the hub has counted.
    pub devices: u64,
    /// Done.
    pub succeeded: u64,
    /// Failed, those that are not connected included.
    pub failed: u64,
    /// At work.
    pub running: u64,
    /// To come.
    pub pending: u64,
}

/// What is known of a job (`schemas/twin-job-reply.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReply {
    /// Its id.
    pub id: JobName,
    /// `patch`, `method` or `unknown`.
    #[serde(rename = "type")]
    pub work: String,
    /// How far it is.
    pub status: JobStatus,
    /// How far its devices are.
    pub counts: JobCounts,
}

impl JobReply {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_str(json::checked(body)?).map_err(|_| Malformed::because("not a job"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str, reason: &str) {
        let error = parse_job_create(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }

    #[test]
    fn a_job_edits_twins_or_calls_a_method() {
        let edit = br#"{"id":"a-1","patch":{"desired":{"rate":1.10},"tags":{"old":null}}}"#;
        let job = parse_job_create(edit).unwrap();
        let JobWork::Patch(patch) = &job.work else {
            panic!("{job:?}");
        };
        assert_eq!(
            patch.desired.as_ref().unwrap().to_string(),
            r#"{"rate":1.10}"#
        );
        let call = br#"{"id":"a","query":"SELECT * FROM devices WHERE tags.a = 1","method":{"name":"reboot"},
            "start_time":"2026-01-01T00:00:00Z","max_execution_s":60}"#;
        let job = parse_job_create(call).unwrap();
        assert_eq!(job.condition.filter(), Some("tags.a = 1"));
        assert_eq!(
            job.start,
            Some(Timestamp::from_micros(1_767_225_600_000_000))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused(r#"{"method":{"name":"a"}}"#, "id is missing");
        refused(
            r#"{"id":"A","method":{"name":"a"}}"#,
            "id has 1 to 40 lower-case letters, digits and `-`",
        );
        refused(r#"{"id":"a"}"#, "a job has one of patch and method");
        refused(
            r#"{"id":"a","patch":{"desired":{"a":{"$version":1}}}}"#,
            "a key has no '.', '$', '#', blank or control character: desired.a.$version",
        );
        refused(
            r#"{"id":"a","patch":{"desired":{}},"query":"SELECT * FROM devices.modules"}"#,
            "a job is for devices, not for modules",
        );
        refused(
            r#"{"id":"a","patch":{"desired":{}},"start_time":"soon"}"#,
            "start_time is not RFC 3339",
        );
    }
}
