//! Chaos: real processes, a fleet that never rests, and faults by a seeded plan, judged at rest by
//! the oracle ([`crate::oracle`]).
//!
//! An episode is one [`Plan`] on one [`Stage`]: everything is new for it, so its seed alone tells
//! what is done to whom. What comes of that depends on the machine's timing as well; a plan replays
//! the same faults in the same order, not the same instants.

pub mod backlog;
mod calls;
mod crowd;
mod faults;
mod perform;
mod plan;
mod rest;
mod secrets;
mod stage;
pub mod storm;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

pub use crowd::Crowd;
pub use faults::Trouble;
pub use perform::Performance;
pub use plan::{Act, Plan, Rng};
pub use rest::scene;
pub use stage::{LEASE, Sizes, Stage};
pub use storm::Storm;

use crate::oracle::{self, Verdict};

/// What an episode came to.
#[derive(Debug, Default, Serialize)]
pub struct Episode {
    /// Decides the plan.
    pub seed: u64,
    /// Workers at once.
    pub workers: usize,
    /// Whether NATS was a cluster of three.
    pub cluster: bool,
    /// SIGKILLs of a worker.
    pub worker_kills: u64,
    /// SIGKILLs of a nats-server.
    pub nats_kills: u64,
    /// Streams and consumers that had another leader after theirs had to step down.
    pub leaders_changed: u64,
    /// Times that a worker was frozen beyond its ack wait and its lease.
    pub freezes: u64,
    /// Faults of any kind.
    pub faults: u64,
    /// Messages that Mender's stream has held: one event each.
    pub events: u64,
    /// Requests that the hub got.
    pub hub_requests: u64,
    /// Of those, the ones that a rule of the emulator spoilt.
    pub hub_faults: u64,
    /// The most memory that any life of any worker held.
    pub worker_peak_rss_bytes: Option<u64>,
    /// Dead letters that were replayed before judging: messages that many deaths were taken for poison.
    pub replayed: u64,
    /// From the start of a worker to its being ready, in a storm.
    pub mean_start_ms: Option<u64>,
    /// How long it took.
    pub seconds: f64,
    /// What does not hold.
    pub verdict: Verdict,
}

impl Episode {
    /// Whether everything holds.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.verdict.violations.is_empty()
    }
}

/// Plays a plan in `dir`, waits for rest, and judges. Evidence stays in `dir` if something does not
/// hold.
pub async fn play(plan: &Plan, dir: &Path) -> Result<Episode> {
    let begin = std::time::Instant::now();
    let mut stage = Stage::set(dir, plan.sizes()).await?;
    let mut crowd = Crowd::gather(&stage, plan.devices, plan.seed).await?;
    let mut performance = Performance::default();
    performance.act_all(&mut stage, &mut crowd, plan).await?;
    let mut episode = judge(&mut stage, &crowd, &mut performance, dir).await?;
    episode.seed = plan.seed;
    episode.workers = plan.workers;
    episode.cluster = plan.cluster;
    episode.seconds = begin.elapsed().as_secs_f64();
    Ok(episode)
}

/// Waits for rest and judges; what it needs to be understood stays in `dir` if something does not hold.
async fn judge(
    stage: &mut Stage,
    crowd: &Crowd,
    performance: &mut Performance,
    dir: &Path,
) -> Result<Episode> {
    let scene = rest::scene(stage, crowd, performance).await?;
    let verdict = oracle::judge(&scene);
    if !verdict.violations.is_empty() {
        rest::save(dir, &scene, &verdict)?;
    }
    let faulty = scene.journal.iter().filter(|entry| entry.fault.is_some());
    Ok(Episode {
        worker_kills: performance.worker_kills,
        nats_kills: performance.nats_kills,
        leaders_changed: performance.leaders_changed,
        freezes: performance.freezes,
        faults: performance.faults,
        events: scene.stored,
        hub_requests: scene.journal.len() as u64,
        hub_faults: faulty.count() as u64,
        worker_peak_rss_bytes: performance.peak,
        verdict,
        ..Episode::default()
    })
}
