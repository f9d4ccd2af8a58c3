//! Jobs: the hub's jobs have one name space and see all devices, a tenant's must not.
//!
//! A job's id in the hub begins with what follows from the tenant, always as long, so no tenant can
//! name another's. The devices are found when the job is made, among the tenant's own, and named
//! one by one in the job's condition; so a job of many devices is several in the hub, numbered. The
//! caller's condition is kept too: what holds no longer when the job begins is left out.

use std::time::{Duration, SystemTime};

use iothub::{ItemType, Job, JobId, JobType, NewJob};
use messages::twin::{
    Condition, JobCounts, JobName, JobReply, JobRequest, JobStatus, JobWork, Source,
};
use twin::{DeviceId, TenantId, TwinError};

use super::failure::Trouble;
use super::own::among;
use super::pace::Meter;
use super::{TwinPort, merged, method};
use crate::adapters::hub::HubPort;

/// Jobs of the hub that one of ours may become: no tier runs more at once.
const PARTS: usize = 10;
/// Devices in one of them.
const DEVICES: usize = 100;
/// Characters of the tenant's part of an id.
const TENANT_PART: usize = 16;
/// What a job may take if the caller does not say, in seconds.
const USUAL: u64 = 3_600;

impl TwinPort {
    pub(super) async fn schedule(
        &self,
        tenant: &TenantId,
        hub: &HubPort,
        job: JobRequest,
    ) -> Result<JobReply, TwinError> {
        let devices = self.wanted(tenant, hub, &job.condition).await?;
        let mut made = Vec::new();
        for (part, devices) in devices.chunks(DEVICES).enumerate() {
            let new = new_job(hub, part, &job, devices)?;
            let created = hub.client.create_job(&new);
            match self.pace.ask(hub, Meter::Jobs, created).await {
                Ok(created) => made.push(created),
                Err(trouble) => {
                    self.undo(hub, &made).await;
                    return Err(trouble.of_job());
                }
            }
        }
        Ok(sum(&job.id, &made))
    }

    /// The tenant's own devices for which the condition holds now.
    async fn wanted(
        &self,
        tenant: &TenantId,
        hub: &HubPort,
        condition: &Condition,
    ) -> Result<Vec<DeviceId>, TwinError> {
        let (mut wanted, mut after) = (Vec::new(), None);
        loop {
            let chunk = self
                .chunk(tenant, hub, after.as_ref(), Source::Devices)
                .await?;
            wanted.extend(self.holding(hub, condition, chunk.devices).await?);
            if wanted.len() > PARTS * DEVICES {
                let most = PARTS * DEVICES;
                return Err(TwinError::TooLarge(format!(
                    "a job has at most {most} devices; narrow its query"
                )));
            }
            after = chunk.next;
            if after.is_none() {
                break;
            }
        }
        if wanted.is_empty() {
            return Err(TwinError::Invalid("the query finds no device".to_owned()));
        }
        Ok(wanted)
    }

