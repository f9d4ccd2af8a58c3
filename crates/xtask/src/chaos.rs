//! `cargo xtask chaos`: episodes of chaos, one seed after the other, for as long as wanted.
//!
//! The play is the harness's own, so that what is found here can become a test there. This only
//! counts: each episode's plan is printed before it begins, and a seed plays the same plan again.

use std::time::{Duration, Instant};

use anyhow::Result;
use black_box::{
    TestDir,
    chaos::{self, Episode, Plan, Storm, backlog, storm},
};
use serde::Serialize;

use crate::{
    Output,
    demo::{Store, equip, unless_interrupted},
};

/// Kills, freezes and cuts off real processes by a seeded plan, and judges what came of it.
///
/// An episode takes one to three minutes: nats-server (one, or a cluster of three), hub emulator,
/// Mender simulator and one to four workers, a fleet that never rests, and 14 faults. With `--profile
/// storm` it is 250 SIGKILLs of workers and 25 of nats-server instead, and takes about two minutes.
///
/// Ctrl-C ends it after the episodes that were completed, and still prints the result. Exit code: 0
/// everything held, 1 something did not (its folder is kept) or it was interrupted, 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// No episode begins after so many minutes.
    #[arg(long, value_name = "N", default_value_t = 5)]
    minutes: u64,
    /// What an episode is made of.
    #[arg(long, value_enum, default_value_t = Profile::Plan)]
    profile: Profile,
    /// No episode begins after so many SIGKILLs of workers in all.
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// SIGKILLs of workers in a minute that a storm aims at; a tenth as many of nats-server.
    #[arg(long, value_name = "N", default_value_t = 160, value_parser = clap::value_parser!(u64).range(1..=6000))]
    kills_per_minute: u64,
    /// Events of the backlog, five for each device.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(5..=1_000_000))]
    events: u64,
    /// Seed of the first episode; each further one has the next seed.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What an episode is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// Faults of every kind, one after the other.
    Plan,
    /// Kills, as dense as the machine allows.
    Storm,
    /// One backlog of events for a hub that is away, however long that takes.
    Backlog,
}

/// SIGKILLs of workers in one storm.
const STORM: u64 = 250;

/// What all episodes came to. Names are part of the interface.
#[derive(Debug, Default, Serialize)]
struct Sum {
    first_seed: u64,
    episodes: u64,
    worker_kills: u64,
    nats_kills: u64,
    freezes: u64,
    faults: u64,
    events: u64,
    hub_requests: u64,
    hub_faults: u64,
    worker_peak_rss_bytes: Option<u64>,
    /// Dead letters that storms replayed before they were judged.
    replayed: u64,
    violations: u64,
    /// Seeds of episodes in which something did not hold, or that could not be played to their end.
    failed_seeds: Vec<u64>,
    /// Ctrl-C or SIGTERM came; the episode under way is not counted.
    interrupted: bool,
    seconds: f64,
}

impl Sum {
    fn add(&mut self, episode: &Episode) {
        self.worker_kills += episode.worker_kills;
        self.nats_kills += episode.nats_kills;
        self.freezes += episode.freezes;
        self.faults += episode.faults;
        self.events += episode.events;
        self.hub_requests += episode.hub_requests;
        self.hub_faults += episode.hub_faults;
        let peak = episode.worker_peak_rss_bytes;
        self.worker_peak_rss_bytes = self.worker_peak_rss_bytes.max(peak);
        self.replayed += episode.replayed;
        self.violations += episode.verdict.violations.len() as u64;
        if !episode.is_right() {
            self.failed_seeds.push(episode.seed);
        }
    }
}

/// Runs episodes; `Ok(false)` when something did not hold.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        unless_interrupted(equip(Store::Jetstream)).await??;
        if args.profile == Profile::Backlog {
            return unless_interrupted(Box::pin(pile_up(args))).await?;
        }
        let sum = Box::pin(perform(args)).await?;
        match args.output {
            Output::Text => println!("{}", text(&sum)),
            Output::Json => println!("{}", serde_json::to_string(&sum)?),
        }
        Ok(sum.failed_seeds.is_empty() && !sum.interrupted)
    })
}

