//! The body of a job's PUT, and the rules for it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Job, JobStatus, Work};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::service::methods::MethodCall;
use crate::twin::TwinDraft;

/// Longest job id.
const MAX_ID: usize = 64;
/// How far ahead a job may be planned.
const MAX_AHEAD: Duration = Duration::from_secs(168 * 3600);
/// How long a job may take if the caller does not say, in seconds.
const USUAL_SECONDS: u64 = 3600;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    job_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    query_condition: Option<String>,
    start_time: Option<String>,
    max_execution_time_in_seconds: Option<u64>,
    update_twin: Option<Value>,
    cloud_to_device_method: Option<Value>,
}

/// Reads and checks the body of the job called `id`.
pub(crate) fn parse(id: &str, body: &[u8], now: Ticks) -> Result<Job, ServiceError> {
    check_id(id)?;
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        ServiceError::invalid(format!("The request body is not a valid job: {place}."))
    })?;
    if body.job_id.as_deref().is_some_and(|it| it != id) {
        let text = "The job ID in the request body does not match the one in the URI.";
        return Err(ServiceError::invalid(text));
    }
    let condition = body.query_condition.filter(|it| !it.trim().is_empty());
    let condition =
        condition.ok_or_else(|| ServiceError::invalid("The query condition is missing."))?;
    let start = match body.start_time.as_deref() {
        None | Some("") => now,
        Some(text) => Ticks::parse(text)
            .ok_or_else(|| ServiceError::invalid("The start time is not a date."))?
            .max(now),
    };
    if start.before(MAX_AHEAD) > now {
        return Err(ServiceError::invalid(
            "The start time is more than 168 hours ahead.",
        ));
    }
    Ok(Job {
        id: id.to_owned(),
        work: work(&body.kind, body.update_twin, body.cloud_to_device_method)?,
        condition,
        created: now,
        start,
        end: None,
        max_seconds: body.max_execution_time_in_seconds.unwrap_or(USUAL_SECONDS),
        status: JobStatus::Queued,
        failure: None,
        devices: vec![],
    })
}

fn work(kind: &str, twin: Option<Value>, method: Option<Value>) -> Result<Work, ServiceError> {
    match (kind, twin, method) {
        ("scheduleUpdateTwin", Some(twin), _) => {
            if twin.get("etag").and_then(Value::as_str) != Some("*") {
                let text = "A job that updates twins only accepts '*' as the Etag.";
                return Err(ServiceError::invalid(text));
            }
            TwinDraft::parse(twin.to_string().as_bytes())?;
            Ok(Work::UpdateTwin(twin))
        }
        ("scheduleDeviceMethod", _, Some(method)) => {
            MethodCall::from_value(method.clone())?;
            Ok(Work::Method(method))
        }
        ("scheduleUpdateTwin" | "scheduleDeviceMethod", ..) => {
            Err(ServiceError::invalid("The job does not say what to do."))
        }
        _ => Err(ServiceError::invalid(
            "The job type is not one that can be scheduled.",
        )),
    }
}

fn check_id(id: &str) -> Result<(), ServiceError> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '\'');
    if (1..=MAX_ID).contains(&id.len()) && id.chars().all(known) {
        return Ok(());
    }
    Err(ServiceError::invalid(
        "The job ID is empty, too long or contains invalid characters.",
    ))
}
