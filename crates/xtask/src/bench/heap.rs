//! A heap of events for several workers: frozen while it is made, thawed together.

use anyhow::{Context as _, Result};

use super::{chunk::Took, cpu, load, settled::Settled, stage::Stage, talk::Talk};

/// An accept of a device that was never seen before.
pub(super) const ACCEPTED: &str =
    r#"{"status":"accepted","revision":1,"created_ts":"2026-01-02T03:04:05Z"}"#;
/// Its decommission.
pub(super) const DECOMMISSIONED: &str =
    r#"{"status":"decommissioned","revision":2,"created_ts":"2026-01-02T03:04:05Z"}"#;

/// Publishes a body on each of these subjects while the workers are frozen, then lets them work.
pub(super) async fn work_off_by_all(
    stage: &mut Stage,
    settled: &mut Settled,
    subjects: impl Iterator<Item = String>,
    body: &str,
    talk: &Talk,
) -> Result<Took> {
    for worker in &mut stage.workers {
        worker.process().freeze()?;
    }
    let before = settled.count().await?;
    let mut events = 0;
    let counted = subjects.inspect(|_| events += 1);
    load::all(&stage.context, counted, body).await?;
    let ids: Vec<u32> = stage
        .workers
        .iter_mut()
        .map(|worker| worker.process().id())
        .collect();
    let used = || {
        ids.iter()
            .map(|id| cpu::used(*id))
            .sum::<std::time::Duration>()
    };
    let cpu = used();
    for worker in &mut stage.workers {
        worker.process().thaw()?;
    }
    let samples = settled.reach(before + events, talk).await?;
    for worker in &mut stage.workers {
        worker.process().must_run()?;
    }
    let last = samples.last().context("nothing was looked at")?;
    Ok(Took {
        events,
        seconds: last.at.as_secs_f64(),
        cpu: used().saturating_sub(cpu),
    })
}