async fn perform(args: &Args) -> Result<Sum> {
    let begin = Instant::now();
    let mut sum = Sum {
        first_seed: args.seed,
        ..Sum::default()
    };
    let end = Duration::from_secs(args.minutes * 60);
    let enough = |sum: &Sum| args.kills.is_some_and(|kills| sum.worker_kills >= kills);
    while begin.elapsed() < end && !enough(&sum) {
        let seed = args.seed + sum.episodes;
        let dir = TestDir::new("chaos")?;
        // One episode that cannot be played to its end is no reason to end the others.
        match unless_interrupted(play(args, seed, &dir)).await {
            Ok(Ok(episode)) => {
                eprintln!("{}", serde_json::to_string(&episode)?);
                sum.add(&episode);
                if episode.is_right() {
                    dir.passed();
                }
            }
            Ok(Err(error)) => {
                eprintln!("seed {seed}: {error:#}");
                sum.failed_seeds.push(seed);
            }
            Err(interrupted) => {
                eprintln!("seed {seed}: {interrupted:#}");
                dir.passed();
                sum.interrupted = true;
                break;
            }
        }
        sum.episodes += 1;
    }
    sum.seconds = begin.elapsed().as_secs_f64();
    Ok(sum)
}

/// Plays the backlog; `Ok(false)` when it does not add up.
async fn pile_up(args: &Args) -> Result<bool> {
    let dir = TestDir::new("backlog")?;
    let backlog = backlog::play(usize::try_from(args.events)?, dir.path()).await?;
    let right = backlog.violations.is_empty();
    match args.output {
        Output::Text => println!("{backlog:#?}"),
        Output::Json => println!("{}", serde_json::to_string(&backlog)?),
    }
    if right {
        dir.passed();
    }
    Ok(right)
}

async fn play(args: &Args, seed: u64, dir: &TestDir) -> Result<Episode> {
    if args.profile == Profile::Plan {
        let plan = Plan::of_seed(seed);
        eprintln!("{}", serde_json::to_string(&plan)?);
        return Box::pin(chaos::play(&plan, dir.path())).await;
    }
    let storm = Storm::of_seed(seed, STORM, args.kills_per_minute);
    eprintln!("{}", serde_json::to_string(&storm)?);
    let hear = |word| eprintln!("seed {seed}: {word}");
    Box::pin(storm::play(&storm, dir.path(), hear)).await
}

fn text(sum: &Sum) -> String {
    format!(
        "{} episodes from seed {} in {:.0} s: {} SIGKILLs of workers, {} of nats-servers, {} workers \
         frozen, {} faults in all; {} events, {} hub requests ({} of them spoilt); workers held at most \
         {} MiB. {} violations; seeds that failed: {:?}",
        sum.episodes,
        sum.first_seed,
        sum.seconds,
        sum.worker_kills,
        sum.nats_kills,
        sum.freezes,
        sum.faults,
        sum.events,
        sum.hub_requests,
        sum.hub_faults,
        sum.worker_peak_rss_bytes.unwrap_or_default() / 1024 / 1024,
        sum.violations,
        sum.failed_seeds,
    )
}

#[cfg(test)]
mod tests {
    use black_box::oracle::{Verdict, Violation};

    use super::*;

    fn episode(seed: u64, violations: Vec<Violation>) -> Episode {
        Episode {
            seed,
            workers: 1,
            cluster: false,
            worker_kills: 5,
            nats_kills: 1,
            freezes: 0,
            faults: 14,
            events: 100,
            hub_requests: 300,
            hub_faults: 10,
            worker_peak_rss_bytes: Some(seed),
            seconds: 60.0,
            verdict: Verdict {
                violations,
                ..Verdict::default()
            },
            ..Episode::default()
        }
    }

    #[test]
    fn episodes_add_up_and_the_failed_ones_are_named() {
        let wrong = Violation {
            rule: "S3",
            about: "d".to_owned(),
            why: "is back".to_owned(),
        };
        let mut sum = Sum::default();
        sum.add(&episode(7, Vec::new()));
        sum.add(&episode(8, vec![wrong]));
        assert_eq!((sum.worker_kills, sum.events), (10, 200));
        assert_eq!((sum.violations, sum.failed_seeds.as_slice()), (1, &[8][..]));
        assert_eq!(sum.worker_peak_rss_bytes, Some(8));
        assert!(text(&sum).contains("seeds that failed: [8]"));
    }
}
