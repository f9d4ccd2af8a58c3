//! Scheduled jobs, and import and export jobs, as they go over the wire.

use futures::TryStreamExt as _;
use iothub::{Job, JobStatus, Kind, NewJob, NewTransfer, Secret};
use serde_json::json;

use crate::server::{Server, answer, ok};

const JOB: &str = r#"{"jobId":"j-1","type":"scheduleUpdateTwin","status":"queued"}"#;

#[tokio::test]
async fn a_job_is_scheduled_read_and_cancelled() {
    let server = Server::with([ok(JOB), ok(JOB), ok(&JOB.replace("queued", "cancelled"))]).await;
    let hub = server.hub();
    let edit = json!({"tags": {"a": 1}});
    let new = NewJob::update_twins("j-1".parse().unwrap(), "*", &edit).unwrap();
    hub.create_job(&new).await.unwrap();
    assert_eq!(hub.job(new.id()).await.unwrap().status(), JobStatus::Queued);
    let cancelled = hub.cancel_job(new.id()).await.unwrap();
    assert_eq!(cancelled.status(), JobStatus::Cancelled);
    let lines: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    assert!(lines[0].starts_with("PUT /jobs/v2/j-1?"), "{lines:?}");
    assert!(
        lines[2].starts_with("POST /jobs/v2/j-1/cancel?"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_unknown_job_is_not_found_although_the_hub_calls_it_a_success() {
    for id in [r#""jobId":"j-1","#, ""] {
        let unknown = format!(r#"{{{id}"type":"unknown","status":"unknown"}}"#);
        let server = Server::with([ok(&unknown)]).await;
        let error = server.hub().job(&"j-1".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{unknown}");
    }
}

#[tokio::test]
async fn a_running_job_cannot_be_cancelled() {
    let header = "iothub-errorcode: OperationNotAllowedInCurrentState\r\n";
    let server = Server::with([answer("405 Method Not Allowed", header, "")]).await;
    let error = server
        .hub()
        .cancel_job(&"j-1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotAvailable);
}

#[tokio::test]
async fn pages_of_jobs_are_read_in_both_shapes() {
    let next = "x-ms-continuation: t1\r\n";
    let object = format!(r#"{{"type":"jobResponse","items":[{JOB}],"continuationToken":"t2"}}"#);
    let last = r#"{"type":"jobResponse","items":[],"continuationToken":null}"#;
    let server = Server::with([
        answer("200 OK", next, &format!("[{JOB}]")),
        ok(&object),
        ok(last),
    ])
    .await;
    let found: Vec<Job> = server
        .hub()
        .jobs(None, Some(JobStatus::Queued))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    let seen = server.seen();
    let sent: Vec<_> = seen
        .iter()
        .map(|seen| seen.header("x-ms-continuation"))
        .collect();
    assert_eq!(sent, [None, Some("t1"), Some("t2")]);
    assert!(seen[0].line().contains("&jobStatus=queued"));
}

#[tokio::test]
async fn an_export_is_started_watched_and_cancelled() {
    let job = r#"{"jobId":"e1","type":"export","status":"enqueued","progress":0,"outputBlobContainerUri":"https://x?sig=sesame"}"#;
    let done = answer("204 No Content", "", "");
    let server = Server::with([ok(job), ok(job), ok(&format!("[{job}]")), done]).await;
    let hub = server.hub();
    let container = Secret::from("https://x?sig=sesame");
    let started = hub
        .create_transfer(&NewTransfer::export(&container))
        .await
        .unwrap();
    assert_eq!(started.id(), "e1");
    let read = hub.transfer("e1").await.unwrap();
    assert!(!format!("{read:?}").contains("sesame"));
    assert_eq!(hub.transfers().await.unwrap().len(), 1);
    hub.cancel_transfer("e1").await.unwrap();
    let lines: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    assert!(lines[0].starts_with("POST /jobs/create?"), "{lines:?}");
    assert!(lines[3].starts_with("DELETE /jobs/e1?"), "{lines:?}");
}
