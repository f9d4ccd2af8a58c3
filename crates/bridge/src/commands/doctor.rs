//! `doctor`: checks everything that can be set up wrong, and says what to do about it.
//!
//! All checks run at once, each within a limit, and none stops another: whoever calls this may
//! have half of everything down.

mod backlog;
mod clock;
mod definitions;
mod files;
mod finding;
mod hubs;
mod monitoring;
mod nats;
mod records;
mod services;
mod streams;
mod workers;
mod workflows;

use std::time::Duration;

use anyhow::bail;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::cli::{Doctor, Output};
use crate::config::Config;
use crate::print;
use crate::session::{self, Session};
use finding::{Finding, Severity};

/// How long NATS may take to be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the checks look at.
struct Scene<'a> {
    config: &'a Config,
    args: &'a Doctor,
    /// Connected to a server that will do.
    session: &'a Session,
}

impl Scene<'_> {
    /// The longest time that one check may take.
    fn limit(&self) -> Duration {
        Duration::from_secs(self.args.limit_s)
    }
}

type Findings = anyhow::Result<Vec<Finding>>;

/// A check under its name.
struct Check<'a> {
    name: &'static str,
    run: BoxFuture<'a, Findings>,
    /// It bounds itself, since it does many things of which each may take the limit.
    bounded: bool,
}

impl<'a> Check<'a> {
    fn new(name: &'static str, run: impl Future<Output = Findings> + Send + 'a) -> Self {
        Self {
            name,
            run: run.boxed(),
            bounded: false,
        }
    }

    async fn within(self, limit: Duration) -> Vec<Finding> {
        let ended = if self.bounded {
            Ok(self.run.await)
        } else {
            timeout(limit, self.run).await
        };
        match ended {
            Ok(Ok(findings)) => findings,
            Ok(Err(error)) => vec![
                Finding::problem(self.name, format!("{error:#}"))
                    .with_advice("mend what the text names, then run this again"),
            ],
            Err(_) => vec![
                Finding::problem(
                    self.name,
                    format!("no end of this check within {} s", limit.as_secs()),
                )
                .with_advice("see what else is found; `--limit-s` gives it more time"),
            ],
        }
    }
}

pub(crate) async fn run(config: &Config, args: Doctor, output: Output) -> anyhow::Result<()> {
    let session = Session::begin(config, "mender-iothub doctor").await?;
    let trouble = connected(&session).await.err();
    let scene = Scene {
        config,
        args: &args,
        session: &session,
    };
    let mut checks = vec![
        Check::new("files", async { Ok(files::check(config)) }),
        Check::new("Mender", services::check(&scene)),
        Check::new("workflow definitions", workflows::check(&scene)),
        Check::new("NATS monitoring", monitoring::check(&scene)),
    ];
    if trouble.is_none() {
        checks.extend(of_nats(&scene));
    }
    let mut findings: Vec<_> = trouble.iter().map(nats::not_there).collect();
    findings.extend(all(checks, scene.limit()).await);
    findings.extend(
        session::refused()
            .iter()
            .map(|refused| nats::refused(config, refused)),
    );
    findings.sort_by_key(|finding| finding.severity);
    told(&findings, output)
}

/// What can only be checked with NATS.
fn of_nats<'a>(scene: &'a Scene<'a>) -> Vec<Check<'a>> {
    vec![
        Check::new("NATS", async move { Ok(nats::check(scene)) }),
        Check::new("NATS account", nats::account(scene)),
        Check::new("streams", streams::check(scene)),
        Check::new("workers", workers::check(scene)),
        Check::new("backlog", backlog::check(scene)),
        Check::new("clock", clock::check(scene)),
        Check::new("records", records::check(scene)),
        Check {
            bounded: true,
            ..Check::new("hubs", hubs::check(scene))
        },
    ]
}

async fn connected(session: &Session) -> Result<(), jetstream::Error> {
    let begun = Instant::now();
    loop {
        match session.connected() {
            Err(jetstream::Error::Unavailable(_)) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            ended => return ended,
        }
    }
}

/// Runs them at once; what they find comes in their order.
async fn all(checks: Vec<Check<'_>>, limit: Duration) -> Vec<Finding> {
    let bar = print::progress("checking", checks.len() as u64);
    let numbered = checks.into_iter().enumerate();
    let mut running: FuturesUnordered<_> = numbered
        .map(|(n, check)| async move { (n, check.within(limit).await) })
        .collect();
    let mut found = Vec::new();
    while let Some(one) = running.next().await {
        bar.inc(1);
        found.push(one);
    }
    bar.finish_and_clear();
    found.sort_by_key(|(n, _)| *n);
    found
        .into_iter()
        .flat_map(|(_, findings)| findings)
        .collect()
}

fn told(findings: &[Finding], output: Output) -> anyhow::Result<()> {
    let of = |severity| {
        findings
            .iter()
            .filter(move |it| it.severity == severity)
            .count()
    };
    let problems = of(Severity::Problem);
    let shown = json!({
        "problems": problems, "advice": of(Severity::Advice), "findings": findings,
    });
    print::result(output, &shown, |_| {
        let lines: Vec<_> = findings.iter().map(Finding::in_words).collect();
        print::harmless(lines.join("\n"))
    })?;
    match problems {
        0 => Ok(()),
        1 => bail!("one thing must be put right"),
        n => bail!("{n} things must be put right"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn checks_run_at_once_and_none_stops_another() {
        let sleeps = |name, seconds| {
            Check::new(name, async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(vec![Finding::ok(name, "well")])
            })
        };
        let checks = vec![
            sleeps("slow", 9),
            Check::new("broken", async { bail!("no server") }),
            sleeps("hangs", 1_000),
            sleeps("quick", 1),
        ];
        let begun = Instant::now();
        let found = all(checks, Duration::from_secs(10)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
        let told: Vec<_> = found.iter().map(|it| (it.check, it.severity)).collect();
        let expected = [
            ("slow", Severity::Ok),
            ("broken", Severity::Problem),
            ("hangs", Severity::Problem),
            ("quick", Severity::Ok),
        ];
        assert_eq!(told, expected);
    }
}
