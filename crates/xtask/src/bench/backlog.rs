//! `backlog`: events pile up for a hub that is down, and are worked off when it is back.
//!
//! Five events of each device: accepted, rejected, and so on; only the last one counts in the end. The
//! worker runs all the time, with its default times between attempts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use black_box::{Way, until};
use tokio::time::Instant;

use super::{
    Bench,
    figure::{Case, Measured, number},
    load,
    settled::{Sample, Settled},
    stage::{Plan, Stage},
};

const WORDS: u64 = 5;
const MOST_MIB: f64 = 100.0;
/// The slowest tenth of the drain beside the whole of it.
const FLAT: f64 = 0.8;
const PATIENCE: Duration = Duration::from_secs(3_600);

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let plan = Plan {
        proxy: true,
        hub: &["--journal-limit", "1000"],
        ..Plan::default()
    };
    let mut stage = Stage::set(bench.dir.path(), &plan).await?;
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    let devices = (bench.size / WORDS).max(1);
    let proxy = stage.proxy.as_ref().context("no proxy")?;
    proxy.set(Way::Closed);
    let begin = Instant::now();
    for word in 1..=WORDS {
        let status = if word % 2 == 1 {
            "accepted"
        } else {
            "rejected"
        };
        let body = format!(r#"{{"status":"{status}","revision":{word}}}"#);
        let subjects = (0..devices).map(|n| format!("iothub.event.=.device-{n}"));
        load::all(&stage.context, subjects, &body).await?;
        bench
            .talk
            .say(&format!("{} events published", word * devices));
    }
    let early = (WORDS - 1) * devices;
    until(PATIENCE, "the backlog to be read", async || {
        let ended = settled.count().await?;
        bench.talk.waiting("superseded meanwhile", ended, early);
        Ok((ended >= early).then_some(()))
    })
    .await?;
    let read = begin.elapsed().as_secs_f64();
    let away = mib(&stage);
    bench.talk.say("the hub comes back");
    if let Some(proxy) = &stage.proxy {
        proxy.set(Way::Open);
    }
    let samples = settled.reach(WORDS * devices, &bench.talk).await?;
    stage.workers[0].process().must_run()?;
    let most = mib(&stage);
    let rates = tenths(&samples, early, devices);
    let whole = rate(&samples, early);
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    ensure!(whole > 0.0, "nothing was drained");
    let mut memory = Case::new(
        format!("memory of the worker, {} events", WORDS * devices),
        most,
        "MiB at most",
        away,
        "before the hub came back",
    );
    memory.reached = Some(most < MOST_MIB);
    let drained = Case::new(
        "slowest tenth of the drain",
        slowest,
        "devices/s",
        whole,
        "the whole drain",
    );
    let list: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    Ok(Measured {
        cases: vec![memory, drained.at_least(FLAT)],
        notes: vec![format!(
            "read in {read:.0} s; devices a second, tenth by tenth: {}",
            list.join(" ")
        )],
    })
}

/// The most memory that the worker has held.
fn mib(stage: &Stage) -> f64 {
    let bytes = stage.workers[0].rss_bytes().unwrap_or_default();
    number(bytes) / 1024.0 / 1024.0
}

/// When so many had ended.
fn when(samples: &[Sample], ended: u64) -> f64 {
    let found = samples.iter().find(|sample| sample.ended >= ended);
    found.map_or(f64::NAN, |sample| sample.at.as_secs_f64())
}

fn rate(samples: &[Sample], from: u64) -> f64 {
    let last = samples.last().map_or(0, |last| last.ended);
    number(last.saturating_sub(from)) / when(samples, last)
}

fn tenths(samples: &[Sample], from: u64, devices: u64) -> Vec<f64> {
    let edge = |tenth: u64| when(samples, from + devices * tenth / 10);
    (0..10)
        .map(|tenth| number(devices) / 10.0 / (edge(tenth + 1) - edge(tenth)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_drain_has_ten_equal_tenths() {
        let at = |second: u64| Sample {
            at: Duration::from_secs(second),
            ended: 400 + second,
        };
        let samples: Vec<Sample> = (0..=100).map(at).collect();
        assert!(
            tenths(&samples, 400, 100)
                .iter()
                .all(|rate| (rate - 1.0).abs() < 0.001)
        );
        assert!((rate(&samples, 400) - 1.0).abs() < 0.001);
    }
}
