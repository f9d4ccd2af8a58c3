//! The release before beside this one, on the same streams and records.
//!
//! There is none yet; until then this is skipped. `TEST_PREVIOUS_RELEASE` names its `mender-iothub`.

use std::{env, path::PathBuf};

use anyhow::{Result, ensure};
use black_box::{Installation, skips::skip};

use crate::stage::{Parts, Stage};

const PREVIOUS: &str = "TEST_PREVIOUS_RELEASE";

#[tokio::test]
async fn the_previous_release_works_beside_this_one_and_takes_back_what_it_left() -> Result<()> {
    let test = "the_previous_release_works_beside_this_one";
    let Some(binary) = env::var_os(PREVIOUS).filter(|path| !path.is_empty()) else {
        skip(
            test,
            &format!(
                "set {PREVIOUS} to the mender-iothub of the release before; there is none yet"
            ),
        );
        return Ok(());
    };
    let (parts, new) = Parts::start("previous-release").await?;
    let old = new.clone().with_binary(PathBuf::from(binary));
    setup(
        &old,
        &["integration", "set", "--tier", "unlimited"],
        parts.hub.connection_string(),
    )
    .await?;
    let mut stage = parts.with(old.start().await?);
    let first = accepted(&stage).await?;

    // The upgrade: `setup` of the new one while the old one works, then both, then the new one alone.
    setup(&new, &["setup"], "").await?;
    let beside = new.start().await?;
    let second = accepted(&stage).await?;
    stage.worker.sigterm().await?;
    let mut former = std::mem::replace(&mut stage.worker, beside);
    rejected(&stage, &first).await?;
    let third = accepted(&stage).await?;

    // And back: the old one carries on what the new one has written.
    stage.worker.sigterm().await?;
    former.start_again().await?;
    for id in [&second, &third] {
        rejected(&stage, id).await?;
    }
    for id in [first, second, third] {
        stage.decommission(&id).await?;
        stage.hub_shows(&id, None).await?;
    }
    let dead = former
        .cli(&["dlq", "list", "--output", "json"])
        .await?
        .json()?;
    ensure!(!dead.to_string().contains("\"class\""), "{dead}");
    stage.dir.passed();
    Ok(())
}

async fn setup(installation: &Installation, command: &[&str], input: &str) -> Result<()> {
    for arguments in [&["setup"][..], command] {
        let done = installation.cli_with_input(arguments, input).await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    Ok(())
}

async fn accepted(stage: &Stage) -> Result<String> {
    let id = stage.device().await?;
    stage.status(&id, "accepted").await?;
    stage.hub_shows(&id, Some("enabled")).await?;
    Ok(id)
}

async fn rejected(stage: &Stage, id: &str) -> Result<()> {
    stage.status(id, "rejected").await?;
    stage.hub_shows(id, Some("disabled")).await.map(drop)
}
