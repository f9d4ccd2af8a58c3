//! Scheduled jobs: one change or one method for many devices.
//!
//! A job runs in the hub, on the devices that a condition selects when it starts. What the hub
//! tells about a job is kept whole in a [`Job`]; it does not say which devices failed. That is a
//! query over `devices.jobs`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::method::Method;
use crate::request::object;
use crate::time;

/// Longest id of a job, in characters.
const MAX_ID: usize = 64;

/// The id of a job: 1 to 64 lower-case letters, digits, `-` and `'`.
///
/// ```
/// assert!("reboot-2026-01".parse::<iothub::JobId>().is_ok());
/// assert!("Reboot".parse::<iothub::JobId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobId(String);

/// The text is no id of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job's id has 1 to 64 lower-case letters, digits, `-` and `'`")]
pub struct InvalidJobId;

impl JobId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-'".contains(&b);
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidJobId)
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job to schedule.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use iothub::NewJob;
///
/// let edit = serde_json::json!({"properties": {"desired": {"interval": 5}}});
/// let job = NewJob::update_twins("interval-5".parse()?, "tags.site = 'north'", &edit)?
///     .start_at(SystemTime::now() + Duration::from_secs(3600))?
///     .max_execution(Duration::from_secs(300));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    id: JobId,
    fields: Map<String, Value>,
}

impl NewJob {
    /// Merges `{"tags": .., "properties": {"desired": ..}}` into the twins of the devices for which
    /// `condition` holds: what follows `WHERE` in a query, or `*` for all. Null removes a key. The
    /// hub looks at the condition only when the job starts.
    pub fn update_twins(id: JobId, condition: &str, edit: &Value) -> Result<Self> {
        let mut edit = object(edit)?.clone();
        // A job is never conditional on a version; the hub insists on hearing so.
        edit["etag"] = "*".into();
        Ok(Self::of(
            id,
            "scheduleUpdateTwin",
            condition,
            "updateTwin",
            edit,
        ))
    }

    /// Calls a method of the devices for which `condition` holds.
    pub fn call_methods(id: JobId, condition: &str, method: &Method) -> Result<Self> {
        let call = method.to_json()?;
        Ok(Self::of(
            id,
            "scheduleDeviceMethod",
            condition,
            "cloudToDeviceMethod",
            call,
        ))
    }

    fn of(id: JobId, kind: &str, condition: &str, name: &str, what: Value) -> Self {
        let mut fields = Map::new();
        fields.insert("jobId".into(), id.as_str().into());
        fields.insert("type".into(), kind.into());
        fields.insert("queryCondition".into(), condition.into());
        fields.insert(name.into(), what);
        Self { id, fields }
    }

    /// The same job, not before this time: at most 168 hours from now. Without it, at once.
    pub fn start_at(mut self, time: SystemTime) -> Result<Self> {
        let text = time::format(time).ok_or_else(|| Error::invalid("the time is out of range"))?;
        self.fields.insert("startTime".into(), text.into());
        Ok(self)
    }

    /// The same job, given up after this time, in whole seconds.
    #[must_use]
    pub fn max_execution(mut self, limit: Duration) -> Self {
        let seconds = json!(limit.as_secs());
        self.fields
            .insert("maxExecutionTimeInSeconds".into(), seconds);
        self
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobType {
    /// Edits twins.
    UpdateTwins,
    /// Calls a method.
    CallMethods,
}

impl JobType {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpdateTwins => "scheduleUpdateTwin",
            Self::CallMethods => "scheduleDeviceMethod",
        }
    }
}

/// How far a scheduled or an import or export job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// Accepted (import and export).
    Enqueued,
    /// Accepted.
    Queued,
    /// Waits for its time.
    Scheduled,
    /// At work.
    Running,
    /// At its end; single devices or lines may have failed.
    Completed,
    /// Given up.
    Failed,
    /// Stopped by a caller.
    Cancelled,
    /// A word this crate does not know.
    Other,
}

