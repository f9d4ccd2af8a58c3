//! Work that waits, letters that are dead, sweeps that do not happen.

use std::time::Duration;

use jetstream::{KvSweeps, Status};
use lifecycle::Timestamp;
use reconciler::sweep::Report;

use super::finding::Finding;
use super::{Findings, Scene};
use crate::print::{self, span};

const CHECK: &str = "backlog";
const SWEEP: &str = "sweep";
/// An event that waits longer than this waits for something.
const OLD: Duration = Duration::from_secs(300);
/// So many times the interval may pass without a sweep.
const MISSED: u32 = 3;

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let (context, names) = (&scene.session.context, &scene.session.names);
    let status = jetstream::status(context, names).await?;
    let mut found = of_streams(&status, &names.dead_letter_stream());
    let sweep = &scene.config.sweep;
    if !sweep.enabled {
        found.push(
            Finding::advice(
                SWEEP,
                "`sweep.enabled` is false: what events missed is never repaired",
            )
            .with_advice("set it to true, or run `mender-iothub sweep` from time to time"),
        );
        return Ok(found);
    }
    let results = KvSweeps::open(context, names).await?.results().await?;
    let every = Duration::from_secs(sweep.every_s);
    let now = print::now();
    for (tenant, at, result) in &results {
        let report = serde_json::from_value(result.clone()).unwrap_or_default();
        found.extend(of_sweep(tenant.as_str(), now, *at, &report, every));
    }
    Ok(found)
}

fn of_streams(status: &Status, letters: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let oldest = Duration::from_secs(status.oldest_event_seconds.unwrap_or(0));
    if oldest > OLD {
        found.push(
            Finding::problem(CHECK, format!("the oldest event has waited for {}", span(oldest)))
                .with_advice("does a worker run, is a hub away or throttling, is a tenant suspended? `mender-iothub status`"),
        );
    }
    let dead = status.streams.iter().find(|stream| stream.name == letters);
    let dead = dead.map_or(0, |stream| stream.messages);
    if dead > 0 {
        found.push(
            Finding::advice(
                CHECK,
                format!("{dead} dead letters: what they ask for was not done"),
            )
            .with_advice("mender-iothub dlq list; mend the cause, then `dlq replay`"),
        );
    }
    if found.is_empty() {
        found.push(Finding::ok(
            CHECK,
            "no event waits for long, and there are no dead letters",
        ));
    }
    found
}

fn of_sweep(
    tenant: &str,
    now: Timestamp,
    at: Timestamp,
    report: &Report,
    every: Duration,
) -> Vec<Finding> {
    let ago = now.since(at);
    let mut found = Vec::new();
    if ago > every * MISSED {
        found.push(
            Finding::problem(SWEEP, format!("tenant {tenant:?} was swept {} ago, and is to be every {}", span(ago), span(every)))
                .with_advice("does a worker run? Its log says why a sweep failed. If the tenant has no integration any more, ignore this"),
        );
    }
    if report.held_back > 0 {
        let n = report.held_back;
        found.push(
            Finding::problem(SWEEP, format!("tenant {tenant:?}: {n} devices would be disabled or deleted, which is too many to do so unasked"))
                .with_advice("mender-iothub sweep --dry-run shows them; if it is right: sweep --force"),
        );
    }
    if !report.troubles.is_empty() {
        found.push(
            Finding::problem(
                SWEEP,
                format!("the last sweep of tenant {tenant:?} was not complete"),
            )
            .with_advice("mender-iothub sweep --dry-run says what it could not list"),
        );
    }
    if found.is_empty() {
        found.push(Finding::ok(
            SWEEP,
            format!("tenant {tenant:?} was swept {} ago", span(ago)),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use jetstream::StreamStatus;
    use reconciler::sweep::Trouble;

    use super::super::finding::Severity::{Advice, Ok, Problem};
    use super::*;

    fn status(oldest: Option<u64>, dead: u64) -> Status {
        Status {
            streams: vec![StreamStatus {
                name: "DLQ".to_owned(),
                exists: true,
                messages: dead,
                bytes: 0,
                oldest_seconds: None,
            }],
            consumers: Vec::new(),
            oldest_event_seconds: oldest,
        }
    }

    #[test]
    fn old_events_and_dead_letters_are_found() {
        for (oldest, dead, severity) in [
            (None, 0, Ok),
            (Some(300), 0, Ok),
            (Some(301), 0, Problem),
            (None, 1, Advice),
        ] {
            let found = of_streams(&status(oldest, dead), "DLQ");
            assert_eq!(found[0].severity, severity, "{found:?}");
        }
    }

    #[test]
    fn each_trouble_of_a_sweep_is_found() {
        let every = Duration::from_secs(60);
        let of = |seconds: i64, report: Report| {
            let now = Timestamp::from_micros(seconds * 1_000_000);
            let found = of_sweep("t", now, Timestamp::from_micros(0), &report, every);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].severity
        };
        assert_eq!(of(180, Report::default()), Ok);
        assert_eq!(of(181, Report::default()), Problem);
        let held = Report {
            held_back: 30,
            ..Report::default()
        };
        assert_eq!(of(0, held), Problem);
        let half = Report {
            troubles: vec![Trouble::Hub("401".to_owned())],
            ..Report::default()
        };
        assert_eq!(of(0, half), Problem);
    }
}
