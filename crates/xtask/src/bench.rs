//! `cargo xtask bench`: what the product costs, each figure beside a reference of the same run.
//!
//! Machines differ and are busy with other things, so no figure is told alone: each stands beside
//! a bare program that makes the same calls without any logic, or beside the same thing at
//! another size, measured in turn with it. All parts are real, and release builds.

mod backlog;
mod bare;
mod chunk;
mod cold_start;
mod core;
mod cpu;
mod figure;
mod growth;
mod heap;
mod http_ingress;
mod latency;
mod load;
mod machine;
mod names;
mod pipeline;
mod quantile;
mod release;
mod replicas;
mod rival;
mod seed;
mod settled;
mod stage;
mod sweep;
mod talk;
mod throttled;
mod twin;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, bail};
use black_box::TestDir;

use self::{
    figure::{Figure, Summary},
    names::Name,
    talk::Talk,
};
use crate::{Output, demo::unless_interrupted};

/// Measures the product beside a reference, with real parts only: release builds of the worker, the
/// hub emulator and the Mender simulator, and a real nats-server.
///
/// Without a name all benchmarks are run, one after the other; each result is printed when it is
/// there. Progress is told on standard error. Ctrl-C ends it and every process of it. The ratio of
/// value and reference is what to look at: both are taken in turn, on the same machine, under the same
/// load. Exit code: 0 measured (whether or not a target was reached, which the result tells), 1 could
/// not be measured, 2 wrong usage.
#[derive(clap::Args)]
#[command(after_long_help = names::table(), after_help = names::table())]
pub(crate) struct Args {
    /// What to measure; several names are run in this order.
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
    /// Lists the benchmarks, with what each has to reach.
    #[arg(long)]
    list: bool,
    /// Small sizes: seconds instead of minutes, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Each size as a part of the full one, but not below the quick one: 20 takes some 25 minutes for all.
    #[arg(long, value_name = "N", conflicts_with_all = ["quick", "size"], value_parser = clap::value_parser!(u64).range(1..=100))]
    percent: Option<u64>,
    /// The size of the benchmark, in the unit that the list tells.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    size: Option<u64>,
    /// Keeps the folders with logs and streams.
    #[arg(long)]
    keep: bool,
    /// How to print the results: with `json` one object a line, the last one for all.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Runs one of the bare programs, as this file says.
    #[arg(long, hide = true, value_name = "FILE")]
    bare: Option<PathBuf>,
}

/// What a benchmark is given.
struct Bench<'a> {
    /// Its main size.
    size: u64,
    quick: bool,
    talk: Talk,
    dir: &'a TestDir,
}

impl Bench<'_> {
    /// One of two sizes that nobody can choose.
    const fn pick<T: Copy>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Measures; `Ok(false)` never.
pub(crate) fn run(args: &Args) -> Result<bool> {
    if args.list {
        println!("{}", names::table());
        return Ok(true);
    }
    if let Some(file) = &args.bare {
        return runtime()?.block_on(bare::run(file)).map(|()| true);
    }
    let names = chosen(args)?;
    // Only what is released is measured: this program too, since it plays the bare ones.
    if cfg!(debug_assertions) {
        return release::go_on_as_one(&names);
    }
    runtime()?.block_on(async {
        unless_interrupted(release::equip(&names)).await??;
        let mut figures = Vec::new();
        for name in names {
            let figure = Box::pin(measure(args, name)).await?;
            figure::print(args.output, &figure)?;
            figures.push(figure);
        }
        if figures.len() > 1 {
            figure::print_all(args.output, &Summary::of(figures))?;
        }
        Ok(true)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().build()?)
}

fn chosen(args: &Args) -> Result<Vec<Name>> {
    let names = match args.names.as_slice() {
        [] => Name::each().collect(),
        names if names.contains(&Name::All) => Name::each().collect(),
        names => names.to_vec(),
    };
    if args.size.is_some() && names.len() != 1 {
        bail!("--size is for one benchmark: each counts something else");
    }
    Ok(names)
}

fn usual_size(args: &Args, name: Name) -> u64 {
    let (full, quick) = name.spec().size;
    match args.percent {
        _ if args.quick => quick,
        Some(percent) => (full * percent / 100).max(quick),
        None => full,
    }
}

async fn measure(args: &Args, name: Name) -> Result<Figure> {
    let dir = TestDir::new(&format!("bench-{name}"))?;
    let begin = Instant::now();
    let bench = Bench {
        size: args.size.unwrap_or_else(|| usual_size(args, name)),
        quick: args.quick,
        talk: Talk::about(name),
        dir: &dir,
    };
    let played = unless_interrupted(Box::pin(play(name, &bench))).await;
    let measured = match played {
        Ok(measured) => measured.with_context(|| format!("{name} could not be measured")),
        Err(interrupted) => {
            dir.passed();
            return Err(interrupted);
        }
    }?;
    let size = bench.size;
    if args.keep {
        eprintln!("kept: {}", dir.keep().display());
    } else {
        dir.passed();
    }
    Ok(Figure::new(name, size, measured, begin.elapsed()))
}

async fn play(name: Name, bench: &Bench<'_>) -> Result<figure::Measured> {
    match name {
        Name::Pipeline => Box::pin(pipeline::measure(bench)).await,
        Name::Latency => Box::pin(latency::measure(bench)).await,
        Name::Throttled => Box::pin(throttled::measure(bench)).await,
        Name::Backlog => Box::pin(backlog::measure(bench)).await,
        Name::Sweep => Box::pin(sweep::measure(bench)).await,
        Name::Growth => Box::pin(growth::measure(bench)).await,
        Name::Replicas => Box::pin(replicas::measure(bench)).await,
        Name::Twin => Box::pin(twin::measure(bench)).await,
        Name::HttpIngress => Box::pin(http_ingress::measure(bench)).await,
        Name::ColdStart => Box::pin(cold_start::measure(bench)).await,
        Name::Core => Box::pin(core::measure(bench)).await,
        Name::All => bail!("each benchmark is measured for itself"),
    }
}
