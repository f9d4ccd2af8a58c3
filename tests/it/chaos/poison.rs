//! A message that kills every process that takes it.
//!
//! Nothing in the worker dies of a message on purpose, so the harness does the killing: the hub holds
//! the message's request for long, and whenever a worker has sent it, that worker is killed.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::{AckKind, consumer::PullConsumer};
use black_box::{
    TestDir,
    chaos::{Sizes, Stage},
    ledger::Ledger,
    until,
};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// A delivery comes ten seconds after the one before it.
const SOON: Duration = Duration::from_secs(60);
/// Deliveries after which a message is given up.
const DELIVERIES: u64 = 5;

#[tokio::test]
async fn a_message_that_kills_the_process_ends_as_a_dead_letter_after_five_deliveries() -> Result<()>
{
    let dir = TestDir::new("poison")?;
    let sizes = Sizes {
        workers: 1,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir.path(), sizes).await?;
    let hold = json!({"name": "hold", "device": "poison", "delay_ms": 1_900});
    stage.hub.faults(&json!({"rules": [hold]})).await?;
    let context = stage.bus.jetstream().await?;
    let body = r#"{"status":"accepted","revision":1}"#;
    context
        .publish("iothub.event.=.poison", body.into())
        .await?
        .await?;
    let mut seen = 0;
    for _ in 1..=DELIVERIES {
        seen = until(SOON, "the message to be in work", async || {
            let journal = stage.hub.journal_since(seen).await?;
            let mut about = journal
                .iter()
                .filter(|it| it.device.as_deref() == Some("poison"));
            Ok(about.next_back().map(|it| it.seq))
        })
        .await?;
        stage.workers[0].kill9()?;
        stage.workers[0].start_again().await?;
    }
    let mut ledger = Ledger::open(context).await?;
    until(SOON, "the dead letter", async || {
        ledger.catch_up().await?;
        Ok((ledger.tally().dead == 1).then_some(()))
    })
    .await?;
    let listed = stage.installations[0]
        .cli(&["dlq", "list", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["class"], json!("poison"), "{listed}");
    // Replayed without the killing it is as good as any other message.
    stage.hub.faults(&json!({"rules": []})).await?;
    let number = listed[0]["sequence"].as_u64().map(|it| it.to_string());
    let replay = ["dlq", "replay", number.as_deref().unwrap_or_default()];
    assert_eq!(stage.installations[0].cli(&replay).await?.code, Some(0));
    until(SOON, "the replayed message to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.tally().applied == 1).then_some(()))
    })
    .await?;
    let devices = stage.hub.devices().await?;
    let enabled: Vec<&Value> = devices.iter().map(|it| &it["status"]).collect();
    assert_eq!(enabled, [&json!("enabled")]);
    drop(stage);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_message_terminated_by_hand_while_no_worker_runs_is_reported_at_the_next_start()
-> Result<()> {
    let dir = TestDir::new("terminated")?;
    let sizes = Sizes {
        workers: 1,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir.path(), sizes).await?;
    stage.workers[0].sigterm().await?;
    let context = stage.bus.jetstream().await?;
    let body = r#"{"status":"accepted","revision":1}"#;
    let sent = context.publish("iothub.event.=.taken", body.into()).await?;
    let sequence = sent.await?.sequence;
    let consumer: PullConsumer = context
        .get_consumer_from_stream("iothub-worker", "IOTHUB_EVENTS")
        .await
        .context("no consumer")?;
    let mut batch = consumer.fetch().max_messages(1).messages().await?;
    let message = batch.next().await.context("nothing to take")?;
    let message = message.map_err(|error| anyhow!("{error}"))?;
    let ended = message.double_ack_with(AckKind::Term).await;
    ended.map_err(|error| anyhow!("{error}"))?;
    stage.workers[0].start_again().await?;
    let listed = until(SOON, "the report", async || {
        let list = ["dlq", "list", "--output", "json"];
        let listed = stage.installations[0].cli(&list).await?.json()?;
        Ok((listed != json!([])).then_some(listed))
    })
    .await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["class"], json!("terminated"), "{listed}");
    let name = format!("IOTHUB_EVENTS-{sequence}");
    assert_eq!(listed[0]["event_id"], json!(name), "{listed}");
    drop(stage);
    dir.passed();
    Ok(())
}
