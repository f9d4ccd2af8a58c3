//! `cargo xtask demo`: a fleet goes through the real worker, and everybody can see what came of it.
//!
//! Everything is a process of its own, as in the field: nats-server, the hub emulator, the Mender
//! simulator and the worker. The demo only gives them orders, waits, and compares.

mod evidence;
mod fleet;
mod hub;
mod judge;
mod mender;
mod play;
mod progress;
mod report;
mod stage;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use black_box::{
    TestDir,
    binaries::Binary,
    tools::{self, Mongo},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::stage::{Ingress, Store};
use self::{judge::Verdict, play::Play, progress::Progress, report::Facts, stage::Stage};
use crate::Output;

/// Plays a fleet through the real worker, a hub emulator and a Mender simulator, and judges it.
///
/// Some devices are accepted, rejected, accepted again, dismissed, decommissioned; events come twice
/// and out of order; one hub request in twenty goes wrong; the worker is killed in the middle. Exit
/// code: 0 everything agrees, 1 something does not (its folder is kept), 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many devices the fleet has.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    devices: u32,
    /// Decides the order of the events; a new one for each run unless given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the worker keeps its records.
    #[arg(long, value_enum, default_value_t = Store::Jetstream)]
    store: Store,
    /// How events come to the worker.
    #[arg(long, value_enum, default_value_t = Ingress::Stream)]
    ingress: Ingress,
    /// Keeps the folder with logs, streams and evidence even if all is well.
    #[arg(long)]
    keep: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Runs the demo; `Ok(false)` when something disagrees.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        unless_interrupted(equip(args.store)).await??;
        let dir = TestDir::new("demo")?;
        match unless_interrupted(Box::pin(perform(args, dir.path()))).await {
            Ok(Ok(ended)) => {
                finish(dir, args.keep, &ended);
                Ok(ended.right())
            }
            // The folder tells why.
            Ok(Err(error)) => Err(error),
            Err(interrupted) => {
                dir.passed();
                Err(interrupted)
            }
        }
    })
}

/// How the play ended.
struct Ended {
    verdict: Verdict,
    /// What was still missing when nothing moved any more.
    missing: Option<String>,
}

impl Ended {
    fn right(&self) -> bool {
        self.missing.is_none() && self.verdict.agrees()
    }
}

/// Fetches and builds what is needed, before any clock runs. Cargo shows its own progress.
pub(crate) async fn equip(store: Store) -> Result<()> {
    let nats = tokio::task::spawn_blocking(tools::nats_server).await??;
    eprintln!("nats-server {} ({})", nats.version, nats.path.display());
    if store == Store::Mongodb {
        match tokio::task::spawn_blocking(tools::mongo).await?? {
            Mongo::Uri(_) => eprintln!("MongoDB that {} names", tools::MONGODB_URI),
            Mongo::Server(path) => eprintln!("stand-in for MongoDB ({})", path.display()),
        }
    }
    for binary in [
        Binary::MenderIothub,
        Binary::IothubEmulator,
        Binary::MenderSimulator,
    ] {
        eprintln!("building {binary} ...");
        binary.path().await?;
    }
    Ok(())
}

/// Does `work`, unless Ctrl-C or SIGTERM comes first: then it is dropped, and every process with it.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => Ok(done),
        _ = tokio::signal::ctrl_c() => bail!("stopped by Ctrl-C"),
        _ = terminate.recv() => bail!("stopped by SIGTERM"),
    }
}

async fn perform(args: &Args, dir: &Path) -> Result<Ended> {
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let progress = Progress::start();
    progress.step(&format!("{} devices, seed {seed}", args.devices));
    let stage = Stage::set(dir, args.store, args.ingress).await?;
    progress.step("nats-server, hub emulator, Mender simulator and worker are up");
    let devices = usize::try_from(args.devices)?;
    let mut play = Play::cast(stage, devices, seed, &progress).await?;
    let missing = play.perform().await?;
    let (scene, messages_published) = play.scene().await?;
    let verdict = judge::judge(&scene);
    let (hub_requests, hub_faults) = play.journal.requests();
    let facts = Facts {
        seed,
        worker_kills: play.kills,
        worker_peak_rss_bytes: play.peak_memory(),
        hub_requests,
        hub_faults,
        messages_published,
        took: progress.elapsed(),
    };
    let ended = Ended { verdict, missing };
    if args.keep || !ended.right() {
        let wrong = &ended.verdict.disagreements;
        if let Err(error) = evidence::save(dir, &play.stage, &play.ledger, wrong).await {
            progress.step(&format!("{error:#}"));
        }
    }
    drop(play);
    drop(progress);
    print(args.output, &ended.verdict, &facts)?;
    Ok(ended)
}

fn print(output: Output, verdict: &Verdict, facts: &Facts) -> Result<()> {
    match output {
        Output::Text => println!("{}", report::text(verdict, facts)),
        Output::Json => println!("{}", report::json(verdict, facts)?),
    }
    Ok(())
}

/// Says what is wrong and where to look, or removes the folder.
fn finish(dir: TestDir, keep: bool, ended: &Ended) {
    if ended.right() && !keep {
        dir.passed();
        return;
    }
    if let Some(missing) = &ended.missing {
        eprintln!("not at rest: {missing}");
    }
    if let Some(table) = report::disagreements(&ended.verdict) {
        eprintln!("{table}");
    }
    let path = dir.keep();
    if !ended.right() {
        let device = ended.verdict.disagreements.first();
        eprintln!(
            "{}",
            look_closer(&path, device.map_or("ID", |it| &it.device))
        );
    }
    eprintln!("kept: {}", path.display());
}

/// Commands for whoever wants to know why.
fn look_closer(dir: &Path, device: &str) -> String {
    let dir = dir.display();
    let grep = |(file, what): &(&str, &str)| format!("  grep {device} {dir}/{file}  # {what}");
    let mut lines = vec!["to look closer:".to_owned()];
    lines.extend(evidence::FILES.iter().map(grep));
    lines.push(grep(&("mender-iothub.log", "what the worker said")));
    lines.push(format!(
        "  cat {dir}/records/{device}.json  # what the worker knows of it"
    ));
    lines.join("\n")
}

fn random_seed() -> Result<u64> {
    // Short enough to be typed again.
    let mut bytes = [0; 4];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled
        .ok()
        .context("this system has no source of randomness")?;
    Ok(u32::from_le_bytes(bytes).into())
}
