//! `cargo xtask simulate`: the simulation, built for speed and run as it is.
//!
//! It is a program of its own, for the reasons the model checker is one.

use anyhow::{Context, Result};
use black_box::workspace;

/// Plays the reconciler against servers that fail in every way, by seed.
///
/// Options are passed on to the simulation: `--seeds A..B`, `--profile NAME`, `--events N`,
/// `--seed N --trace`, `--mutant NAME`, `--output json`; `cargo xtask simulate -- --help` tells all of
/// them.
///
/// Exit code: 0 nothing was violated, 1 otherwise, 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Options of the simulation.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds and runs it; `Ok(false)` when something was violated.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut cargo = workspace::cargo();
    cargo.args(arguments(args));
    let status = cargo.status().context("failed to run cargo")?;
    if status.code() == Some(2) {
        std::process::exit(2);
    }
    Ok(status.success())
}

fn arguments(args: &Args) -> Vec<String> {
    let words = "run --release --locked --package simulation --";
    let words = words.split_whitespace().map(str::to_owned);
    words.chain(args.options.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let options = ["--seeds", "0..7", "--output", "json"].map(str::to_owned);
        let args = Args {
            options: options.into(),
        };
        let line = arguments(&args).join(" ");
        assert!(
            line.ends_with("simulation -- --seeds 0..7 --output json"),
            "{line}"
        );
    }
}