    async fn holding(
        &self,
        hub: &HubPort,
        condition: &Condition,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<DeviceId>, TwinError> {
        let Some(filter) = condition.filter().filter(|_| !devices.is_empty()) else {
            return Ok(devices);
        };
        let bound = among(&devices, Some(filter));
        let text = format!("SELECT deviceId FROM devices WHERE {bound}");
        let rows = self.all(hub, &text, &ItemType::Raw).await?;
        let ids: Vec<_> = rows
            .iter()
            .filter_map(|row| row.get("deviceId")?.as_str())
            .collect();
        let holds = |device: &DeviceId| ids.contains(&device.as_str());
        Ok(devices.into_iter().filter(holds).collect())
    }

    /// Takes back the parts of a job that did not come about as a whole.
    async fn undo(&self, hub: &HubPort, made: &[Job]) {
        for job in made {
            let Ok(id) = job.id().parse() else { continue };
            let cancelled = hub.client.cancel_job(&id);
            if self.pace.ask(hub, Meter::Jobs, cancelled).await.is_err() {
                tracing::warn!(
                    job = job.id(),
                    "a part of a refused job could not be cancelled"
                );
            }
        }
    }

    /// The parts of a job.
    pub(super) async fn parts(&self, hub: &HubPort, id: &JobName) -> Result<Vec<Job>, TwinError> {
        let mut parts = Vec::new();
        for part in 0..PARTS {
            let id = job_id(hub, part, id)?;
            let read = self.pace.ask(hub, Meter::Jobs, hub.client.job(&id)).await;
            match read.map_err(Trouble::of_job) {
                Ok(job) => parts.push(job),
                Err(TwinError::NoSuchJob) => break,
                Err(error) => return Err(error),
            }
        }
        if parts.is_empty() {
            return Err(TwinError::NoSuchJob);
        }
        Ok(parts)
    }

    pub(super) async fn cancel(&self, hub: &HubPort, id: &JobName) -> Result<JobReply, TwinError> {
        let mut parts = self.parts(hub, id).await?;
        let mut cancelled = 0;
        for (part, job) in parts.iter_mut().enumerate() {
            if job.status().is_final() {
                continue;
            }
            let id = job_id(hub, part, id)?;
            let asked = self
                .pace
                .ask(hub, Meter::Jobs, hub.client.cancel_job(&id))
                .await;
            match asked.map_err(Trouble::of_job) {
                Ok(now) => {
                    *job = now;
                    cancelled += 1;
                }
                Err(TwinError::JobOver) => {}
                Err(error) => return Err(error),
            }
        }
        if cancelled == 0 {
            return Err(TwinError::JobOver);
        }
        Ok(sum(id, &parts))
    }
}

/// `<the tenant's part>-<the caller's id>-<number>`. Integration ids follow from tenants and are as
/// long as one another.
fn job_id(hub: &HubPort, part: usize, id: &JobName) -> Result<JobId, TwinError> {
    let tenant: String = hub
        .integration
        .id
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    let tenant = tenant.get(..TENANT_PART).ok_or(TwinError::HubRefused)?;
    let id = format!("{tenant}-{id}-{part}");
    id.parse().map_err(|_| TwinError::HubRefused)
}

fn new_job(
    hub: &HubPort,
    part: usize,
    job: &JobRequest,
    devices: &[DeviceId],
) -> Result<NewJob, TwinError> {
    let id = job_id(hub, part, &job.id)?;
    let condition = among(devices, job.condition.filter());
    let new = match &job.work {
        JobWork::Patch(edit) => NewJob::update_twins(id, &condition, &merged(edit)),
        JobWork::Method(call) => NewJob::call_methods(id, &condition, &method(call.clone())?),
    };
    let invalid = |error: iothub::Error| TwinError::Invalid(error.to_string());
    let new = new.map_err(invalid)?;
    let new = new.max_execution(Duration::from_secs(job.max_execution_s.unwrap_or(USUAL)));
    match job.start {
        None => Ok(new),
        Some(start) => {
            let micros = u64::try_from(start.as_micros()).unwrap_or_default();
            let start = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
            new.start_at(start).map_err(invalid)
        }
    }
}

/// A job as the sum of its parts.
pub(super) fn sum(id: &JobName, parts: &[Job]) -> JobReply {
    let mut counts = JobCounts::default();
    for part in parts.iter().map(Job::statistics) {
        counts.devices += part.devices;
        counts.succeeded += part.succeeded;
        counts.failed += part.failed;
        counts.running += part.running;
        counts.pending += part.pending;
    }
    let work = match parts.first().and_then(Job::job_type) {
        Some(JobType::UpdateTwins) => "patch",
        Some(JobType::CallMethods) => "method",
        None => "unknown",
    };
    JobReply {
        id: id.clone(),
        work: work.to_owned(),
        status: status(parts),
        counts,
    }
}

/// What is still to be done tells more than what is over, and what went wrong more than what went
/// right.
fn status(parts: &[Job]) -> JobStatus {
    const ORDER: [JobStatus; 7] = [
        JobStatus::Running,
        JobStatus::Queued,
        JobStatus::Scheduled,
        JobStatus::Unknown,
        JobStatus::Failed,
        JobStatus::Cancelled,
        JobStatus::Completed,
    ];
    let has = |status| parts.iter().any(|part| of_part(part) == status);
    let first = ORDER.into_iter().find(|status| has(*status));
    first.unwrap_or(JobStatus::Unknown)
}

fn of_part(part: &Job) -> JobStatus {
    match part.status() {
        iothub::JobStatus::Enqueued | iothub::JobStatus::Queued => JobStatus::Queued,
        iothub::JobStatus::Scheduled => JobStatus::Scheduled,
        iothub::JobStatus::Running => JobStatus::Running,
        iothub::JobStatus::Completed => JobStatus::Completed,
        iothub::JobStatus::Failed => JobStatus::Failed,
        iothub::JobStatus::Cancelled => JobStatus::Cancelled,
        iothub::JobStatus::Other => JobStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(status: &str, done: u64) -> Job {
        let text = format!(
            r#"{{"jobId":"j","type":"scheduleUpdateTwin","status":"{status}",
                "deviceJobStatistics":{{"deviceCount":2,"succeededCount":{done}}}}}"#
        );
        Job::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_job_is_the_sum_of_its_parts() {
        let id = "a".parse().unwrap();
        let whole = sum(&id, &[part("completed", 2), part("running", 1)]);
        assert_eq!(
            (whole.status, whole.work.as_str()),
            (JobStatus::Running, "patch")
        );
        assert_eq!((whole.counts.devices, whole.counts.succeeded), (4, 3));
        let over = sum(&id, &[part("completed", 2), part("cancelled", 0)]);
        assert_eq!(over.status, JobStatus::Cancelled);
    }
}
