//! Import and export jobs.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use black_box::until;
use iothub::{Hub, JobStatus, Kind, NewTransfer, Secret, Transfer};
use serde_json::{Value, json};

use super::{KEYS, Steps, id, refused};
use crate::stage::SOON;

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    start(steps).await;
    export(steps).await;
    import(steps).await;
    start_as_identity(steps).await;
    start_badly(steps).await;
    Ok(())
}

fn container(name: &str, permissions: &str) -> Secret {
    let query = format!("sv=2021&sp={permissions}&sig=sesame");
    Secret::from(format!("https://store.example/{name}?{query}"))
}

fn to_outbox() -> NewTransfer {
    NewTransfer::export(&container("outbox", "rwdl"))
}

async fn ended(hub: &Hub, job: &Transfer) -> Result<Transfer> {
    until(SOON, "the end of a job", async || {
        let job = hub.transfer(job.id()).await?;
        Ok(job.status().is_final().then_some(job))
    })
    .await
}

/// The lines of a blob in the outbox; what is no JSON is null.
fn lines(blobs: &Path, blob: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(blobs.join("outbox").join(blob))?;
    let line = |line| serde_json::from_str(line).unwrap_or_default();
    Ok(text.lines().map(line).collect())
}

async fn start(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let job = hub.create_transfer(&to_outbox()).await?;
        ensure!((job.transfer_type(), job.status()) == (Some("export"), JobStatus::Enqueued));
        ensure!(job.progress() == Some(0) && job.start_time().is_some());
        Ok(())
    };
    steps.step("start an export", go).await;
    let go =
        async |hub: &Hub| refused(Kind::QuotaExceeded, hub.create_transfer(&to_outbox()).await);
    steps.step("a second job at once", go).await;
    let go = async |hub: &Hub| {
        let jobs = hub.transfers().await?;
        ensure!(
            jobs.len() == 1 && jobs[0].status() == JobStatus::Enqueued,
            "{jobs:?}"
        );
        Ok(())
    };
    steps.step("list", go).await;
    let go = async |hub: &Hub| {
        let jobs = hub.transfers().await?;
        let job = jobs.first().context("a job")?;
        hub.cancel_transfer(job.id()).await?;
        ensure!(ended(hub, job).await?.status() == JobStatus::Cancelled);
        Ok(())
    };
    steps.step("cancel", go).await;
}

async fn export(steps: &mut Steps) {
    let blobs = steps.blobs.clone();
    let run = async |hub: &Hub, new: NewTransfer| -> Result<Vec<Value>> {
        let job = ended(hub, &hub.create_transfer(&new).await?).await?;
        ensure!(
            job.status() == JobStatus::Completed && job.progress() == Some(100),
            "{job:?}"
        );
        ensure!(job.end_time().is_some());
        lines(&blobs, "devices.txt")
    };
    let key = |line: &Value| line["authentication"]["symmetricKey"]["primaryKey"].is_string();
    let go = async |hub: &Hub| {
        let devices = run(hub, to_outbox()).await?;
        let names: Vec<&Value> = devices.iter().map(|it| &it["id"]).collect();
        ensure!(names == ["device-1", "device-2"] && devices.iter().all(key));
        Ok(())
    };
    steps.step("export all devices", go).await;
    let go = async |hub: &Hub| {
        let devices = run(hub, to_outbox().without_keys()).await?;
        ensure!(devices.len() == 3 && devices[0].is_null() && !devices.iter().any(key));
        Ok(())
    };
    steps.step("export without keys", go).await;
}

async fn import(steps: &mut Steps) {
    let blobs = steps.blobs.clone();
    let go = async |hub: &Hub| {
        let (inbox, outbox) = (container("inbox", "rwdl"), container("outbox", "rwdl"));
        let created = hub
            .create_transfer(&NewTransfer::import(&inbox, &outbox))
            .await?;
        ensure!(created.field("inputBlobContainerUri") == Some(&json!(inbox.expose())));
        let job = ended(hub, &created).await?;
        // Lines that fail do not make the job fail.
        ensure!(job.status() == JobStatus::Completed, "{job:?}");
        ensure!(job.field("inputBlobContainerUri").is_none());
        let imported = hub.device(&id("imported")?).await?;
        ensure!(imported.primary_key().context("a key")?.expose() == KEYS[0]);
        let errors = lines(&blobs, "importErrors.log")?;
        ensure!(
            errors.len() == 1 && errors[0]["deviceId"] == "no-such-device",
            "{errors:?}"
        );
        ensure!(errors[0]["errorCode"] == 404_001);
        Ok(())
    };
    steps.step("import", go).await;
}

async fn start_as_identity(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let identity = "/subscriptions/s/identities/hub";
        let container = Secret::from("https://store.example/outbox");
        let export = NewTransfer::export(&container).as_identity(Some(identity));
        let job = hub.create_transfer(&export).await?;
        ensure!(job.field("storageAuthenticationType") == Some(&json!("identityBased")));
        ensure!(job.field("identity") == Some(&json!({"userAssignedIdentity": identity})));
        Ok(hub.cancel_transfer(job.id()).await?)
    };
    let step = "export as another identity than a signature's";
    steps.step(step, go).await;
}

async fn start_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let export = NewTransfer::export(&container("outbox", "r"));
        refused(Kind::Invalid, hub.create_transfer(&export).await)
    };
    steps
        .step("a container that must not be written to", go)
        .await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.transfer("no-such-job").await);
    steps.step("read what does not exist", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.cancel_transfer("no-such-job").await);
    steps.step("cancel what does not exist", go).await;
}
