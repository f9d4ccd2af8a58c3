//! Scheduled jobs: one change or one method for many devices.
//!
//! A job runs in the hub, on the devices that a condition selects when it starts. What the hub
//! tells about a job is kept whole in a [`Job`]; it does not say which devices failed. That is a
//! query over `devices.jobs`.

mod new;

use std::time::SystemTime;

use serde_json::{Map, Value};

pub use new::{InvalidJobId, JobId, NewJob};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::time;

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
