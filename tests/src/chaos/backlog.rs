//! A backlog: a hub that is away while events pile up for it, and is worked off when it is back.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::{Sizes, Stage};
use crate::{
    Way,
    emulator::JournalEntry,
    ledger::{Ledger, Tally},
    until,
};

/// Accepted, rejected, accepted, rejected, accepted.
const WORDS: usize = 5;
/// A slow machine reads and works off some fifty events a second.
const SLOWEST: f64 = 50.0;
/// And needs this much to begin with.
const LONG: Duration = Duration::from_secs(120);

/// What a backlog came to. Names are part of the interface.
#[derive(Debug, Serialize)]
pub struct Backlog {
    /// Events published, five for each device.
    pub events: u64,
    /// How they ended.
    pub outcomes: Tally,
    /// Until all events but the last of each device had ended, with the hub away.
    pub read_seconds: f64,
    /// From the return of the hub until every event had ended.
    pub drain_seconds: f64,
    /// The most memory that the worker had held when the hub came back.
    pub rss_bytes_away: Option<u64>,
    /// The most memory that it ever held.
    pub rss_bytes: Option<u64>,
    /// What is wrong.
    pub violations: Vec<String>,
}

/// Plays a backlog of `events`, rounded down to whole devices, in `dir`.
pub async fn play(events: usize, dir: &Path) -> Result<Backlog> {
    let devices = events / WORDS;
    ensure!(devices > 0, "a backlog needs {WORDS} events");
    let sizes = Sizes {
        workers: 1,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir, sizes).await?;
    stage.workers[0].sigterm().await?;
    let cap = patient(devices).as_millis().to_string();
    let installation = stage.installations[0].clone();
    let installation = installation.variable("MENDER_IOTHUB__RETRY__CAP_MS", &cap);
    stage.workers[0] = installation.start().await?;
    stage.hub_proxy.set(Way::Closed);
    let patience = LONG.mul_f64(1.0 + events_as_f64(events) / SLOWEST / LONG.as_secs_f64());
    let begin = Instant::now();
    publish(&stage, devices).await?;
    let mut ledger = Ledger::open(stage.bus.jetstream().await?).await?;
    let superseded = (devices * (WORDS - 1)) as u64;
    until(patience, "the backlog to be read", async || {
        ledger.catch_up().await?;
        Ok((ledger.ended() >= superseded).then_some(()))
    })
    .await?;
    let read = begin.elapsed();
    let away = stage.workers[0].rss_bytes();
    let early = stage.hub.journal().await?;
    stage.hub_proxy.set(Way::Open);
    let back = Instant::now();
    let all = (devices * WORDS) as u64;
    until(patience, "every event to end", async || {
        ledger.catch_up().await?;
        Ok((ledger.ended() >= all).then_some(()))
    })
    .await?;
    let drained = back.elapsed();
    let mut violations = accounts(&stage, &ledger, devices).await?;
    if early.iter().any(|it| it.effective) {
        violations.push("the hub was changed while it was away".to_owned());
    }
    Ok(Backlog {
        events: all,
        outcomes: ledger.tally(),
        read_seconds: read.as_secs_f64(),
        drain_seconds: drained.as_secs_f64(),
        rss_bytes_away: away,
        rss_bytes: stage.workers[0].rss_bytes(),
        violations,
    })
}

/// The longest wait between two attempts at a device: as in an outage, and so that no more than 400
/// devices try in a second, whatever their number.
fn patient(devices: usize) -> Duration {
    let ms = u64::try_from(devices * 5 / 2).unwrap_or(u64::MAX);
    Duration::from_millis(ms).max(Duration::from_secs(10))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate of seconds")]
const fn events_as_f64(events: usize) -> f64 {
    events as f64
}

async fn publish(stage: &Stage, devices: usize) -> Result<()> {
    let context = stage.bus.jetstream().await?;
    for revision in 1..=WORDS {
        let accepted = revision % 2 == 1;
        let status = if accepted { "accepted" } else { "rejected" };
        let body = format!(r#"{{"status":"{status}","revision":{revision}}}"#);
        let send = |device: usize| {
            let (context, body) = (context.clone(), body.clone());
            async move {
                let subject = format!("iothub.event.=.device-{device}");
                context.publish(subject, body.into()).await?.await?;
                anyhow::Ok(())
            }
        };
        let all = stream::iter(0..devices).map(send).buffer_unordered(256);
        let done = all.try_collect::<()>().await;
        done.context("failed to publish")?;
    }
    Ok(())
}

/// What does not add up: each event ended once, and of each device the hub heard the last word only.
async fn accounts(stage: &Stage, ledger: &Ledger, devices: usize) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let tally = ledger.tally();
    if tally.sum() != (devices * WORDS) as u64 || tally.dead > 0 || tally.ignored > 0 {
        wrong.push(format!("{tally:?} of {} events", devices * WORDS));
    }
    let journal = stage.hub.journal().await?;
    let of_identity = |it: &&JournalEntry| it.effective && it.path.starts_with("/devices/");
    let writes: Vec<&JournalEntry> = journal.iter().filter(of_identity).collect();
    let made = writes.iter().filter(|it| it.operation == "create").count();
    if (made, writes.len()) != (devices, devices) {
        let all = writes.len();
        wrong.push(format!(
            "{made} of {all} writes made one of {devices} devices"
        ));
    }
    let shown = stage.hub.devices().await?;
    let enabled = shown.iter().filter(|it| it["status"] == "enabled").count();
    if (enabled, shown.len()) != (devices, devices) {
        let all = shown.len();
        wrong.push(format!(
            "{enabled} of {all} identities are enabled, of {devices} devices"
        ));
    }
    Ok(wrong)
}
