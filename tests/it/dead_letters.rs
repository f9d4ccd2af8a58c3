//! Dead letters as an operator meets them: found, counted, replayed and removed.

use std::fs;

use anyhow::{Result, ensure};
use black_box::until;
use serde_json::{Value, json};

use crate::stage::{SOON, Stage};

const REPLAY: &str = "iothub.ops.dlq.replay";

/// A command that must succeed, and its JSON.
async fn told(stage: &Stage, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--output", "json"]].concat();
    stage.worker.cli(&arguments).await?.json()
}

fn numbers(letters: &Value) -> Vec<u64> {
    let letters = letters.as_array().into_iter().flatten();
    letters.filter_map(|it| it["sequence"].as_u64()).collect()
}

/// `d1` and `d2`, which the hub refuses, and a message that nobody understands.
async fn three_letters(stage: &Stage) -> Result<()> {
    let refuse = json!({"rules": [{"name": "refuse", "method": "PUT", "path": "/devices/*",
        "effect": "before", "status": 400, "error": "ArgumentInvalid"}]});
    stage.hub.faults(&refuse).await?;
    for (number, (tail, body)) in [
        ("=.d1", r#"{"status":"accepted","revision":1}"#),
        ("=.d2", r#"{"status":"accepted","revision":1}"#),
        ("=.d3", "{"),
    ]
    .into_iter()
    .enumerate()
    {
        // One after the other: their numbers are known then.
        stage.publish(tail, body).await?;
        stage.dead_letters(number + 1).await?;
    }
    stage.tally(3).await?;
    Ok(())
}

#[tokio::test]
async fn letters_are_found_by_class_reason_and_time_in_pages_and_counted() -> Result<()> {
    let stage = Stage::new("dlq-find").await?;
    three_letters(&stage).await?;
    for (arguments, expected) in [
        (&[][..], &[3, 2, 1][..]),
        (&["--class", "malformed"], &[3]),
        (&["--class", "permanent", "--device", "d2"], &[2]),
        (&["--reason", "ARGUMENTINVALID"], &[2, 1]),
        (&["--since", "1h"], &[3, 2, 1]),
        (&["--until", "1h"], &[]),
        (&["--since", "2020-01-01T00:00:00Z"], &[3, 2, 1]),
        (&["--limit", "2"], &[3, 2]),
        (&["--limit", "2", "--before", "2"], &[1]),
        (&["--tenant", "nobody"], &[]),
    ] {
        let listed = told(&stage, &[&["dlq", "list"], arguments].concat()).await?;
        assert_eq!(numbers(&listed), expected, "{arguments:?}: {listed}");
    }
    let page = stage.worker.cli(&["dlq", "list", "--limit", "1"]).await?;
    assert!(page.stdout.contains("--before 3"), "{}", page.stdout);
    let counts = told(&stage, &["dlq", "list", "--counts"]).await?;
    assert_eq!(counts["total"], json!(3), "{counts}");
    assert_eq!(counts["by_reason"][0]["count"], json!(2), "{counts}");
    let raw = stage.worker.cli(&["dlq", "show", "3", "--raw"]).await?;
    assert_eq!(raw.stdout, "{");
    for wrong in [
        &["dlq", "list", "--since", "yesterday"][..],
        &["dlq", "replay"],
        &["dlq", "replay", "1", "--class", "malformed"],
        &["dlq", "replay", "1", "--rate", "0"],
    ] {
        assert_eq!(stage.worker.cli(wrong).await?.code, Some(2), "{wrong:?}");
    }
    let purge = ["dlq", "purge", "--class", "malformed"];
    assert_eq!(told(&stage, &purge).await?, json!({"would_remove": 1}));
    let purge = [&purge[..], &["--yes"]].concat();
    assert_eq!(told(&stage, &purge).await?, json!({"removed": 1}));
    assert_eq!(numbers(&told(&stage, &["dlq", "list"]).await?), [2, 1]);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_replay_says_what_became_of_each_letter() -> Result<()> {
    let stage = Stage::new("dlq-replay").await?;
    three_letters(&stage).await?;
    let shown = told(&stage, &["dlq", "replay", "--class", "permanent"]).await?;
    assert_eq!(shown, json!({"would_replay": [1, 2]}));

    // The cause is still there.
    let died = stage.worker.cli(&["dlq", "replay", "1"]).await?;
    assert!(
        died.stdout.starts_with("1: published again; dead again: "),
        "{died:?}"
    );

    // Something newer happens to d2; then the cause is gone.
    stage
        .publish("=.d2", r#"{"status":"rejected","revision":2}"#)
        .await?;
    stage.tally(4).await?;
    stage.hub.faults(&json!({"rules": []})).await?;
    let all = ["dlq", "replay", "--all", "--yes", "--output", "json"];
    let done = stage.worker.cli(&all).await?;
    assert_eq!(done.code, Some(1), "one is kept: {}", done.stderr);
    let reply: Value = serde_json::from_str(&done.stdout)?;
    let became: Vec<_> = reply["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| {
            let outcome = &it["outcomes"][0]["outcome"];
            (it["device"].clone(), it["result"].clone(), outcome.clone())
        })
        .collect();
    let expected = [
        (json!("d2"), json!("published"), json!("superseded")),
        (json!("d3"), json!("malformed"), Value::Null),
        (json!("d1"), json!("published"), json!("applied")),
    ];
    assert_eq!(became, expected, "{reply}");
    assert_eq!((&reply["matched"], &reply["left"]), (&json!(3), &json!(0)));
    stage.hub_shows("d1", Some("enabled")).await?;
    assert_eq!(numbers(&told(&stage, &["dlq", "list"]).await?), [3]);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_replay_for_a_tenant_whose_integration_is_gone_is_ignored_and_asks_no_hub() -> Result<()>
{
    let stage = Stage::new("dlq-no-tenant").await?;
    three_letters(&stage).await?;
    let remove = ["integration", "remove", "--force"];
    let removed = stage.worker.cli(&remove).await?;
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    stage.hub.faults(&json!({"rules": []})).await?;
    let before = stage.hub.journal().await?.len();
    let replayed = told(&stage, &["dlq", "replay", "1", "2", "--yes"]).await?;
    let became: Vec<_> = replayed["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| it["outcomes"][0]["outcome"].clone())
        .collect();
    assert_eq!(became, [json!("ignored"), json!("ignored")], "{replayed}");
    assert_eq!(stage.hub.journal().await?.len(), before);
    assert_eq!(numbers(&told(&stage, &["dlq", "list"]).await?), [3]);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn one_replay_runs_at_a_time_and_an_interrupted_one_says_what_was_done() -> Result<()> {
    let stage = Stage::new("dlq-turn").await?;
    three_letters(&stage).await?;
    stage.hub.faults(&json!({"rules": []})).await?;
    // So many that the first replay is still at them when the others come.
    for number in 0..40 {
        stage.publish(&format!("=.x{number}"), "{").await?;
    }
    stage.dead_letters(43).await?;
    let slow = ["dlq", "replay", "--all", "--yes", "--rate", "1"];
    let mut slow = stage
        .worker
        .installation()
        .start_command("slow-replay", &slow)?;
    // It tells how far it is, so it has the turn.
    until(SOON, "the replay to be at work", async || {
        let told = fs::read_to_string(slow.log())?;
        Ok(told.contains("replayed ").then_some(()))
    })
    .await?;
    let refused = stage.worker.cli(&["dlq", "replay", "3"]).await?;
    assert_eq!(refused.code, Some(1));
    let who = format!("process {}", slow.id());
    assert!(refused.stderr.contains(&who), "{}", refused.stderr);

    // By request, too.
    let client = stage.nats.client().await?;
    let ask = async |body: &str| client.request(REPLAY, body.to_owned().into()).await;
    let code = |reply: &async_nats::Message| {
        let headers = reply.headers.as_ref()?;
        Some(headers.get("Nats-Service-Error-Code")?.to_string())
    };
    let busy = ask(r#"{"sequences":[3]}"#).await?;
    assert_eq!(code(&busy).as_deref(), Some("409"), "{busy:?}");
    for (body, expected) in [("{}", "400"), (r#"{"filter":{"tenent":""}}"#, "400")] {
        let reply = ask(body).await?;
        assert_eq!(code(&reply).as_deref(), Some(expected), "{reply:?}");
    }
    let looked = ask(r#"{"filter":{"class":"malformed"}}"#).await?;
    let looked: Value = serde_json::from_slice(&looked.payload)?;
    assert_eq!(looked["entries"][0]["result"], "would_replay", "{looked}");

    let status = slow.interrupt(SOON).await?;
    let said = fs::read_to_string(slow.log())?;
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(said.contains("stopped after"), "{said}");

    // The turn is free at once, and the worker does the same work.
    let rest = ask(r#"{"filter":{},"dry_run":false,"wait_s":5}"#).await?;
    let rest: Value = serde_json::from_slice(&rest.payload)?;
    let last = rest["entries"].as_array().and_then(|it| it.last());
    assert_eq!(
        last.map(|it| &it["result"]),
        Some(&json!("malformed")),
        "{rest}"
    );
    for device in ["d1", "d2"] {
        stage.hub_shows(device, Some("enabled")).await?;
    }
    stage.dir.passed();
    Ok(())
}
