//! `cargo xtask fuzz`: throws bytes at everything that reads those of strangers.
//!
//! cargo-fuzz builds one program for each target of `crates/fuzz-targets`; each runs for its share
//! of the time, from the kept corpus. Nothing of ours is unsafe, so the memory sanitizer, which would
//! need a nightly compiler, is left out: a finding is a panic, a time-out, or memory without bound.

mod program;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use black_box::{tools, workspace};
use serde::Serialize;

use self::program::{Program, Run};
use crate::Output;

/// Where the targets, their programs and their corpora are.
const HOME: &str = "crates/fuzz-targets";

/// Throws bytes at the parsers, from the kept corpus on, and reports what made one panic.
///
/// Needs a C++ compiler, for libFuzzer. The first run builds cargo-fuzz and the programs, which
/// takes some minutes. What is found stays in target/fuzz: put it into the target's corpus in
/// crates/fuzz-targets, and `cargo test -p fuzz-targets` shows it again. Exit code: 0 nothing was
/// found, 1 something was, 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long to look, in seconds, all targets together; each gets at least one.
    #[arg(long, value_name = "N", default_value_t = 120)]
    seconds: u64,
    /// Only this target (can be repeated); crates/fuzz-targets/cargo-fuzz names them.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Add the inputs that reached new code to the kept corpus, as few as possible.
    #[arg(long)]
    keep: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What came of it. Names are part of the interface.
#[derive(Debug, Serialize)]
struct Sum {
    targets: Vec<Run>,
    executions: u64,
    findings: usize,
    seconds: f64,
}

/// Looks for inputs; `Ok(false)` if one was found.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let home = workspace::root().join(HOME);
    let names = chosen(
        &args.target,
        &names_in(&home.join("cargo-fuzz/fuzz_targets"))?,
    )?;
    let built = build(&home, &tools::cargo_fuzz()?)?;
    let began = Instant::now();
    let share = (args.seconds / names.len() as u64).max(1);
    let mut targets = Vec::new();
    for name in &names {
        eprintln!("{name}: {share} s");
        let program = Program::new(&built, &home, name);
        targets.push(program.run(share)?);
        if args.keep {
            program.keep()?;
        }
    }
    let sum = Sum {
        executions: targets.iter().map(|run| run.executions).sum(),
        findings: targets.iter().map(|run| run.findings.len()).sum(),
        seconds: began.elapsed().as_secs_f64(),
        targets,
    };
    match args.output {
        Output::Text => print(&sum),
        Output::Json => println!("{}", serde_json::to_string(&sum)?),
    }
    Ok(sum.findings == 0)
}

fn print(sum: &Sum) {
    for run in &sum.targets {
        println!("{:<20} {:>12} executions", run.name, run.executions);
        for finding in &run.findings {
            println!("  FOUND {finding}");
        }
    }
    println!(
        "{} targets, {} executions, {} findings in {:.0} s",
        sum.targets.len(),
        sum.executions,
        sum.findings,
        sum.seconds
    );
}

/// The targets to run, in order.
fn chosen(asked: &[String], all: &BTreeSet<String>) -> Result<Vec<String>> {
    if let Some(unknown) = asked.iter().find(|name| !all.contains(*name)) {
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        bail!("there is no target {unknown:?}: {}", all.join(", "));
    }
    let wanted = |name: &&String| asked.is_empty() || asked.contains(name);
    Ok(all.iter().filter(wanted).cloned().collect())
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names = BTreeSet::new();
    for entry in entries {
        names.extend(name(entry?.path()));
    }
    Ok(names)
}

/// Builds all programs and returns the folder they are in.
fn build(home: &Path, cargo_fuzz: &Path) -> Result<PathBuf> {
    let target = workspace::root().join("target/fuzz");
    let mut command = Command::new(cargo_fuzz);
    command.args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir"]);
    command.arg(home.join("cargo-fuzz"));
    command.arg("--target-dir").arg(&target);
    // The instrumentation is an option of the compiler that only nightlies take by themselves.
    command.env("RUSTC_BOOTSTRAP", "1").current_dir(home);
    let status = command.status().context("failed to run cargo-fuzz")?;
    if !status.success() {
        bail!("the programs could not be built; libFuzzer needs a C++ compiler");
    }
    Ok(target.join(host()?).join("release"))
}

/// The platform of the compiler, which names the folder that cargo-fuzz builds in.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.context("failed to run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name_and_a_wrong_one_is_told_the_right_ones() {
        let all = BTreeSet::from(["event".to_owned(), "query".to_owned()]);
        assert_eq!(chosen(&[], &all).unwrap(), ["event", "query"]);
        assert_eq!(chosen(&["query".to_owned()], &all).unwrap(), ["query"]);
        let error = chosen(&["quary".to_owned()], &all).unwrap_err().to_string();
        assert!(error.ends_with("event, query"), "{error}");
    }
}
