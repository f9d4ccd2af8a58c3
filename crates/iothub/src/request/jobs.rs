//! Requests about scheduled jobs, and about import and export jobs.

use bytes::Bytes;
use http::Request;

use super::draft::Draft;
use super::queries::paged;
use crate::error::{Error, Result};
use crate::host::HostName;
use crate::job::{JobId, JobStatus, JobType, NewJob};
use crate::query::Continuation;
use crate::transfer::NewTransfer;

/// Schedules a job, or refuses if the id is taken.
pub fn create_job(host: &HostName, new: &NewJob) -> Result<Request<Bytes>> {
    Draft::put(host, &["jobs", "v2", new.id().as_str()])
        .json(&new.to_json())
        .finish()
}

/// Reads a scheduled job.
pub fn job(host: &HostName, id: &JobId) -> Result<Request<Bytes>> {
    Draft::get(host, &["jobs", "v2", id.as_str()]).finish()
}

/// Asks for the first page of scheduled jobs, or for the one after `continuation`.
pub fn jobs(
    host: &HostName,
    job_type: Option<JobType>,
    status: Option<JobStatus>,
    continuation: Option<&Continuation>,
) -> Result<Request<Bytes>> {
    let mut draft = Draft::get(host, &["jobs", "v2", "query"]);
    if let Some(job_type) = job_type {
        draft = draft.query("jobType", job_type.as_str());
    }
    if let Some(status) = status {
        draft = draft.query("jobStatus", status.as_str());
    }
    paged(draft, None, continuation).finish()
}

/// Cancels a scheduled job.
pub fn cancel_job(host: &HostName, id: &JobId) -> Result<Request<Bytes>> {
    Draft::post(host, &["jobs", "v2", id.as_str(), "cancel"]).finish()
}

/// Starts an import or export job.
pub fn create_transfer(host: &HostName, new: &NewTransfer) -> Result<Request<Bytes>> {
    Draft::post(host, &["jobs", "create"])
        .body(new.to_body())
        .finish()
}

/// Lists the import and export jobs.
pub fn transfers(host: &HostName) -> Result<Request<Bytes>> {
    Draft::get(host, &["jobs"]).finish()
}

/// Reads an import or export job.
pub fn transfer(host: &HostName, id: &str) -> Result<Request<Bytes>> {
    Draft::get(host, &["jobs", checked(id)?]).finish()
}

/// Cancels an import or export job.
pub fn cancel_transfer(host: &HostName, id: &str) -> Result<Request<Bytes>> {
    Draft::delete(host, &["jobs", checked(id)?]).finish()
}

/// The hub makes these ids; they are UUIDs as far as anybody has seen. `create` and `v2` are other
/// paths of the API.
fn checked(id: &str) -> Result<&str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let ok = (1..=128).contains(&id.len()) && id.bytes().all(fits);
    if ok && !["create", "v2"].contains(&id) {
        Ok(id)
    } else {
        Err(Error::invalid(
            "the text is no id of an import or export job",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn the_paths_are_those_of_the_service() {
        let id = "j-1".parse().unwrap();
        let all = Some(JobType::CallMethods);
        for (request, line) in [
            (job(&host(), &id), "GET /jobs/v2/j-1?api-version=2021-04-12"),
            (
                cancel_job(&host(), &id),
                "POST /jobs/v2/j-1/cancel?api-version=2021-04-12",
            ),
            (
                jobs(&host(), all, Some(JobStatus::Running), None),
                "GET /jobs/v2/query?api-version=2021-04-12&jobType=scheduleDeviceMethod&jobStatus=running",
            ),
            (transfers(&host()), "GET /jobs?api-version=2021-04-12"),
            (
                transfer(&host(), "1f0c-2"),
                "GET /jobs/1f0c-2?api-version=2021-04-12",
            ),
            (
                cancel_transfer(&host(), "1f0c-2"),
                "DELETE /jobs/1f0c-2?api-version=2021-04-12",
            ),
        ] {
            assert_eq!(text(request), format!("{line}\naccept: application/json\n"));
        }
    }

    #[test]
    fn a_job_is_put_under_its_id() {
        let edit = serde_json::json!({"tags": {"a": 1}});
        let new = NewJob::update_twins("j".parse().unwrap(), "*", &edit).unwrap();
        assert_eq!(
            text(create_job(&host(), &new)),
            "PUT /jobs/v2/j?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"jobId\":\"j\",\"queryCondition\":\"*\",\"type\":\"scheduleUpdateTwin\",\
             \"updateTwin\":{\"etag\":\"*\",\"tags\":{\"a\":1}}}"
        );
    }

    #[test]
    fn an_id_that_is_another_path_is_refused() {
        for id in ["", "create", "v2", "..", "a/b", "a?b", &"a".repeat(129)] {
            assert!(transfer(&host(), id).is_err(), "{id}");
        }
    }
}
