//! `simulation`: plays seeds on all cores, and tells what broke and how to see it again.
//!
//! `cargo xtask simulate` builds this in release mode and runs it.

mod summary;

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use simulation::mutant::Mutant;
use simulation::profile::Profile;
use simulation::run::{How, Run, play};
use summary::{Output, Summary, tell};

/// Time between two lines that say how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// After so many violations the rest is not played.
const ENOUGH: usize = 10;

/// Plays the reconciler against servers that fail in every way, by seed.
#[derive(Parser)]
struct Args {
    /// Seeds to play, as `first..end`.
    #[arg(long, value_parser = range, default_value = "0..10000")]
    seeds: Range<u64>,
    /// Plays this one seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Tells the story of the seed that is played.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Kind of runs.
    #[arg(long, value_enum, default_value = "mixed")]
    profile: Profile,
    /// Ends after this many events, if the seeds last so long.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Breaks this on purpose: some seed must notice.
    #[arg(long, value_enum)]
    mutant: Option<Mutant>,
    /// Threads; all cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// For whom the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("expected FIRST..END, for instance 0..10000, not `{text}`");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let (first, end): (u64, u64) = match (first.parse(), end.parse()) {
        (Ok(first), Ok(end)) => (first, end),
        _ => return Err(wrong()),
    };
    if first < end {
        Ok(first..end)
    } else {
        Err(wrong())
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seeds = args.seed.map_or(args.seeds.clone(), |seed| seed..seed + 1);
    let threads = args.threads.unwrap_or_else(cores);
    tell(
        args.output,
        &format!("seeds {}..{}, {threads} threads", seeds.start, seeds.end),
    );
    let summary = play_all(&args, seeds, threads);
    tell(args.output, &summary.text());
    if args.output == Output::Json {
        println!("{}", summary.json());
    }
    if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// Plays all seeds, and tells each violation as it is found.
fn play_all(args: &Args, seeds: Range<u64>, threads: usize) -> Summary {
    let how = How {
        profile: args.profile,
        mutant: args.mutant,
        telling: args.trace,
    };
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let (send, runs) = mpsc::sync_channel::<Run>(1024);
    thread::scope(|scope| {
        for _ in 0..threads {
            let send = send.clone();
            let (next, enough, end) = (&next, &enough, seeds.end);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    if send.send(play(number, how)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        collect(args, &seeds, &runs, &enough)
    })
}

fn collect(
    args: &Args,
    seeds: &Range<u64>,
    runs: &mpsc::Receiver<Run>,
    enough: &AtomicBool,
) -> Summary {
    let mut summary = Summary::begin();
    let mut told = Instant::now();
    for run in runs {
        if args.trace {
            run.story.iter().for_each(|line| tell(args.output, line));
        }
        if let Some(violation) = &run.violation {
            tell(args.output, &again(args, run.seed, violation));
        }
        summary.add(&run);
        let all = args.events.is_some_and(|events| summary.events() >= events);
        if summary.violations >= ENOUGH || all {
            enough.store(true, Ordering::Relaxed);
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            eprintln!("{}", summary.progress(seeds.end - seeds.start));
        }
    }
    summary.end();
    summary
}

/// What broke, and how to see it again.
fn again(args: &Args, seed: u64, violation: &str) -> String {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    };
    let mutant = args.mutant.map_or_else(String::new, |mutant| {
        format!(" --mutant {}", name(mutant.to_possible_value()))
    });
    format!(
        "VIOLATION with seed {seed}: {violation}\n  to see it again: cargo xtask simulate --profile {}{mutant} --seed {seed} --trace",
        name(args.profile.to_possible_value()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_range_has_a_first_and_an_end() {
        assert_eq!(range("3..7"), Ok(3..7));
        for wrong in ["7", "7..3", "3..3", "a..b", "3..=7"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
