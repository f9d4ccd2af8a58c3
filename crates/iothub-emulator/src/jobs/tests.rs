//! The rules of jobs, without running any.

use serde_json::{Value, json};

use super::*;

const NOW: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);

fn parse(id: &str, body: &Value) -> Result<Job, ServiceError> {
    draft::parse(id, body.to_string().as_bytes(), NOW)
}

fn body() -> Value {
    json!({"type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": {"etag": "*", "tags": {"a": 1}}})
}

#[test]
fn a_job_has_a_type_a_condition_and_something_to_do() {
    let job = parse("job-1", &body()).unwrap();
    assert_eq!(
        (job.status, job.start, job.max_seconds),
        (JobStatus::Queued, NOW, 3600)
    );
    let broken = |change: fn(&mut Value)| {
        let mut body = body();
        change(&mut body);
        parse("job-1", &body).map_or_else(|error| error.status.as_u16(), |_| 200)
    };
    assert_eq!(broken(|it| it["type"] = json!("export")), 400);
    assert_eq!(broken(|it| it["queryCondition"] = json!(" ")), 400);
    assert_eq!(broken(|it| it["updateTwin"] = Value::Null), 400);
    assert_eq!(
        broken(|it| it["updateTwin"]["etag"] = json!("AAAAAAAAAAE=")),
        400
    );
    assert_eq!(broken(|it| it["jobId"] = json!("other")), 400);
    assert_eq!(broken(|it| it["startTime"] = json!("tomorrow")), 400);
    assert_eq!(
        broken(|it| it["startTime"] = json!("2026-01-08T00:00:01Z")),
        400
    );
    assert_eq!(
        broken(|it| it["startTime"] = json!("2026-01-08T00:00:00Z")),
        200
    );
    assert_eq!(
        broken(|it| it["queryCondition"] = json!("no ( condition")),
        200
    );
}

#[test]
fn ids_are_short_and_in_lower_case() {
    for id in ["a", "job-1'", &"x".repeat(64)] {
        assert!(parse(id, &body()).is_ok(), "{id}");
    }
    for id in ["", "Job", "a_b", &"x".repeat(65)] {
        assert!(parse(id, &body()).is_err(), "{id}");
    }
}

#[test]
fn an_id_is_used_once_and_only_so_many_jobs_are_at_work() {
    let mut jobs = Jobs::default();
    jobs.add(parse("a", &body()).unwrap(), 1).unwrap();
    let error = |jobs: &mut Jobs, id| jobs.add(parse(id, &body()).unwrap(), 1).unwrap_err();
    assert_eq!(error(&mut jobs, "a").name, "JobAlreadyExists");
    let busy = error(&mut jobs, "b");
    assert_eq!(
        (busy.status.as_u16(), busy.name.as_ref()),
        (429, "ThrottlingMaxActiveJobCountExceeded")
    );
    jobs.cancel("a", NOW).unwrap();
    assert!(jobs.add(parse("b", &body()).unwrap(), 1).is_ok());
}

#[test]
fn only_a_job_that_has_not_begun_can_be_cancelled() {
    let mut jobs = Jobs::default();
    jobs.add(parse("a", &body()).unwrap(), 1).unwrap();
    jobs.with_active("a", |job| job.status = JobStatus::Running);
    assert_eq!(
        jobs.cancel("a", NOW).unwrap_err().name,
        "OperationNotAllowedInCurrentState"
    );
    assert_eq!(jobs.cancel("b", NOW).unwrap_err().name, "JobNotFound");
    jobs.with_active("a", |job| job.finish(JobStatus::Completed, NOW));
    assert!(jobs.with_active("a", |_| ()).is_none());
}

#[test]
fn the_payload_of_a_method_is_echoed_as_bytes() {
    let body = json!({"type": "scheduleDeviceMethod", "queryCondition": "*", "cloudToDeviceMethod": {"methodName": "m", "payload": "x"}});
    let text = view::job(&parse("a", &body).unwrap());
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        shown["cloudToDeviceMethod"]["payload"],
        json!([34, 120, 34])
    );
    assert_eq!(
        (&shown["status"], &shown["type"]),
        (&json!("queued"), &json!("scheduleDeviceMethod"))
    );
    assert!(shown.get("deviceJobStatistics").is_none());
}

#[test]
fn finished_jobs_are_forgotten_after_thirty_days() {
    let mut jobs = Jobs::default();
    jobs.add(parse("a", &body()).unwrap(), 9).unwrap();
    jobs.cancel("a", NOW).unwrap();
    let mut later = parse("b", &body()).unwrap();
    later.created = Ticks::from_unix_micros(NOW.unix_micros() + 31 * 24 * 3600 * 1_000_000);
    jobs.add(later, 9).unwrap();
    assert!(jobs.get("a").is_none());
}
