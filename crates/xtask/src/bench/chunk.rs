//! One heap of events, worked off by one process while the others rest.
//!
//! The process is frozen while the heap is made, so that publishing costs it nothing, and thawed when
//! the clock starts. A process that is not measured has no work, and so costs nothing either.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream;
use black_box::Process;

use super::{cpu, figure::number, load, settled::Settled, talk::Talk};

/// What a heap took.
#[derive(Debug, Clone, Default)]
pub(super) struct Took {
    pub(super) events: u64,
    pub(super) seconds: f64,
    /// Processor time of the process itself.
    pub(super) cpu: Duration,
}

impl Took {
    pub(super) fn per_second(&self) -> f64 {
        number(self.events) / self.seconds
    }

    /// Microseconds of processor time for an event.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / number(self.events.max(1))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.seconds += other.seconds;
        self.cpu += other.cpu;
    }
}

/// Publishes a body on each of these subjects while `process` is frozen, then lets it work.
pub(super) async fn work_off(
    context: &jetstream::Context,
    process: &mut Process,
    settled: &mut Settled,
    subjects: impl Iterator<Item = String>,
    body: &str,
    talk: &Talk,
) -> Result<Took> {
    process.freeze()?;
    let before = settled.count().await?;
    let mut events = 0;
    let counted = subjects.inspect(|_| events += 1);
    load::all(context, counted, body).await?;
    let cpu = cpu::used(process.id());
    process.thaw()?;
    let samples = settled.reach(before + events, talk).await?;
    process.must_run()?;
    Ok(Took {
        events,
        seconds: samples.last().map_or(0.0, |last| last.at.as_secs_f64()),
        cpu: cpu::used(process.id()).saturating_sub(cpu),
    })
}
