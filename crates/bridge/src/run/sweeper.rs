//! The timer of the sweep.

use std::time::Duration;

use lifecycle::TenantId;
use reconciler::sweep::Report;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::session::Session;
use crate::sweeping::{How, Pass, Sweeping};

/// The first look is not taken while everything starts.
const FIRST: Duration = Duration::from_secs(60);
/// Wait after a pass that somebody else is making, or that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// Sweeps when it is due, until told to stop. One replica sweeps, whichever comes first.
pub(super) async fn run(config: Config, session: Session, stop: CancellationToken) {
    let every = Duration::from_secs(config.sweep.every_s);
    let mut wait = every.min(FIRST);
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => {}
            () = stop.cancelled() => return,
        }
        wait = match pass(&config, &session, every, &stop).await {
            Ok(Pass::Done(reports)) => {
                for (tenant, report) in &reports {
                    log(tenant, report);
                }
                every
            }
            Ok(Pass::NotDue(wait)) => wait,
            Ok(Pass::Taken | Pass::Stopped) => every.min(AGAIN),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the sweep failed");
                every.min(AGAIN)
            }
        };
    }
}

async fn pass(
    config: &Config,
    session: &Session,
    every: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<Pass> {
    let sweeping = Sweeping::open(config, session).await?;
    let how = How {
        every,
        ..How::default()
    };
    let passed = sweeping.pass(&how, stop, &|_, _| {}).await;
    sweeping.close().await;
    passed
}

fn log(tenant: &TenantId, report: &Report) {
    let findings = serde_json::to_string(&report.findings).unwrap_or_default();
    let (hub, mender) = (report.in_hub, report.in_mender);
    let (records, repaired) = (report.records, report.repaired);
    if report.troubles.is_empty() {
        tracing::info!(%tenant, hub, mender, records, repaired, findings, "swept");
    } else {
        let troubles = serde_json::to_string(&report.troubles).unwrap_or_default();
        tracing::warn!(%tenant, hub, mender, records, repaired, findings, troubles, "swept in part");
    }
}

/// The wait, a tenth more or less, so that replicas do not ask all at once.
fn jittered(wait: Duration) -> Duration {
    wait * (900 + u32::from(super::jitter()) / 5) / 1000
}
