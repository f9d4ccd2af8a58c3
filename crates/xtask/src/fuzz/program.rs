//! One program of libFuzzer: how it is run, and what it says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use black_box::workspace;
use serde::Serialize;

/// An input may take so many seconds; none needs a hundredth of one.
const INPUT_LIMIT_S: u32 = 5;
/// And so many MiB.
const MEMORY_LIMIT_MIB: u32 = 1024;
/// Longest input, in bytes: beyond the largest limits of the parsers.
const MAX_LENGTH: u32 = 70_000;

/// What a run came to.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) executions: u64,
    /// Files with the inputs that broke something.
    pub(super) findings: Vec<String>,
}

/// A program and its folders.
pub(super) struct Program {
    name: String,
    executable: PathBuf,
    /// The corpus that is kept.
    kept: PathBuf,
    /// What has been reached beyond it on this machine.
    reached: PathBuf,
    findings: PathBuf,
}

impl Program {
    pub(super) fn new(built: &Path, home: &Path, name: &str) -> Self {
        let work = workspace::root().join("target/fuzz");
        Self {
            name: name.to_owned(),
            executable: built.join(name),
            kept: home.join("corpus").join(name),
            reached: work.join("reached").join(name),
            findings: work.join("findings").join(name),
        }
    }

    /// Looks for `seconds`.
    pub(super) fn run(&self, seconds: u64) -> Result<Run> {
        for folder in [&self.reached, &self.findings] {
            fs::create_dir_all(folder)?;
        }
        let before = files(&self.findings)?;
        let mut command = Command::new(&self.executable);
        command.args([&self.reached, &self.kept]);
        command.arg(format!("-artifact_prefix={}/", self.findings.display()));
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={INPUT_LIMIT_S}"));
        command.arg(format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"));
        command.arg(format!("-max_len={MAX_LENGTH}"));
        command.arg("-print_final_stats=1");
        let output = command.output();
        let output = output.with_context(|| format!("failed to run {}", self.name))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut findings = files(&self.findings)?;
        findings.retain(|file| !before.contains(file));
        if !output.status.success() {
            eprintln!("{}", tail(&said));
            if findings.is_empty() {
                bail!("{} ended without a reason ({})", self.name, output.status);
            }
        }
        Ok(Run {
            name: self.name.clone(),
            executions: executions(&said),
            findings,
        })
    }

    /// Adds to the kept corpus what reaches code that it does not, each by one input.
    pub(super) fn keep(&self) -> Result<()> {
        let mut command = Command::new(&self.executable);
        command.arg("-merge=1").args([&self.kept, &self.reached]);
        let output = command.output()?;
        if !output.status.success() {
            bail!(
                "the corpus of {} could not be merged: {}",
                self.name,
                tail(&String::from_utf8_lossy(&output.stderr))
            );
        }
        Ok(())
    }
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path().display().to_string());
    }
    files.sort();
    Ok(files)
}

/// How often the target was called, as libFuzzer says at its end.
fn executions(said: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or_default()
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_read_from_the_final_statistics() {
        let said = "Done 7 runs in 2 second(s)\nstat::number_of_executed_units: 1234\nstat::x: 5\n";
        assert_eq!(executions(said), 1234);
        assert_eq!(executions("crashed"), 0);
    }
}
