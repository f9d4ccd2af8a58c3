//! Scheduled jobs.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use black_box::until;
use futures::TryStreamExt as _;
use iothub::{Hub, ItemType, Job, JobStatus, JobType, Kind, Method, NewJob, Query};
use serde_json::json;

use super::{Steps, id, refused};
use crate::stage::SOON;

const NORTH: &str = "tags.site = 'north'";

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    update(steps).await;
    call(steps).await;
    schedule_badly(steps).await;
    plan(steps).await;
    end(steps).await;
    Ok(())
}

fn new(name: &str, condition: &str) -> Result<NewJob> {
    let edit = json!({"tags": {"batch": 7}});
    let job = NewJob::update_twins(name.parse()?, condition, &edit)?;
    Ok(job.max_execution(Duration::from_secs(60)))
}

async fn ended(hub: &Hub, name: &str) -> Result<Job> {
    let name = name.parse()?;
    until(SOON, "the end of a job", async || {
        let job = hub.job(&name).await?;
        Ok(job.status().is_final().then_some(job))
    })
    .await
}

/// All, succeeded and failed.
fn counts(job: &Job) -> (JobStatus, [u64; 3]) {
    let counts = job.statistics();
    let numbers = [counts.devices, counts.succeeded, counts.failed];
    (job.status(), numbers)
}

async fn update(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let job = hub.create_job(&new("update", NORTH)?).await?;
        ensure!((job.id(), job.condition()) == ("update", Some(NORTH)));
        ensure!(job.job_type() == Some(JobType::UpdateTwins) && !job.status().is_final());
        Ok(())
    };
    steps.step("schedule a twin update", go).await;
    let go = async |hub: &Hub| {
        let job = ended(hub, "update").await?;
        ensure!(counts(&job) == (JobStatus::Completed, [2, 2, 0]), "{job:?}");
        ensure!(job.start_time().is_some() && job.end_time() >= job.start_time());
        Ok(())
    };
    steps.step("follow it to its end", go).await;
    let go = async |hub: &Hub| {
        for (device, batch) in [
            ("north-1", json!(7)),
            ("north-2", json!(7)),
            ("south", json!(null)),
        ] {
            ensure!(
                hub.twin(&id(device)?).await?.tags()["batch"] == batch,
                "{device}"
            );
        }
        Ok(())
    };
    steps.step("it has changed the twins it was for", go).await;
}

async fn call(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let method = Method::new("echo")?.payload(json!({"text": "zwölf"}))?;
        let job = NewJob::call_methods("call".parse()?, "*", &method)?;
        hub.create_job(&job.max_execution(Duration::from_secs(60)))
            .await?;
        let job = ended(hub, "call").await?;
        // The device that is offline is one that failed; the job as a whole did not.
        ensure!(counts(&job) == (JobStatus::Completed, [3, 2, 1]), "{job:?}");
        Ok(())
    };
    steps.step("schedule a method", go).await;
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'call'")?;
        let page = hub.query_page(&query, None).await?;
        ensure!(page.item_type == ItemType::DeviceJob && page.continuation.is_none());
        let mut found: Vec<(&str, &str)> = Vec::new();
        for row in &page.rows {
            let text = |name: &str| row[name].as_str().context("a text");
            found.push((text("deviceId")?, text("status")?));
        }
        found.sort_unstable();
        let wanted = [
            ("north-1", "completed"),
            ("north-2", "completed"),
            ("south", "failed"),
        ];
        ensure!(found == wanted, "{found:?}");
        Ok(())
    };
    steps.step("ask for its devices", go).await;
    let go = async |hub: &Hub| {
        hub.create_job(&new("senseless", "tags. =")?).await?;
        let job = ended(hub, "senseless").await?;
        ensure!(
            job.status() == JobStatus::Failed && job.failure_reason().is_some(),
            "{job:?}"
        );
        Ok(())
    };
    steps
        .step("schedule for a condition that is none", go)
        .await;
}

async fn schedule_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let again = hub.create_job(&new("update", NORTH)?).await;
        refused(Kind::AlreadyExists, again)
    };
    steps.step("schedule under a taken id", go).await;
    let go = async |_: &Hub| {
        ensure!("Bad_Id".parse::<iothub::JobId>().is_err());
        Ok(())
    };
    steps.step("schedule under a bad id", go).await;
}

async fn plan(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let then = SystemTime::now() + Duration::from_secs(3600);
        let job = hub
            .create_job(&new("later", NORTH)?.start_at(then)?)
            .await?;
        ensure!([JobStatus::Queued, JobStatus::Scheduled].contains(&job.status()));
        Ok(())
    };
    steps.step("plan one for later", go).await;
    let go = async |hub: &Hub| {
        let throttled = Kind::Throttled { retry_after: None };
        refused(throttled, hub.create_job(&new("more", NORTH)?).await)
    };
    steps.step("one job too many", go).await;
    let go = async |hub: &Hub| {
        let found = async |job_type, status| -> Result<Vec<String>> {
            let jobs: Vec<Job> = hub.jobs(job_type, status).try_collect().await?;
            let mut names: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
            names.sort_unstable();
            Ok(names)
        };
        ensure!(found(None, None).await? == ["call", "later", "senseless", "update"]);
        ensure!(found(Some(JobType::CallMethods), None).await? == ["call"]);
        let (updates, completed) = (JobType::UpdateTwins, JobStatus::Completed);
        ensure!(found(Some(updates), Some(completed)).await? == ["update"]);
        Ok(())
    };
    steps.step("list", go).await;
}

async fn end(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let cancelled = hub.cancel_job(&"later".parse()?).await?;
        ensure!(cancelled.status() == JobStatus::Cancelled);
        ensure!(ended(hub, "later").await?.status() == JobStatus::Cancelled);
        Ok(())
    };
    steps.step("cancel", go).await;
    let go =
        async |hub: &Hub| refused(Kind::NotAvailable, hub.cancel_job(&"update".parse()?).await);
    steps.step("cancel what has ended", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.job(&"no-such-job".parse()?).await);
    steps.step("read what does not exist", go).await;
}
