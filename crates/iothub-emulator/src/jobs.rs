//! Scheduled jobs: one change or one direct method for every device that a condition finds.
//!
//! This is their state and their rules alone; `runner` waits, asks and applies. A job's devices are
//! kept with what became of each, because queries over `devices.jobs` ask for them.

pub(crate) mod draft;
pub(crate) mod runner;
pub(crate) mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::registry::Target;

/// How long a finished job is remembered.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most jobs remembered, whatever their age.
const MAX_JOBS: usize = 1_000;

/// What a job does to each device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Merges this into its twin.
    UpdateTwin(Value),
    /// Calls this method.
    Method(Value),
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobStatus {
    Queued,
    Scheduled,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobStatus {
    /// Whether it counts against the number of jobs at once.
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Scheduled | Self::Running)
    }

    /// Whether it can still be cancelled.
    const fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Scheduled)
    }
}

/// What became of one device of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeviceJob {
    pub(crate) target: Target,
    pub(crate) state: DeviceState,
    pub(crate) started: Ticks,
    pub(crate) updated: Ticks,
}

/// How far a job is with one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum DeviceState {
    Pending,
    Running,
    /// It worked; for a method, with what the device answered.
    Completed(Option<(i32, Value)>),
    /// It did not, with the name and the text of the error.
    Failed(String, String),
}

/// One job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) work: Work,
    /// As it was sent; a condition nobody understands makes the job fail later.
    pub(crate) condition: String,
    pub(crate) created: Ticks,
    pub(crate) start: Ticks,
    pub(crate) end: Option<Ticks>,
    pub(crate) max_seconds: u64,
    pub(crate) status: JobStatus,
    pub(crate) failure: Option<String>,
    pub(crate) devices: Vec<DeviceJob>,
}

/// All jobs of a hub.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    by_id: BTreeMap<String, Job>,
}

impl Jobs {
    /// One job.
    pub(crate) fn get(&self, id: &str) -> Option<&Job> {
        self.by_id.get(id)
    }

    /// All jobs whose ids follow `after`, in order.
    pub(crate) fn after(&self, after: Option<&str>) -> impl Iterator<Item = &Job> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.by_id
            .range::<str, _>((from, Unbounded))
            .map(|(_, job)| job)
    }

    /// Jobs of an earlier process; those that were at work start again from their beginning.
    pub(crate) fn restored(mut by_id: BTreeMap<String, Job>) -> Self {
        for job in by_id.values_mut().filter(|job| job.status.is_active()) {
            job.status = JobStatus::Queued;
            job.devices.clear();
        }
        Self { by_id }
    }

    /// The jobs that have to be run.
    pub(crate) fn active(&self) -> Vec<Job> {
        let active = self.by_id.values().filter(|job| job.status.is_active());
        active.cloned().collect()
    }

    /// Adds a job, unless its id is taken or there are `limit` of them at work.
    pub(crate) fn add(&mut self, job: Job, limit: usize) -> Result<&Job, ServiceError> {
        if self.by_id.contains_key(&job.id) {
            return Err(ServiceError::job_already_exists(&job.id));
        }
        let active = self
            .by_id
            .values()
            .filter(|it| it.status.is_active())
            .count();
        if active >= limit {
            return Err(ServiceError::too_many_active_jobs());
        }
        self.forget(job.created);
        Ok(self.by_id.entry(job.id.clone()).or_insert(job))
    }

    fn forget(&mut self, now: Ticks) {
        let horizon = now.before(KEPT);
        self.by_id
            .retain(|_, job| job.end.is_none_or(|end| end > horizon));
        while self.by_id.len() >= MAX_JOBS {
            let finished = self.by_id.values().filter(|job| job.end.is_some());
            let Some(oldest) = finished.min_by_key(|job| job.end).map(|job| job.id.clone()) else {
                return;
            };
            self.by_id.remove(&oldest);
        }
    }

    /// Stops a job that has not begun.
    pub(crate) fn cancel(&mut self, id: &str, now: Ticks) -> Result<&Job, ServiceError> {
        let job = self
            .by_id
            .get_mut(id)
            .ok_or_else(|| ServiceError::job_not_found(id))?;
        if !job.status.is_waiting() {
            return Err(ServiceError::job_not_in_that_state());
        }
        job.finish(JobStatus::Cancelled, now);
        Ok(job)
    }

    /// Works on a job that is not over yet; `None` if it is.
    pub(crate) fn with_active<T>(
        &mut self,
        id: &str,
        work: impl FnOnce(&mut Job) -> T,
    ) -> Option<T> {
        self.by_id
            .get_mut(id)
            .filter(|job| job.status.is_active())
            .map(work)
    }
}

impl Job {
    /// Ends the job.
    pub(crate) fn finish(&mut self, status: JobStatus, now: Ticks) {
        self.status = status;
        self.end = Some(now);
    }
}

#[cfg(test)]
mod tests;
