//! The sweep: what events missed is repaired, and what only looks missing is left alone.

mod retried;
mod rolled_back;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use black_box::{Installation, until};
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, Stage};

/// What changed within this many seconds is left alone in these tests.
const GRACE: &str = "1";

/// A stage whose worker sweeps only when told to.
async fn stage(name: &str) -> Result<Stage> {
    Ok(stage_with(name, &[("SWEEP__ENABLED", "false")]).await?.0)
}

async fn stage_with(name: &str, settings: &[(&str, &str)]) -> Result<(Stage, Installation)> {
    let (parts, mut installation) = Parts::start(name).await?;
    installation = installation.variable("MENDER_IOTHUB__SWEEP__GRACE_S", GRACE);
    for (key, value) in settings {
        installation = installation.variable(&format!("MENDER_IOTHUB__{key}"), value);
    }
    for arguments in [
        &["setup"][..],
        &["integration", "set", "--tier", "unlimited"],
    ] {
        let input = parts.hub.connection_string();
        let done = installation.cli_with_input(arguments, input).await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    let worker = installation.start().await?;
    let Parts {
        dir,
        nats,
        hub,
        mender,
    } = parts;
    let stage = Stage {
        worker,
        mender,
        hub,
        nats,
        dir,
    };
    Ok((stage, installation))
}

/// A device that Mender has accepted and the hub has.
async fn accepted(stage: &Stage) -> Result<String> {
    let id = stage.device().await?;
    stage.status(&id, "accepted").await?;
    stage.hub_shows(&id, Some("enabled")).await?;
    settled(stage, &id).await?;
    Ok(id)
}

async fn settled(stage: &Stage, id: &str) -> Result<()> {
    until(SOON, &format!("{id} to settle"), async || {
        let (_, shown) = command(stage, &["device", "show", id]).await?;
        Ok((shown["settled"] == json!(true)).then_some(()))
    })
    .await
}

/// Changes a status in Mender, whose event is lost.
async fn silently(stage: &Stage, id: &str, status: &str) -> Result<()> {
    let change = json!({"id": id, "status": status, "lose": true});
    let path = "/simulator/devices/status";
    stage
        .mender
        .control()
        .post::<Value>(path, &change)
        .await
        .map(drop)
}

async fn faults(stage: &Stage, program: Value) -> Result<()> {
    let control = stage.mender.control();
    control
        .put::<Value>("/simulator/faults", &program)
        .await
        .map(drop)
}

/// Runs a command; its exit code and what it printed.
async fn command(stage: &Stage, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
    let all = [arguments, &["--output", "json"]].concat();
    let done = stage.worker.cli(&all).await?;
    let printed = serde_json::from_str(&done.stdout);
    let printed = printed.unwrap_or_else(|_| json!({"error": done.stderr}));
    Ok((done.code, printed))
}

/// Runs a command that succeeds.
async fn done(stage: &Stage, arguments: &[&str]) -> Result<Value> {
    let (code, printed) = command(stage, arguments).await?;
    ensure!(code == Some(0), "{arguments:?}: {code:?}: {printed}");
    Ok(printed)
}

/// One sweep of the only tenant, which is complete.
async fn sweep(stage: &Stage) -> Result<Value> {
    Ok(done(stage, &["sweep"]).await?[""].take())
}

fn count(report: &Value, finding: &str) -> u64 {
    report["findings"][finding]["count"]
        .as_u64()
        .unwrap_or_default()
}

/// Sweeps until something is found: what has just changed is left alone at first.
async fn sweep_until(stage: &Stage, finding: &str) -> Result<Value> {
    until(SOON, finding, async || {
        let report = sweep(stage).await?;
        Ok((count(&report, finding) > 0).then_some(report))
    })
    .await
}

/// Changes that the hub has made.
async fn changes(stage: &Stage) -> Result<usize> {
    let journal = stage.hub.journal().await?;
    Ok(journal.iter().filter(|call| call.effective).count())
}

#[tokio::test]
async fn an_event_that_mender_lost_is_made_up_for() -> Result<()> {
    let stage = stage("sweep-lost").await?;
    let known = accepted(&stage).await?;
    let unheard_of = stage.device().await?;
    silently(&stage, &known, "rejected").await?;
    silently(&stage, &unheard_of, "accepted").await?;
    let report = sweep_until(&stage, "lost_event").await?;
    assert_eq!(report["troubles"], json!([]));
    stage.hub_shows(&known, Some("disabled")).await?;
    stage.hub_shows(&unheard_of, Some("enabled")).await?;
    settled(&stage, &unheard_of).await?;
    assert!(stage.delivered(&unheard_of).await?.0.is_some());
    let status = done(&stage, &["status"]).await?;
    assert_eq!(
        status["sweeps"][0]["findings"], report["findings"],
        "{status}"
    );
    let outcomes = stage.outcomes(3).await?;
    let of_sweeps = outcomes
        .keys()
        .filter(|id| id.starts_with("sweep-"))
        .count();
    assert_eq!(of_sweeps, 2, "the log says what was repaired: {outcomes:?}");
    // A newer event still wins.
    stage.status(&known, "accepted").await?;
    stage.hub_shows(&known, Some("enabled")).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn what_was_changed_by_hand_is_repaired_and_foreign_devices_are_left_alone() -> Result<()> {
    let stage = stage("sweep-drift").await?;
    let disabled = accepted(&stage).await?;
    let deleted = accepted(&stage).await?;
    let rejected = accepted(&stage).await?;
    stage.status(&rejected, "rejected").await?;
    stage.hub_shows(&rejected, Some("disabled")).await?;
    settled(&stage, &rejected).await?;
    let foreign = stage.device().await?;
    stage
        .hub
        .put_device(&foreign, &json!({"status": "disabled"}))
        .await?;
    stage.status(&foreign, "accepted").await?;
    stage.tally(5).await?;
    let untouched = stage.identity(&foreign).await?;

    stage
        .hub
        .put_device(&disabled, &json!({"status": "disabled"}))
        .await?;
    stage.hub.delete_device(&deleted).await?;
    stage.hub.delete_device(&rejected).await?;
    until(SOON, "all three to be found", async || {
        sweep(&stage).await?;
        let repaired = stage
            .identity(&disabled)
            .await?
            .is_some_and(|d| d["status"] == "enabled");
        Ok((repaired && stage.identity(&deleted).await?.is_some()).then_some(()))
    })
    .await?;
    settled(&stage, &deleted).await?;
    let (delivered, _) = stage.delivered(&deleted).await?;
    let keys = stage.hub.devices_with_keys().await?;
    let live = keys
        .iter()
        .find(|device| device["deviceId"] == json!(deleted));
    let key = live.and_then(|d| d["authentication"]["symmetricKey"]["primaryKey"].as_str());
    assert!(
        delivered
            .context("delivered")?
            .ends_with(key.context("key")?),
        "S5"
    );
    let report = sweep_until(&stage, "foreign").await?;
    assert_eq!(count(&report, "foreign"), 1, "{report}");
    assert_eq!(
        stage.identity(&rejected).await?,
        None,
        "recreated only if accepted"
    );
    assert_eq!(stage.identity(&foreign).await?, untouched, "S1");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_missed_decommission_is_believed_at_the_second_positive_answer() -> Result<()> {
    let stage = stage("sweep-gone").await?;
    let id = accepted(&stage).await?;
    let lost = json!({"ids": [id], "lose": true});
    let path = "/simulator/devices/decommission";
    stage.mender.control().post::<Value>(path, &lost).await?;
    sweep_until(&stage, "vanished").await?;
    assert!(stage.identity(&id).await?.is_some(), "once is not enough");
    sweep_until(&stage, "lost_decommission").await?;
    stage.hub_shows(&id, None).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_mender_that_is_down_refuses_or_lists_nothing_deletes_nothing() -> Result<()> {
    let stage = stage("sweep-down").await?;
    let id = accepted(&stage).await?;
    let before = changes(&stage).await?;
    for (fault, complete) in [
        (json!({"down": true}), false),
        (json!({"status": 500}), false),
        (json!({"status": 404}), false),
        (json!({"empty_lists": true}), false),
    ] {
        faults(&stage, json!({"deviceauth": fault})).await?;
        for _ in 0..3 {
            let (code, report) = command(&stage, &["sweep"]).await?;
            assert_eq!(
                count(&report[""], "lost_decommission"),
                0,
                "{fault}: {report}"
            );
            assert_eq!(code == Some(0), complete, "{fault}: {report}");
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    }
    assert_eq!(changes(&stage).await?, before);
    assert!(stage.identity(&id).await?.is_some());
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_store_that_was_lost_is_recovered_from_the_marks() -> Result<()> {
    let stage = stage("sweep-wiped").await?;
    let id = accepted(&stage).await?;
    let rejected = accepted(&stage).await?;
    stage.status(&rejected, "rejected").await?;
    stage.hub_shows(&rejected, Some("disabled")).await?;
    settled(&stage, &rejected).await?;
    let context = stage.nats.jetstream().await?;
    context
        .get_stream("KV_iothub_devices")
        .await?
        .purge()
        .await?;
    let before = stage.hub.devices().await?;
    let changed = changes(&stage).await?;
    let report = sweep(&stage).await?;
    assert_eq!(count(&report, "orphan"), 2, "{report}");
    for id in [&id, &rejected] {
        until(SOON, "the record to be back", async || {
            let (code, _) = command(&stage, &["device", "show", id]).await?;
            Ok((code == Some(0)).then_some(()))
        })
        .await?;
        settled(&stage, id).await?;
    }
    assert_eq!(stage.hub.devices().await?, before);
    assert_eq!(
        changes(&stage).await?,
        changed,
        "nothing was created, deleted or changed"
    );
    stage.decommission(&id).await?;
    stage.hub_shows(&id, None).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() -> Result<()> {
    let stage = stage("sweep-dry").await?;
    let id = accepted(&stage).await?;
    stage.hub.delete_device(&id).await?;
    let before = changes(&stage).await?;
    until(SOON, "the loss to be told", async || {
        let report = done(&stage, &["sweep", "--dry-run"]).await?[""].take();
        Ok((count(&report, "drift") == 1 && report["repaired"] == json!(1)).then_some(()))
    })
    .await?;
    settled(&stage, &id).await?;
    assert_eq!(stage.identity(&id).await?, None);
    assert_eq!(changes(&stage).await?, before);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn two_replicas_sweep_once_each_time() -> Result<()> {
    let every = [("SWEEP__EVERY_S", "3")];
    let (stage, installation) = stage_with("sweep-replicas", &every).await?;
    let mut second = installation.start().await?;
    let arrived = until(SOON, "three sweeps", async || {
        let journal = stage.hub.journal().await?;
        let queries = journal.iter().filter(|call| call.operation == "query");
        let arrived: Vec<u64> = queries.map(|call| call.arrived_us).collect();
        Ok((arrived.len() >= 3).then_some(arrived))
    })
    .await?;
    for pair in arrived.windows(2) {
        assert!(pair[1] - pair[0] > 2_500_000, "{arrived:?}");
    }
    second.sigterm().await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_adopted_device_keeps_its_key_and_follows_mender_from_then_on() -> Result<()> {
    let stage = stage("adopt").await?;
    let id = stage.device().await?;
    let made = json!({"status": "enabled", "statusReason": "of the old fleet"});
    stage.hub.put_device(&id, &made).await?;
    stage.status(&id, "accepted").await?;
    stage.tally(1).await?;
    let before = stage.hub.devices_with_keys().await?[0].clone();

    let dry = done(&stage, &["device", "adopt", "--all-in-mender", "--dry-run"]).await?;
    assert_eq!(dry[0]["result"], "would be adopted");
    assert_eq!(stage.hub.devices_with_keys().await?[0], before);

    let adopted = done(&stage, &["device", "adopt", &id, "never-heard-of"]).await?;
    assert_eq!(adopted[0]["result"], "adopted", "{adopted}");
    assert_eq!(adopted[1]["result"], "not in Mender", "{adopted}");
    until(SOON, "the key to be delivered", async || {
        Ok(stage.delivered(&id).await?.0)
    })
    .await?;
    settled(&stage, &id).await?;
    let after = stage.hub.devices_with_keys().await?[0].clone();
    assert_eq!(after["authentication"], before["authentication"]);
    assert_eq!(after["generationId"], before["generationId"]);
    let outcomes = stage.outcomes(3).await?;
    let kept = outcomes.values().any(|outcome| {
        let reason = outcome["reason"].as_str().unwrap_or_default();
        reason.contains("of the old fleet")
    });
    assert!(kept, "{outcomes:?}");
    stage.decommission(&id).await?;
    stage.hub_shows(&id, None).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_device_is_resynced_and_a_rotated_key_leaves_the_old_one_valid_until_told() -> Result<()>
{
    let stage = stage("resync").await?;
    let id = accepted(&stage).await?;
    let deployed = async |times: u64| {
        until(SOON, "the delivery", async || {
            let (text, deployments) = stage.delivered(&id).await?;
            Ok((deployments == times).then_some(text))
        })
        .await?
        .context("delivered")
    };
    let first = deployed(1).await?;
    done(&stage, &["device", "resync", &id]).await?;
    assert_eq!(deployed(2).await?, first, "the same key once more");
    settled(&stage, &id).await?;

    let (old, spare) = keys(&stage).await?;
    done(&stage, &["device", "resync", &id, "--rotate-keys"]).await?;
    let third = deployed(3).await?;
    settled(&stage, &id).await?;
    let (new, still_valid) = keys(&stage).await?;
    assert!(third.ends_with(&new), "the device has the primary key");
    assert!(new != old && new != spare);
    assert_eq!(still_valid, old, "it stays online");

    done(&stage, &["device", "resync", &id, "--end-old-key"]).await?;
    until(SOON, "the old key to end", async || {
        let (primary, secondary) = keys(&stage).await?;
        assert_eq!(primary, new);
        Ok((secondary != old).then_some(()))
    })
    .await?;
    settled(&stage, &id).await?;
    assert_eq!(deployed(3).await?, third, "nothing more is delivered");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_rotation_survives_its_worker_and_the_delivered_key_works_at_every_moment() -> Result<()>
{
    let never = [("SWEEP__ENABLED", "false")];
    let (mut stage, _installation) = stage_with("rotate-killed", &never).await?;
    let id = accepted(&stage).await?;
    let (old, _) = keys(&stage).await?;
    let lost = json!({"rules": [
        {"operation": "update", "effect": "after", "reply": "drop", "times": 2}
    ]});
    stage.hub.faults(&lost).await?;
    done(&stage, &["device", "resync", &id, "--rotate-keys"]).await?;
    until(SOON, "the new secondary key", async || {
        let (primary, _) = keys(&stage).await?;
        assert_eq!(primary, old, "the secondary one first");
        let journal = stage.hub.journal().await?;
        let mut calls = journal.iter();
        Ok(calls.any(|it| it.operation == "update").then_some(()))
    })
    .await?;
    stage.worker.kill9()?;
    stage.worker.process().exit(SOON).await?;
    stage.worker.start_again().await?;
    until(SOON, "the keys to change places", async || {
        let (text, _) = stage.delivered(&id).await?;
        let text = text.context("delivered")?;
        let (primary, secondary) = keys(&stage).await?;
        assert!(text.ends_with(&primary) || text.ends_with(&secondary), "S5");
        Ok((text.ends_with(&primary) && secondary == old).then_some(()))
    })
    .await?;
    settled(&stage, &id).await?;
    stage.dir.passed();
    Ok(())
}

/// The primary and the secondary key of the only device.
async fn keys(stage: &Stage) -> Result<(String, String)> {
    let devices = stage.hub.devices_with_keys().await?;
    let keys = &devices[0]["authentication"]["symmetricKey"];
    let key = |name: &str| keys[name].as_str().map(str::to_owned).context("key");
    Ok((key("primaryKey")?, key("secondaryKey")?))
}
