//! A storm: SIGKILLs of workers and of the nats-server far denser than those of a plan, several under
//! way at once, and never a worker that lives for long.
//!
//! A plan's acts come one by one, so that a log can be understood. What that cannot show is what many
//! deaths at once come to: messages delivered for the fifth time, records that three workers have
//! begun, a server that restores its files while everybody asks for them. Here each worker dies for
//! itself, again and again, while the hub goes wrong and the server dies as well.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::{sync::watch, time::sleep};

use super::{Crowd, Episode, Performance, Rng, Sizes, Stage, Trouble, stage::Bus};
use crate::{Emulator, NatsServer, Worker, chaos::rest};

/// Between two changes of the fleet.
const BEAT: Duration = Duration::from_millis(30);
/// However late a worker was to start, it gets this long to do something.
const LEAST: Duration = Duration::from_millis(100);
/// One in so many kills strikes a worker that has only just begun to start.
const EARLY: usize = 8;
/// The hub changes its manners with every so-manieth kill of the server.
const MANNERS: u64 = 5;
/// How often the storm is heard of.
const WORD: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone, Serialize)]
pub struct Storm {
    /// Decides who dies when, and what the fleet does.
    pub seed: u64,
    /// Workers at once.
    pub workers: usize,
    /// Devices in the fleet.
    pub devices: usize,
    /// SIGKILLs of workers, in all.
    pub worker_kills: u64,
    /// SIGKILLs of the nats-server.
    pub nats_kills: u64,
    /// SIGKILLs of workers that are aimed at in a minute. A busy machine comes to fewer, since each
    /// worker gets the time to do something.
    pub kills_per_minute: u64,
}

/// How far it has come.
#[derive(Debug, Default)]
struct Toll {
    workers: AtomicU64,
    servers: AtomicU64,
    starts: AtomicU64,
    start_ms: AtomicU64,
    peak: AtomicU64,
}

impl Storm {
    /// The storm of a seed: two to four workers, ten of their deaths for each of the server.
    #[must_use]
    pub fn of_seed(seed: u64, worker_kills: u64, kills_per_minute: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            seed,
            workers: 2 + rng.below(3),
            devices: 100 + 50 * rng.below(5),
            worker_kills,
            nats_kills: worker_kills / 10,
            kills_per_minute,
        }
    }

    /// From the start of one worker to that of the next in its place.
    fn cycle(&self) -> Duration {
        let workers = u32::try_from(self.workers).unwrap_or(1);
        self.beat() * workers
    }

    /// From one death of a worker to the next of any.
    fn beat(&self) -> Duration {
        Duration::from_secs(60) / u32::try_from(self.kills_per_minute.max(1)).unwrap_or(u32::MAX)
    }
}

/// Plays a storm in `dir`, waits for rest, and judges; `hear` is told how it goes.
pub async fn play(storm: &Storm, dir: &Path, hear: impl Fn(String)) -> Result<Episode> {
    ensure!(storm.workers > 0, "a storm needs a worker");
    let begin = Instant::now();
    let sizes = Sizes {
        workers: storm.workers,
        ..Sizes::default()
    };
    let mut stage = Stage::set(dir, sizes).await?;
    let mut crowd = Crowd::gather(&stage, storm.devices, storm.seed).await?;
    crowd.accept_strangers().await?;
    let toll = Toll::default();
    rage(storm, &mut stage, &mut crowd, &toll, &hear).await?;
    let raged = begin.elapsed();
    hear(format!(
        "over after {:.0} s; coming to rest",
        raged.as_secs_f64()
    ));
    let mut performance = toll.sum();
    rest::heal(&mut stage).await?;
    let replayed = rest::replay_poison(&stage).await?;
    let mut episode = super::judge(&mut stage, &crowd, &mut performance, dir).await?;
    episode.seed = storm.seed;
    episode.workers = storm.workers;
    episode.replayed = replayed;
    episode.mean_start_ms = toll.mean_start_ms();
    episode.seconds = begin.elapsed().as_secs_f64();
    Ok(episode)
}

impl Toll {
    fn sum(&self) -> Performance {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Performance {
            worker_kills: read(&self.workers),
            nats_kills: read(&self.servers),
            faults: read(&self.workers) + read(&self.servers),
            peak: Some(read(&self.peak)).filter(|peak| *peak > 0),
            ..Performance::default()
        }
    }

    fn mean_start_ms(&self) -> Option<u64> {
        let (starts, ms) = (&self.starts, &self.start_ms);
        ms.load(Ordering::Relaxed)
            .checked_div(starts.load(Ordering::Relaxed))
    }

