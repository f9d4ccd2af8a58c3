//! `cargo xtask model`: the model checker, built for speed and run as it is.
//!
//! It is a program of its own, so that exploring millions of states does not wait for, or bring
//! its dependencies to, whoever only wants the demo.

use anyhow::{Context, Result};
use black_box::workspace;

use crate::Output;

/// Explores the protocol: the production core under every interleaving of workers and faults, and
/// each of its rules removed once.
///
/// Exit code: 0 no rule was broken and every mutant caught, 1 otherwise, 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Different states to explore, over all scenarios; the small scenarios and the mutants are
    /// explored to their ends in any case.
    #[arg(long, default_value_t = 2_000_000)]
    states: usize,
    /// Explores only these scenarios (can be repeated), and no mutants.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// For whom the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Builds and runs it; `Ok(false)` when a rule was broken or a mutant not caught.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut cargo = workspace::cargo();
    cargo.args(arguments(args));
    let status = cargo.status().context("failed to run cargo")?;
    Ok(status.success())
}

fn arguments(args: &Args) -> Vec<String> {
    let output = match args.output {
        Output::Text => "text",
        Output::Json => "json",
    };
    let words = "run --release --locked --package protocol-model -- --output";
    let mut arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    arguments.extend([
        output.to_owned(),
        "--states".to_owned(),
        args.states.to_string(),
    ]);
    for name in &args.scenario {
        arguments.extend(["--scenario".to_owned(), name.clone()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let args = Args {
            states: 7,
            scenario: vec!["gone".to_owned()],
            output: Output::Json,
        };
        let line = arguments(&args).join(" ");
        assert!(
            line.ends_with("-- --output json --states 7 --scenario gone"),
            "{line}"
        );
    }
}
