//! `cargo xtask test`: everything that must hold before a change is good, in order of cost.
//!
//! Cheap steps come first and the first failure ends the run, with the one command that repeats it:
//! whoever reads the end of a long log needs nothing else.

mod plan;

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use black_box::{TestDir, binaries, skips, tools, workspace};

use plan::{Action, CargoCall, Group, Step};

/// Checks formatting, lints, docs and rules, then runs every test; this is all that CI runs.
///
/// Stops at the first step that fails. Exit code: 0 all passed, 1 one failed, 2 wrong usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs only these steps (can be repeated).
    #[arg(long, value_enum, value_name = "STEPS")]
    only: Vec<Group>,
    /// Runs only the tests whose name contains this text, and no step that is not a test.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// How a step ended.
enum Verdict {
    Passed,
    Failed,
    /// Not run, with the reason.
    Skipped(String),
}

/// Runs the steps; `Ok(false)` when one failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let groups = Group::chosen(&args.only, args.filter.is_some());
    let dir = TestDir::new("test")?;
    let skips = dir.path().join("skips");
    let mut environment = environment(&groups)?;
    environment.push((skips::SKIPS, skips.clone()));
    let paint = std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let mut passed = 0;
    for step in plan::steps(&groups, args.filter.as_deref()) {
        heading(paint, &step.heading());
        let started = Instant::now();
        let verdict = perform(&step, &environment)?;
        let took = seconds(started.elapsed());
        match verdict {
            Verdict::Passed => {
                passed += 1;
                eprintln!("{} passed in {took}", step.title);
            }
            Verdict::Skipped(reason) => eprintln!("{} skipped: {reason}", step.title),
            Verdict::Failed => {
                eprintln!(
                    "\n{} FAILED after {took}, {passed} steps passed before",
                    step.title
                );
                eprintln!("to repeat it: {}", step.action.command());
                dir.passed();
                return Ok(false);
            }
        }
    }
    dir.passed();
    println!("{passed} steps passed{}", skipped(&skips));
    Ok(true)
}

/// The tests that said that they cannot run here, for the end of the last line.
fn skipped(skips: &Path) -> String {
    let said = fs::read_to_string(skips).unwrap_or_default();
    let reasons: BTreeSet<&str> = said
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(_, reason)| reason)
        .collect();
    match said.lines().count() {
        0 => String::new(),
        count => {
            let reasons: Vec<_> = reasons.into_iter().collect();
            format!(", {count} tests SKIPPED ({})", reasons.join("; "))
        }
    }
}

/// A variable that the steps get beside those they name themselves.
type Variable = (&'static str, PathBuf);

/// What the steps need to know here. For black-box tests, that is what they would otherwise look for
/// and build again; the tools come before all steps, so that a machine that cannot have them says so
/// at once.
fn environment(groups: &BTreeSet<Group>) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    if !std::io::stdout().is_terminal() {
        // rustfmt asks the kind of terminal for colours, not whether there is one.
        variables.push(("TERM", "dumb".into()));
    }
    if groups.contains(&Group::BlackBox) {
        let nats = tools::nats_server()?;
        eprintln!("nats-server {}: {}", nats.version, nats.path.display());
        // Cargo put this very program beside the ones it builds for us.
        let this = env::current_exe().context("failed to find the folder of the binaries")?;
        let folder = this.parent().context("this program is in no folder")?;
        variables.push(("NATS_SERVER", nats.path));
        variables.extend(without_mongo());
        variables.push((binaries::BIN_DIR, folder.to_owned()));
    }
    Ok(variables)
}

/// Builds the stand-in for MongoDB, unless there is one. Where that fails, the tests that need it
/// are told to do without rather than to try again, each on its own.
fn without_mongo() -> Option<Variable> {
    match tools::mongo() {
        Ok(tools::Mongo::Uri(_)) => eprintln!("MongoDB: the one that {} names", tools::MONGODB_URI),
        Ok(tools::Mongo::Server(path)) => eprintln!("stand-in for MongoDB: {}", path.display()),
        Err(reason) => {
            eprintln!("\nWARNING: every test that needs MongoDB will be SKIPPED: {reason:#}\n");
            return Some((tools::MONGODB_URI, "skip".into()));
        }
    }
    None
}

fn perform(step: &Step, environment: &[Variable]) -> Result<Verdict> {
    match &step.action {
        Action::Cargo(call) => cargo(call, environment),
        Action::Deny(words) => deny(step.title, words, environment),
        Action::Guard(guard) => match guard() {
            Ok(()) => Ok(Verdict::Passed),
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(Verdict::Failed)
            }
        },
    }
}

fn cargo(call: &CargoCall, environment: &[Variable]) -> Result<Verdict> {
    let mut cargo = workspace::cargo();
    cargo
        .args(&call.arguments)
        .envs(call.variables.iter().copied());
    cargo.envs(environment.iter().map(|(name, value)| (name, value)));
    let status = cargo.status().context("failed to run cargo")?;
    Ok(if status.success() {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

/// Runs cargo-deny. A machine that cannot have it, or not the database of advisories, skips the
/// step, and that is counted.
fn deny(title: &str, words: &str, environment: &[Variable]) -> Result<Verdict> {
    let skipped = |reason: String| {
        let line = format!("SKIPPED {title}: {reason}\n");
        if let Some((_, skips)) = environment.iter().find(|(name, _)| *name == skips::SKIPS) {
            let mut file = File::options().create(true).append(true).open(skips)?;
            file.write_all(line.as_bytes())?;
        }
        Ok(Verdict::Skipped(reason))
    };
    let tool = match tools::cargo_deny() {
        Ok(tool) => tool,
        Err(error) => return skipped(format!("no cargo-deny: {error:#}")),
    };
    if words.ends_with("advisories") && !has_advisories() {
        return skipped("no database of advisories; `cargo deny fetch` brings it".to_owned());
    }
    let status = Command::new(tool)
        .args(words.split_whitespace())
        .current_dir(workspace::root())
        .env("CARGO", workspace::cargo().get_program())
        .status()
        .context("failed to run cargo-deny")?;
    Ok(if status.success() {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

/// Whether cargo-deny has fetched its database at some time.
fn has_advisories() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let databases = home.map(|home| home.join("advisory-dbs"));
    let found = databases.and_then(|folder| fs::read_dir(folder).ok());
    found.is_some_and(|mut entries| entries.next().is_some())
}

fn heading(paint: bool, text: &str) {
    if paint {
        eprintln!("\n\u{1b}[1m== {text}\u{1b}[0m");
    } else {
        eprintln!("\n== {text}");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_counted_with_their_reasons() {
        let dir = TestDir::new("skips").unwrap();
        let skips = dir.path().join("skips");
        assert_eq!(skipped(&skips), "");
        fs::write(&skips, "SKIPPED a: no x: y\nSKIPPED b: no x: y\n").unwrap();
        assert_eq!(skipped(&skips), ", 2 tests SKIPPED (no x: y)");
        dir.passed();
    }
}