    fn started(&self, begin: Instant) {
        let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.start_ms.fetch_add(ms, Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }
}

async fn rage(
    storm: &Storm,
    stage: &mut Stage,
    crowd: &mut Crowd,
    toll: &Toll,
    hear: &impl Fn(String),
) -> Result<()> {
    let Stage {
        workers, bus, hub, ..
    } = stage;
    let Bus::Single(server, _) = bus else {
        bail!("a storm is for one server");
    };
    let mut rng = Rng::new(storm.seed.rotate_left(32));
    let ordered = AtomicU64::new(storm.worker_kills);
    let mut deaths = Vec::new();
    for worker in workers {
        deaths.push(die(
            worker,
            Rng::new(rng.below(usize::MAX) as u64),
            storm,
            &ordered,
            toll,
        ));
    }
    let over = watch::Sender::new(false);
    let dying = async {
        let done = tokio::try_join!(
            try_join_all(deaths),
            kill_servers(storm, server, hub, &mut rng, toll)
        );
        over.send_replace(true);
        done.map(drop)
    };
    let living = async {
        let mut heard = Instant::now();
        while !*over.borrow() {
            crowd.stir().await?;
            if heard.elapsed() >= WORD {
                heard = Instant::now();
                hear(word(storm, toll));
            }
            sleep(BEAT).await;
        }
        Ok(())
    };
    let (died, lived) = tokio::join!(dying, living);
    died.and(lived)
}

fn word(storm: &Storm, toll: &Toll) -> String {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    format!(
        "{} of {} workers and {} of {} servers killed; a start takes {} ms",
        read(&toll.workers),
        storm.worker_kills,
        read(&toll.servers),
        storm.nats_kills,
        toll.mean_start_ms().unwrap_or_default(),
    )
}

/// One worker's lives and deaths, for as long as deaths are ordered.
async fn die(
    worker: &mut Worker,
    mut rng: Rng,
    storm: &Storm,
    ordered: &AtomicU64,
    toll: &Toll,
) -> Result<()> {
    let mut begin = Instant::now();
    loop {
        let cycle = about(storm.cycle(), &mut rng);
        sleep(cycle.saturating_sub(begin.elapsed()).max(LEAST)).await;
        if !take_one(ordered) {
            return Ok(());
        }
        strike(worker, toll)?;
        begin = Instant::now();
        if rng.below(EARLY) == 0 && take_one(ordered) {
            worker.start_again_unready().await?;
            strike(worker, toll)?;
            begin = Instant::now();
        }
        worker.start_again().await?;
        toll.started(begin);
    }
}

fn take_one(ordered: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    ordered
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

fn strike(worker: &mut Worker, toll: &Toll) -> Result<()> {
    let held = worker.rss_bytes().unwrap_or_default();
    toll.peak.fetch_max(held, Ordering::Relaxed);
    worker.kill9()?;
    toll.workers.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// The server's deaths, and the hub's moods.
async fn kill_servers(
    storm: &Storm,
    server: &mut NatsServer,
    hub: &Emulator,
    rng: &mut Rng,
    toll: &Toll,
) -> Result<()> {
    for kill in 0..storm.nats_kills {
        if kill % MANNERS == 0 {
            let trouble = Trouble::ALL[rng.below(Trouble::ALL.len())];
            hub.faults(&trouble.program()).await?;
        }
        sleep(about(storm.beat() * 10, rng)).await;
        server.process().kill9()?;
        sleep(Duration::from_millis(rng.below(300) as u64)).await;
        let back = server.restart().await;
        back.context("the server does not come back")?;
        toll.servers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Between half of it and half as much again.
fn about(mean: Duration, rng: &mut Rng) -> Duration {
    let thousandths = u32::try_from(500 + rng.below(1_000)).unwrap_or(1_000);
    mean * thousandths / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_has_ten_workers_die_for_each_server_and_keeps_its_pace() {
        let storm = Storm::of_seed(3, 250, 150);
        assert_eq!((storm.worker_kills, storm.nats_kills), (250, 25));
        assert!((2..=4).contains(&storm.workers));
        assert_eq!(storm.beat(), Duration::from_millis(400));
        let mut rng = Rng::new(1);
        for _ in 0..100 {
            let drawn = about(storm.beat(), &mut rng);
            assert!((200..600).contains(&drawn.as_millis()), "{drawn:?}");
        }
    }

    #[test]
    fn no_more_deaths_are_taken_than_were_ordered() {
        let ordered = AtomicU64::new(2);
        let taken = (0..5).filter(|_| take_one(&ordered)).count();
        assert_eq!(taken, 2);
    }
}
