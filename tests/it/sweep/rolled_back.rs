//! A NATS that has lost what it had acknowledged: its files are those of an hour ago.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use black_box::until;
use serde_json::{Value, json};

use super::{accepted, settled, stage, sweep, sweep_until};
use crate::stage::{SOON, Stage};

const STOP: Duration = Duration::from_secs(10);

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Stops everything that writes, keeps a copy of NATS's files, and goes on.
async fn back_up(stage: &mut Stage) -> Result<()> {
    stage.worker.sigterm().await?;
    stage.nats.process().stop(STOP).await?;
    copy(
        &stage.dir.path().join("nats"),
        &stage.dir.path().join("copy"),
    )?;
    stage.nats.restart().await?;
    stage.worker.start_again().await
}

/// Kills NATS and starts it with the files of the copy.
async fn roll_back(stage: &mut Stage) -> Result<()> {
    stage.nats.process().kill9()?;
    let files = stage.dir.path().join("nats");
    fs::remove_dir_all(&files)?;
    fs::rename(stage.dir.path().join("copy"), files)?;
    stage.nats.restart().await
}

#[tokio::test]
async fn a_nats_that_is_rolled_back_undoes_nothing_and_the_next_sweep_makes_up_for_it() -> Result<()>
{
    let mut stage = stage("rolled-back").await?;
    let known = accepted(&stage).await?;
    let rejected = accepted(&stage).await?;
    let gone = accepted(&stage).await?;
    let foreign = json!({"status": "disabled", "statusReason": "made by hand"});
    stage.hub.put_device("by-hand", &foreign).await?;
    back_up(&mut stage).await?;
    // What the copy does not know of.
    let new = accepted(&stage).await?;
    stage.status(&rejected, "rejected").await?;
    stage.hub_shows(&rejected, Some("disabled")).await?;
    settled(&stage, &rejected).await?;
    stage.decommission(&gone).await?;
    stage.hub_shows(&gone, None).await?;
    stage.worker.kill9()?;
    // Acknowledged by NATS, worked on by nobody, and lost.
    let lost = stage.device().await?;
    stage.status(&lost, "accepted").await?;
    let before = stage.hub.devices().await?;
    let seen = stage.hub.journal().await?.len();
    roll_back(&mut stage).await?;
    stage.worker.start_again().await?;

    let report = sweep_until(&stage, "lost_event").await?;
    assert_eq!(report["troubles"], json!([]), "{report}");
    stage.hub_shows(&lost, Some("enabled")).await?;
    for id in [&known, &rejected, &new, &lost] {
        until(SOON, "the record to be right", async || {
            sweep(&stage).await?;
            let show = ["device", "show", id, "--output", "json"];
            let shown = stage.worker.cli(&show).await?;
            let shown: Value = serde_json::from_str(&shown.stdout)?;
            Ok((shown["settled"] == json!(true)).then_some(()))
        })
        .await?;
    }
    // Nothing was undone on the way: not one write but for the device of the lost event.
    let journal = stage.hub.journal().await?;
    let writes = journal[seen..].iter().filter(|it| it.effective);
    let others = writes.filter(|it| it.device.as_deref() != Some(&lost));
    assert_eq!(others.count(), 0, "{journal:?}");
    let mut after = stage.hub.devices().await?;
    after.retain(|it| it["deviceId"] != json!(lost));
    assert_eq!(after, before);
    assert!(stage.delivered(&lost).await?.0.is_some());
    stage.dir.passed();
    Ok(())
}
