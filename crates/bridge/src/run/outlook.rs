//! Looks from time to time at what waits in NATS and what the last sweep found, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jetstream::{Backlog, KvSweeps};
use reconciler::sweep::{Finding, Report};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::STREAMS;
use super::readiness::Readiness;
use crate::session::Session;

/// How often the streams are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// The results of sweeps, one for each tenant, are read at each so many looks.
const SWEEPS: u32 = 3;

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outlook(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    backlog: Option<Backlog>,
    swept: Option<Swept>,
}

/// The last sweeps of all tenants together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Swept {
    pub(crate) findings: BTreeMap<String, u64>,
    pub(crate) records: u64,
    pub(crate) open_intents: u64,
    pub(crate) repaired: u64,
    pub(crate) held_back: u64,
    pub(crate) incomplete: u64,
    /// When the latest one ended, in seconds since 1970.
    pub(crate) at_s: f64,
}

impl Outlook {
    /// What was seen last; `None` where nothing could be.
    pub(super) fn seen(&self) -> (Option<Backlog>, Option<Swept>) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.backlog.clone(), seen.swept.clone())
    }

    /// Looks until told to stop; with `source`, at Mender's stream too.
    pub(super) async fn run(
        self,
        session: Session,
        source: bool,
        readiness: Readiness,
        stop: CancellationToken,
    ) {
        for round in 0_u32.. {
            let backlog = jetstream::backlog(&session.context, &session.names, source).await;
            readiness.report(STREAMS, whether_there(&backlog));
            self.keep(|seen| seen.backlog = backlog.ok());
            if round % SWEEPS == 0 {
                let swept = sweeps(&session).await;
                if let Err(error) = &swept {
                    tracing::debug!(%error, "the results of sweeps cannot be read");
                }
                self.keep(|seen| seen.swept = swept.ok().flatten());
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn keep(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn whether_there(backlog: &jetstream::Result<Backlog>) -> Result<(), String> {
    match backlog {
        Ok(backlog) if backlog.events.is_none() => {
            Err("the consumer of events is gone; run `mender-iothub setup`".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn sweeps(session: &Session) -> jetstream::Result<Option<Swept>> {
    let kept = KvSweeps::open(&session.context, &session.names).await?;
    let results = kept.results().await?;
    let reports = results.into_iter().filter_map(|(_, at, result)| {
        let report = serde_json::from_value::<Report>(result).ok()?;
        Some((at.as_micros(), report))
    });
    Ok(together(reports))
}

fn together(reports: impl Iterator<Item = (i64, Report)>) -> Option<Swept> {
    let mut all = None::<Swept>;
    for (at_us, report) in reports {
        let swept = all.get_or_insert_default();
        for finding in Finding::ALL {
            if let Ok(Value::String(name)) = serde_json::to_value(finding) {
                *swept.findings.entry(name).or_default() += report.count(finding);
            }
        }
        swept.records += report.records;
        swept.open_intents += report.open_intents;
        swept.repaired += report.repaired;
        swept.held_back += report.held_back;
        swept.incomplete += u64::from(!report.troubles.is_empty());
        swept.at_s = swept.at_s.max(seconds(at_us));
    }
    all
}

fn seconds(micros: i64) -> f64 {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use reconciler::sweep::{Found, Trouble};

    use super::*;

    #[test]
    fn the_tenants_sweeps_are_added_up() {
        let report = |count: u64, troubles: Vec<Trouble>| Report {
            findings: [(
                Finding::LostEvent,
                Found {
                    count,
                    ..Found::default()
                },
            )]
            .into(),
            records: 10,
            open_intents: count,
            troubles,
            ..Report::default()
        };
        let trouble = vec![Trouble::Hub("away".to_owned())];
        let reports = [
            (2_500_000, report(1, Vec::new())),
            (1_000_000, report(2, trouble)),
        ];
        let swept = together(reports.into_iter()).unwrap();
        assert_eq!(
            (swept.findings.len(), swept.findings["lost_event"]),
            (12, 3)
        );
        assert_eq!(swept.findings["drift"], 0, "what was not found is told too");
        assert_eq!(
            (swept.records, swept.open_intents, swept.incomplete),
            (20, 3, 1)
        );
        assert!((swept.at_s - 2.5).abs() < f64::EPSILON);
        assert_eq!(together(std::iter::empty()), None);
    }
}
