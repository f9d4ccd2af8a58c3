//! `device retry`: what was given up without a dead letter, or is in a hub that the tenant has left.

use anyhow::Result;
use black_box::{Emulator, Installation, until};
use serde_json::{Value, json};

use super::{accepted, command, done, settled, silently, stage};
use crate::stage::{Parts, SOON, Stage, config};

async fn parked(stage: &Stage) -> Result<usize> {
    let parked = done(stage, &["device", "list", "--state", "parked"]).await?;
    Ok(parked["devices"].as_array().map_or(0, Vec::len))
}

/// What the command says of each device, in the order of their names.
fn results(printed: &Value) -> Vec<(&str, &str)> {
    let lines = printed.as_array().map_or(&[][..], Vec::as_slice);
    let mut results: Vec<_> = lines
        .iter()
        .filter_map(|it| Some((it["device"].as_str()?, it["result"].as_str()?)))
        .collect();
    results.sort_unstable();
    results
}

#[tokio::test]
async fn devices_given_up_without_a_letter_are_taken_up_again_as_mender_has_them_now() -> Result<()>
{
    let stage = stage("retry").await?;
    let foreign = stage.device().await?;
    let by_hand = json!({"status": "disabled"});
    stage.hub.put_device(&foreign, &by_hand).await?;
    stage.status(&foreign, "accepted").await?;
    settled(&stage, &foreign).await?;
    let untouched = stage.identity(&foreign).await?;

    let refuse =
        json!({"rules": [{"operation": "create", "status": 400, "error": "ArgumentInvalid"}]});
    stage.hub.faults(&refuse).await?;
    let mut given_up = Vec::new();
    for _ in 0..3 {
        let id = stage.device().await?;
        stage.status(&id, "accepted").await?;
        given_up.push(id);
    }
    until(SOON, "three to be given up", async || {
        Ok((parked(&stage).await? == 3).then_some(()))
    })
    .await?;
    done(&stage, &["dlq", "purge", "--yes"]).await?;
    let shown = stage.worker.cli(&["device", "show", &given_up[0]]).await?;
    assert!(shown.stdout.contains("device retry"), "{}", shown.stdout);
    stage.hub.faults(&json!({"rules": []})).await?;
    silently(&stage, &given_up[1], "rejected").await?;

    let dry = done(&stage, &["device", "retry", "--all-parked", "--dry-run"]).await?;
    let mut all: Vec<_> = given_up.iter().map(String::as_str).collect();
    all.sort_unstable();
    let would: Vec<_> = all.iter().map(|id| (*id, "would be taken up")).collect();
    assert_eq!(results(&dry), would, "{dry}");
    assert_eq!(parked(&stage).await?, 3, "a dry run changes nothing");

    let one = done(
        &stage,
        &["device", "retry", &given_up[0], &foreign, "nobody"],
    )
    .await?;
    let mut expected = vec![
        (given_up[0].as_str(), "taken up"),
        (&foreign, "looked at"),
        ("nobody", "left alone"),
    ];
    expected.sort_unstable();
    assert_eq!(results(&one), expected, "{one}");
    stage.hub_shows(&given_up[0], Some("enabled")).await?;
    settled(&stage, &given_up[0]).await?;

    done(&stage, &["device", "retry", "--all-parked"]).await?;
    stage.hub_shows(&given_up[2], Some("enabled")).await?;
    for id in &given_up {
        settled(&stage, id).await?;
    }
    assert_eq!(
        stage.identity(&given_up[1]).await?,
        None,
        "it was rejected since"
    );
    for id in [&given_up[0], &given_up[2]] {
        assert_eq!(stage.delivered(id).await?.1, 1, "delivered once");
    }
    let again = done(&stage, &["device", "retry", "--all-parked"]).await?;
    assert_eq!(results(&again), []);
    let again = done(&stage, &["device", "retry", &given_up[0]]).await?;
    assert_eq!(results(&again), [(given_up[0].as_str(), "looked at")]);
    settled(&stage, &given_up[0]).await?;
    assert_eq!(
        stage.delivered(&given_up[0]).await?.1,
        1,
        "once, however often it is retried"
    );
    assert_eq!(stage.identity(&foreign).await?, untouched, "S1");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn devices_of_a_hub_that_was_left_move_to_the_present_one_when_told() -> Result<()> {
    let (parts, _) = Parts::start("retry-moves").await?;
    let next = Emulator::start(parts.dir.path(), &[]).await?;
    let text = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    let both = format!("allowed_hosts = [\"{}\", ", next.hub());
    let text = text.replace("allowed_hosts = [", &both);
    let installation = Installation::new(parts.dir.path(), &text).await?;
    let installation = installation.variable("MENDER_IOTHUB__SWEEP__ENABLED", "false");
    let set = ["integration", "set", "--tier", "unlimited"];
    installation.cli(&["setup"]).await?;
    installation
        .cli_with_input(&set, parts.hub.connection_string())
        .await?;
    let stage = parts.with(installation.start().await?);
    let ids = [accepted(&stage).await?, accepted(&stage).await?];
    let rejected = accepted(&stage).await?;
    stage.status(&rejected, "rejected").await?;
    stage.hub_shows(&rejected, Some("disabled")).await?;
    let moved = installation
        .cli_with_input(&set, next.connection_string())
        .await?;
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);

    let (code, told) = command(&stage, &["device", "retry", "--all-in-other-hub"]).await?;
    assert_eq!((code, results(&told).len()), (Some(0), 2), "{told}");
    until(SOON, "both in the other hub", async || {
        let devices = next.devices().await?;
        let enabled = devices.iter().filter(|it| it["status"] == json!("enabled"));
        Ok((enabled.count() == 2).then_some(()))
    })
    .await?;
    for id in &ids {
        settled(&stage, id).await?;
        let (text, _) = stage.delivered(id).await?;
        assert!(
            text.is_some_and(|text| text.contains(next.hub())),
            "the new one's"
        );
    }
    assert_eq!(
        next.devices().await?.len(),
        2,
        "nothing for the one that was rejected"
    );
    let again = done(&stage, &["device", "retry", "--all-in-other-hub"]).await?;
    assert_eq!(results(&again), []);
    stage.dir.passed();
    Ok(())
}
