//! The end of an episode: everything is healed, everything comes to rest, and all that the oracle
//! wants to know is collected.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::time::sleep;

use super::{Crowd, LEASE, Performance, Stage, perform::deviceconfig, secrets::Secrets};
use crate::evidence::{bytes_of, identities, truth};
use crate::ledger::{Ended, Ledger, Reader};
use crate::oracle::{Letter, Scene, Verdict};
use crate::{Way, until};

/// Redelivery takes ten seconds, and some messages are delivered several times; a tenant whose key
/// was refused is asked again after a minute.
const REST: Duration = Duration::from_secs(150);
/// Beyond the lease, before the hub is looked at again.
const MARGIN: Duration = Duration::from_secs(2);

/// Heals everything, waits for rest, and collects the evidence.
pub async fn scene(
    stage: &mut Stage,
    crowd: &Crowd,
    performance: &mut Performance,
) -> Result<Scene> {
    heal(stage).await?;
    let mut secrets = Secrets::default();
    secrets.collect(stage).await?;
    let calls = &performance.calls;
    let quiet = come_to_rest(stage, calls.called.events).await;
    let mut histories = crowd.histories.clone();
    histories.extend(calls.histories.clone());
    let called = calls.called;
    performance.note_memory(stage);
    for worker in &mut stage.workers {
        worker.process().must_run()?;
    }
    secrets.collect(stage).await?;
    let mut foreign = crowd.foreign.clone();
    let hub = identities(&stage.hub).await?;
    sleep(LEASE + MARGIN).await;
    for stranger in &mut foreign {
        stranger.after = bytes_of(&stage.hub, &stranger.id).await?;
    }
    let (mender, published) = truth(&stage.mender).await?;
    Ok(Scene {
        histories,
        mender,
        hub,
        hub_later: identities(&stage.hub).await?,
        foreign,
        journal: stage.hub.journal().await?,
        outcomes: outcomes(stage).await?,
        letters: letters(stage).await?,
        excused: Vec::new(),
        stored: stored(stage).await?,
        called,
        published,
        leaks: secrets.leaks(stage).await?,
        unrest: quiet.err().map(|unrest| format!("{unrest:#}")),
    })
}

/// Ends everything that was done to the servers.
pub(super) async fn heal(stage: &mut Stage) -> Result<()> {
    stage.hub.faults(&json!({"rules": []})).await?;
    deviceconfig(stage, &serde_json::Value::Null).await?;
    stage.hub_proxy.set(Way::Open);
    for worker in 0..stage.workers.len() {
        if let Ok(proxy) = stage.bus.proxy(worker) {
            proxy.set(Way::Open);
        }
    }
    Ok(())
}

/// Waits until every event has ended, also those that were told by HTTP, and no message waits or is in
/// anybody's hands.
pub(super) async fn come_to_rest(stage: &Stage, called: u64) -> Result<()> {
    let mut ledger = Ledger::open(stage.bus.jetstream().await?).await?;
    until(REST, "rest", async || {
        ledger.catch_up().await?;
        let waiting = ledger.waiting().await?;
        let (ended, stored) = (ledger.ended(), stored(stage).await? + called);
        let busy: u64 = waiting.iter().map(|(_, count)| *count).sum();
        if ended < stored || busy > 0 {
            anyhow::bail!("{ended} of {stored} events ended, {waiting:?}");
        }
        Ok(Some(()))
    })
    .await
}

/// Waits for rest and replays what was taken for poison, since many workers died with it in their
/// hands; returns how many dead letters those were.
pub(super) async fn replay_poison(stage: &Stage) -> Result<u64> {
    come_to_rest(stage, 0).await?;
    let found = letters(stage).await?;
    let poison = found.iter().filter(|it| it.class == "poison").count() as u64;
    if poison == 0 {
        return Ok(0);
    }
    let replay = ["dlq", "replay", "--all", "--yes"];
    let done = stage.installations[0].cli(&replay).await?;
    anyhow::ensure!(done.code == Some(0), "{replay:?}: {}", done.stderr);
    let mut ledger = Ledger::open(stage.bus.jetstream().await?).await?;
    until(REST, "the replayed events to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.tally().dead == 0).then_some(()))
    })
    .await?;
    Ok(poison)
}

/// How many messages Mender's stream has ever held, by its own count.
pub(super) async fn stored(stage: &Stage) -> Result<u64> {
    let context = stage.bus.jetstream().await?;
    let mut stream = context.get_stream("WORKFLOWS").await?;
    Ok(stream.info().await?.state.last_sequence)
}

async fn outcomes(stage: &Stage) -> Result<Vec<(String, crate::ledger::Outcome)>> {
    let context = stage.bus.jetstream().await?;
    let mut reader = Reader::open(&context, "IOTHUB_OUTCOMES").await?;
    let read = |body: &[u8]| serde_json::from_slice::<Ended>(body).context("not an outcome");
    let messages = reader.rest().await?.into_iter();
    messages
        .filter(crate::ledger::is_outcome)
        .map(|message| read(&message.payload).map(|it| (it.event_id, it.outcome)))
        .collect()
}

async fn letters(stage: &Stage) -> Result<Vec<Letter>> {
    let context = stage.bus.jetstream().await?;
    let mut reader = Reader::open(&context, "IOTHUB_DLQ").await?;
    let messages = reader.rest().await?.into_iter();
    let letter = |message: async_nats::jetstream::Message| {
        let header = |name: &str| {
            let value = message.headers.as_ref()?.get(name)?;
            Some(value.as_str().to_owned())
        };
        Some(Letter {
            event_id: header("Iothub-Dlq-Event-Id")?,
            class: header("Iothub-Dlq-Class")?,
        })
    };
    let letters: Option<Vec<Letter>> = messages.map(letter).collect();
    letters.context("a dead letter does not say what it is")
}

/// Saves what is needed to understand a violation after the processes have gone.
pub(super) fn save(dir: &Path, scene: &Scene, verdict: &Verdict) -> Result<()> {
    let lines = |values: Vec<String>| values.join("\n");
    let journal = scene.journal.iter().map(serde_json::to_string);
    let journal: Vec<String> = journal.collect::<Result<_, _>>()?;
    let outcomes = scene.outcomes.iter().map(|it| format!("{it:?}")).collect();
    let histories = scene.histories.iter().map(|it| format!("{it:?}")).collect();
    fs::write(dir.join("journal.ndjson"), lines(journal))?;
    fs::write(dir.join("outcomes.txt"), lines(outcomes))?;
    fs::write(dir.join("histories.txt"), lines(histories))?;
    fs::write(
        dir.join("verdict.json"),
        serde_json::to_vec_pretty(verdict)?,
    )?;
    Ok(())
}
