//! `protocol-model`: explores the scenarios, then shows that every mutant is caught.
//!
//! `cargo xtask model` builds this in release mode and runs it. Small scenarios and mutants come
//! first: whoever broke a rule learns it in seconds.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use protocol_model::{
    mutant::Mutant,
    run::{Explored, explore},
    scenario::Scenario,
    scenarios,
};
use serde::Serialize;

/// No mutant may need more states than this.
const STATES_FOR_A_MUTANT: usize = 1_000_000;

/// No scenario may take more states than this. Its memory is free again when it ends, so a longer run
/// takes no more.
const STATES_AT_ONCE: usize = 40_000_000;

/// Checks the protocol: drives the production core through every interleaving of faults.
#[derive(Parser)]
struct Args {
    /// Different states to explore, over all scenarios.
    #[arg(long, default_value_t = 2_000_000)]
    states: usize,
    /// Explores only these scenarios (can be repeated), and no mutants.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Threads; all cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// For whom the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON object, as the last line of standard output.
    Json,
}

/// The result, as JSON shows it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    unique_states: usize,
    violations: usize,
    mutants: usize,
    mutants_caught: usize,
    seconds: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let began = Instant::now();
    let threads = args.threads.unwrap_or_else(cores);
    let mut summary = Summary::default();
    let chosen = match choose(&args.scenario) {
        Ok(chosen) => chosen,
        Err(name) => {
            eprintln!("error: no scenario is called {name}");
            return ExitCode::from(2);
        }
    };
    tell(
        &args,
        &format!("{threads} threads, {} states\n", args.states),
    );
    tell(&args, &heading());
    if let Some(chosen) = chosen {
        share(&args, chosen, threads, &mut summary);
    } else {
        share(&args, scenarios::small(), threads, &mut summary);
        mutants(&args, threads, &mut summary);
        share(&args, scenarios::large(), threads, &mut summary);
    }
    summary.seconds = began.elapsed().as_secs_f64();
    let good = summary.violations == 0 && summary.mutants == summary.mutants_caught;
    tell(&args, &conclusion(&summary));
    if args.output == Output::Json {
        let line = serde_json::to_string(&summary).expect("numbers are JSON");
        println!("{line}");
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

fn choose(names: &[String]) -> Result<Option<Vec<Scenario>>, &String> {
    let found = names.iter().map(|name| scenarios::named(name).ok_or(name));
    let chosen: Vec<Scenario> = found.collect::<Result<_, _>>()?;
    Ok((!chosen.is_empty()).then_some(chosen))
}

/// Text goes where it does not disturb a program that reads the result.
fn tell(args: &Args, text: &str) {
    match args.output {
        Output::Text => println!("{text}"),
        Output::Json => eprintln!("{text}"),
    }
}

/// Explores scenarios, sharing what is left of the states fairly: what one does not need goes to
/// the ones after it.
fn share(args: &Args, queue: Vec<Scenario>, threads: usize, summary: &mut Summary) {
    let mut others = queue.len();
    for scenario in queue {
        let left = args.states.saturating_sub(summary.unique_states);
        let name = scenario.name;
        let about = configuration(&scenario);
        let progress = |seen| eprintln!("{name}: {seen} states so far");
        let fair = (left / others).clamp(1, STATES_AT_ONCE);
        let found = explore(scenario, None, threads, fair, progress);
        others -= 1;
        summary.unique_states += found.unique_states;
        summary.violations += found.broken.len() + usize::from(!found.ends_well);
        tell(args, &row(&found, &about));
        for (rule, run) in &found.broken {
            tell(
                args,
                &format!("  VIOLATION of {rule}:\n    {}", run.join("\n    ")),
            );
        }
        if !found.ends_well {
            tell(args, "  VIOLATION: no run comes to a good end");
        }
    }
}

fn mutants(args: &Args, threads: usize, summary: &mut Summary) {
    tell(args, "\nmutants: each rule removed once, to be caught");
    for &mutant in Mutant::ALL {
        let scenario = scenarios::named(mutant.scenario()).expect("mutants name scenarios");
        let found = explore(scenario, Some(mutant), threads, STATES_FOR_A_MUTANT, |_| {});
        summary.mutants += 1;
        let verdict = match found.broken.first() {
            Some((rule, run)) => {
                summary.mutants_caught += 1;
                format!("caught after {} actions: {rule}", run.len())
            }
            None => "NOT CAUGHT".to_owned(),
        };
        tell(
            args,
            &format!(
                "  {:16} {verdict}\n    {}",
                format!("{mutant:?}"),
                mutant.says()
            ),
        );
    }
    tell(args, "");
}

fn heading() -> String {
    format!(
        "{:15} {:>11} {:>6} {:>8}  {:8}  configuration",
        "scenario", "states", "depth", "time", ""
    )
}

fn row(found: &Explored, about: &str) -> String {
    let end = if found.complete {
        "complete"
    } else {
        "stopped"
    };
    format!(
        "{:15} {:>11} {:>6} {:>8}  {end:8}  {about}",
        found.name,
        found.unique_states,
        found.depth,
        seconds(found.took),
    )
}

/// What a scenario is made of, on one line.
fn configuration(scenario: &Scenario) -> String {
    let events: Vec<&str> = scenario
        .events
        .iter()
        .map(|event| event.status.as_str())
        .collect();
    let faults = format!("{:?}", scenario.faults);
    let faults = faults
        .trim_start_matches("Faults { ")
        .trim_end_matches(" }");
    let faults: Vec<&str> = faults
        .split(", ")
        .filter(|fault| !fault.ends_with(": 0"))
        .collect();
    let foreign = if scenario.foreign {
        ", foreign at the start"
    } else {
        ""
    };
    format!(
        "{} workers, {} device(s), lease {}, {}; {}{foreign}",
        scenario.workers,
        scenario.devices,
        scenario.lease,
        events.join(" "),
        faults.join(", "),
    )
}

fn conclusion(summary: &Summary) -> String {
    format!(
        "\n{} unique states, {} violations, {} of {} mutants caught, {}",
        summary.unique_states,
        summary.violations,
        summary.mutants_caught,
        summary.mutants,
        seconds(Duration::from_secs_f64(summary.seconds)),
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
