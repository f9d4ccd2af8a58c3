//! Jobs as they are ordered and reported.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::error::Kind;
use crate::method::Method;

fn id() -> JobId {
    "j-1".parse().unwrap()
}

#[test]
fn ids_are_short_and_lower_case() {
    for text in ["", "A", "a_b", "a.b", "..", "ä", &"a".repeat(65)] {
        assert_eq!(text.parse::<JobId>(), Err(InvalidJobId), "{text}");
    }
    assert!("it's-job-1".parse::<JobId>().is_ok());
}

#[test]
fn a_twin_job_matches_any_version() {
    let edit = json!({"tags": {"a": null}, "etag": "AAE="});
    let job = NewJob::update_twins(id(), "*", &edit)
        .unwrap()
        .start_at(UNIX_EPOCH + Duration::from_secs(1_767_268_800))
        .unwrap()
        .max_execution(Duration::from_millis(299_001));
    assert_eq!(
        job.to_json(),
        json!({"jobId": "j-1", "type": "scheduleUpdateTwin", "queryCondition": "*",
            "updateTwin": {"tags": {"a": null}, "etag": "*"},
            "startTime": "2026-01-01T12:00:00Z", "maxExecutionTimeInSeconds": 300})
    );
    assert!(NewJob::update_twins(id(), "*", &json!([])).is_err());
}

#[test]
fn a_method_job_holds_the_call() {
    let method = Method::new("reboot").unwrap();
    let job = NewJob::call_methods(id(), "tags.a = 1", &method).unwrap();
    assert_eq!(
        job.to_json()["cloudToDeviceMethod"],
        method.to_json().unwrap()
    );
    assert_eq!(job.to_json()["type"], "scheduleDeviceMethod");
    let hasty = method.connect_timeout(Duration::from_secs(300)).unwrap();
    assert!(NewJob::call_methods(id(), "*", &hasty).is_err());
}

#[test]
fn a_report_can_be_asked_for_all_it_says() {
    let job = Job::from_json(
        br#"{"jobId":"j","queryCondition":"*","createdTime":"2026-01-01T12:00:00.1Z",
        "startTime":"2026-01-01T12:00:00Z","endTime":"0001-01-01T00:00:00Z",
        "type":"scheduleDeviceMethod","status":"completed","failureReason":"r",
        "deviceJobStatistics":{"deviceCount":5,"failedCount":1,"succeededCount":2,"runningCount":1,"pendingCount":1}}"#,
    )
    .unwrap();
    assert_eq!(job.status(), JobStatus::Completed);
    assert!(job.status().is_final());
    assert_eq!(job.job_type(), Some(JobType::CallMethods));
    assert_eq!(
        (job.condition(), job.failure_reason()),
        (Some("*"), Some("r"))
    );
    assert!(job.start_time().is_some() && job.end_time().is_none());
    let counts = job.statistics();
    assert_eq!(
        [
            counts.devices,
            counts.failed,
            counts.succeeded,
            counts.running,
            counts.pending
        ],
        [5, 1, 2, 1, 1]
    );
}

#[test]
fn words_nobody_knows_are_other_and_a_body_without_a_job_is_malformed() {
    let job = Job::from_json(br#"{"jobId":"j","status":"paused"}"#).unwrap();
    assert_eq!((job.status(), job.job_type()), (JobStatus::Other, None));
    assert_eq!(job.statistics(), JobStatistics::default());
    for body in ["", "[]", "{}", r#"{"jobId":7}"#] {
        let error = Job::from_json(body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{body}");
    }
}
