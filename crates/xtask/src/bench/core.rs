//! `core`: what a decision and the reading of a message cost, by criterion.
//!
//! The benchmarks are those of `lifecycle` and `messages`; `cargo bench --bench core` runs them as well.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use black_box::workspace;
use tokio::process::Command;

use super::{
    Bench,
    figure::{Case, Measured},
};

/// Which figure stands beside which, and what that is.
const BESIDE: [(&str, &str, &str); 4] = [
    ("next/", "reference/copy of a record", "copying a record"),
    ("parse/event", "json/event", "the same bytes as any JSON"),
    (
        "parse/provisioned",
        "json/provisioned",
        "the same bytes as any JSON",
    ),
    ("parse/status", "json/status", "the same bytes as any JSON"),
];

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let mut all = Vec::new();
    for package in ["lifecycle", "messages"] {
        bench.talk.say(&format!("cargo bench of {package}"));
        let mut cargo = workspace::cargo();
        cargo.args([
            "bench",
            "--locked",
            "--package",
            package,
            "--bench",
            "core",
            "--",
        ]);
        cargo.args(["--output-format", "bencher", "--noplot"]);
        let times = bench.pick(("1", "3"), ("0.2", "0.5"));
        cargo.args(["--warm-up-time", times.0, "--measurement-time", times.1]);
        all.extend(run(cargo.into()).await?);
    }
    let of = |name: &str| all.iter().find(|(it, _)| it == name).map(|(_, ns)| *ns);
    let cases = all.iter().filter_map(|(name, value)| {
        let (_, other, beside) = BESIDE.iter().find(|(own, ..)| name.starts_with(own))?;
        Some(Case::new(name, *value, "ns", of(other)?, beside))
    });
    let measured = Measured {
        cases: cases.collect(),
        notes: Vec::new(),
    };
    if measured.cases.is_empty() {
        bail!("criterion printed no figures");
    }
    Ok(measured)
}

async fn run(mut cargo: Command) -> Result<Vec<(String, f64)>> {
    cargo.stderr(Stdio::inherit()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(900), cargo.output());
    let output = output.await.context("cargo bench takes too long")??;
    if !output.status.success() {
        bail!("cargo bench failed: it says above why");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(figure).collect())
}

/// `test next/accept ... bench:         812 ns/iter (+/- 10)`.
fn figure(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
    let nanos = rest.split_whitespace().next()?.replace(',', "");
    Some((name.trim().to_owned(), nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_criterion_is_read() {
        let line = "test next/accept ... bench:       1,812 ns/iter (+/- 10)";
        assert_eq!(figure(line), Some(("next/accept".to_owned(), 1812.0)));
        assert_eq!(figure("running 3 tests"), None);
    }
}
