//! Jobs on the wire, and as rows of `devices.jobs`.

use serde::Serialize;
use serde_json::{Value, json};

use super::{DeviceJob, DeviceState, Job, JobStatus, Work};
use crate::dates::Ticks;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobView<'a> {
    job_id: &'a str,
    query_condition: &'a str,
    created_time: Ticks,
    start_time: Ticks,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Ticks>,
    max_execution_time_in_seconds: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_to_device_method: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_twin: Option<&'a Value>,
    status: JobStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_job_statistics: Option<Statistics>,
}

#[derive(Serialize, Default)]
struct Statistics {
    #[serde(rename = "deviceCount")]
    all: usize,
    #[serde(rename = "failedCount")]
    failed: usize,
    #[serde(rename = "succeededCount")]
    succeeded: usize,
    #[serde(rename = "runningCount")]
    running: usize,
    #[serde(rename = "pendingCount")]
    pending: usize,
}

impl Statistics {
    fn of(job: &Job) -> Self {
        let mut counts = Self {
            all: job.devices.len(),
            ..Self::default()
        };
        for device in &job.devices {
            *match device.state {
                DeviceState::Pending => &mut counts.pending,
                DeviceState::Running => &mut counts.running,
                DeviceState::Completed(_) => &mut counts.succeeded,
                DeviceState::Failed(..) => &mut counts.failed,
            } += 1;
        }
        counts
    }
}

/// The `type` of a job.
pub(crate) const fn kind(job: &Job) -> &'static str {
    match job.work {
        Work::UpdateTwin(_) => "scheduleUpdateTwin",
        Work::Method(_) => "scheduleDeviceMethod",
    }
}

/// The name of a status.
pub(crate) fn status_name(status: JobStatus) -> String {
    format!("{status:?}").to_lowercase()
}

/// A job as all answers show it.
pub(crate) fn job(job: &Job) -> String {
    let begun = !matches!(job.status, JobStatus::Queued | JobStatus::Scheduled);
    let view = JobView {
        job_id: &job.id,
        query_condition: &job.condition,
        created_time: job.created,
        start_time: job.start,
        end_time: job.end,
        max_execution_time_in_seconds: job.max_seconds,
        kind: kind(job),
        cloud_to_device_method: match &job.work {
            Work::Method(call) => Some(with_bytes(call)),
            Work::UpdateTwin(_) => None,
        },
        update_twin: match &job.work {
            Work::UpdateTwin(twin) => Some(twin),
            Work::Method(_) => None,
        },
        status: job.status,
        failure_reason: job.failure.as_deref(),
        device_job_statistics: begun.then(|| Statistics::of(job)),
    };
    serde_json::to_string(&view).expect("text keys and plain values always serialize")
}

/// A method call with its payload as the service echoes it: the bytes of its JSON text.
fn with_bytes(call: &Value) -> Value {
    let mut shown = call.clone();
    if let Some(payload) = shown.get_mut("payload").filter(|it| !it.is_null()) {
        *payload = json!(payload.to_string().into_bytes());
    }
    shown
}

/// What the service answers about a job nobody has heard of.
pub(crate) fn unknown(id: &str) -> String {
    json!({"jobId": id, "type": "unknown", "status": "unknown"}).to_string()
}

/// One device of a job, as a row of `devices.jobs`.
pub(crate) fn row(job: &Job, device: &DeviceJob) -> Value {
    let status = match &device.state {
        DeviceState::Pending => "pending",
        DeviceState::Running => "running",
        DeviceState::Completed(_) => "completed",
        DeviceState::Failed(..) => "failed",
    };
    let mut row = json!({
        "deviceId": device.target.device,
        "jobId": job.id,
        "jobType": kind(job),
        "status": status,
        "createdDateTimeUtc": job.created,
        "startTimeUtc": device.started,
        "lastUpdatedDateTimeUtc": device.updated,
    });
    if let Some(module) = &device.target.module {
        row["moduleId"] = json!(module);
    }
    match &device.state {
        DeviceState::Completed(answer) => {
            row["endTimeUtc"] = json!(device.updated);
            if let Some((status, payload)) = answer {
                let response = json!({"status": status, "payload": payload});
                row["outcome"] = json!({"deviceMethodResponse": response});
            }
        }
        DeviceState::Failed(code, description) => {
            row["endTimeUtc"] = json!(device.updated);
            row["error"] = json!({"code": code, "description": description});
        }
        DeviceState::Pending | DeviceState::Running => {}
    }
    row
}