const STATUSES: [(JobStatus, &str); 7] = [
    (JobStatus::Enqueued, "enqueued"),
    (JobStatus::Queued, "queued"),
    (JobStatus::Scheduled, "scheduled"),
    (JobStatus::Running, "running"),
    (JobStatus::Completed, "completed"),
    (JobStatus::Failed, "failed"),
    (JobStatus::Cancelled, "cancelled"),
];

impl JobStatus {
    pub(crate) fn of(document: &Document) -> Self {
        let word = document.text("status").unwrap_or_default();
        let known = STATUSES.iter().find(|(_, known)| *known == word);
        known.map_or(Self::Other, |(status, _)| *status)
    }

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let known = STATUSES.iter().find(|(status, _)| *status == self);
        known.map_or("unknown", |(_, word)| word)
    }

    /// Whether the job will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How many devices a job is about, and how far they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobStatistics {
    /// All that the condition selected.
    pub devices: u64,
    /// Those that failed, offline ones included.
    pub failed: u64,
    /// Those that are done.
    pub succeeded: u64,
    /// Those at work.
    pub running: u64,
    /// Those to come.
    pub pending: u64,
}

/// A scheduled job as the hub sent it.
///
/// ```
/// use iothub::{Job, JobStatus};
///
/// let job = Job::from_json(br#"{"jobId":"j1","type":"scheduleUpdateTwin","status":"running",
///     "deviceJobStatistics":{"deviceCount":2,"succeededCount":1}}"#)?;
/// assert_eq!((job.id(), job.status()), ("j1", JobStatus::Running));
/// assert_eq!(job.statistics().succeeded, 1);
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Job(Document);

impl Job {
    /// Reads a job. Without a `jobId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        Self::from_document(Document::parse(body, &[])?)
    }

    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        Self::from_document(Document::new(fields, &[]))
    }

    fn from_document(document: Document) -> Result<Self> {
        match document.text("jobId") {
            Some(_) => Ok(Self(document)),
            None => Err(Error::malformed("the body names no job")),
        }
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.text("jobId").unwrap_or_default()
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        JobStatus::of(&self.0)
    }

    /// What it does, if that is one of the two things of this API.
    #[must_use]
    pub fn job_type(&self) -> Option<JobType> {
        let word = self.0.text("type")?;
        [JobType::UpdateTwins, JobType::CallMethods]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// Whether the hub only says that it has never heard of the job, which it does with a success.
    pub(crate) fn is_unknown(body: &[u8]) -> bool {
        let says = |document: Document| {
            let words = ["status", "type"].map(|name| document.text(name) == Some("unknown"));
            words == [true; 2]
        };
        Document::parse(body, &[]).is_ok_and(says)
    }

    /// The condition that selects its devices.
    #[must_use]
    pub fn condition(&self) -> Option<&str> {
        self.0.text("queryCondition")
    }

    /// When it begins.
    #[must_use]
    pub fn start_time(&self) -> Option<SystemTime> {
        time::parse(self.0.text("startTime")?)
    }

    /// When it ended.
    #[must_use]
    pub fn end_time(&self) -> Option<SystemTime> {
        time::parse(self.0.text("endTime")?)
    }

    /// Why it failed, in the hub's words.
    #[must_use]
    pub fn failure_reason(&self) -> Option<&str> {
        self.0.text("failureReason")
    }

    /// How far its devices are; what the hub does not tell counts as 0.
    #[must_use]
    pub fn statistics(&self) -> JobStatistics {
        let all = self.0.get("deviceJobStatistics");
        let count = |name| all.and_then(|all| all.get(name)?.as_u64()).unwrap_or(0);
        JobStatistics {
            devices: count("deviceCount"),
            failed: count("failedCount"),
            succeeded: count("succeededCount"),
            running: count("runningCount"),
            pending: count("pendingCount"),
        }
    }

    /// Any other field, as the hub sent it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
