//! Whether a worker runs, and what it has to say.

use std::collections::BTreeSet;
use std::time::Duration;

use messages::{SuspendedStatus, WorkerStatus};

use super::finding::Finding;
use super::{Findings, Scene};
use crate::commands::status::workers::{Workers, ask};
use crate::print::span;

const CHECK: &str = "workers";
/// The cause of a hub that has no room, as workers tell it.
const FULL: &str = "full";

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    Ok(of_workers(&ask(scene.session).await?))
}

fn of_workers(workers: &Workers) -> Vec<Finding> {
    let answers = &workers.answers;
    if answers.is_empty() {
        let (what, advice) = if workers.nobody {
            (
                "no worker runs",
                "start `mender-iothub run` with this configuration",
            )
        } else {
            (
                "no worker answers: they hang, or NATS lets this user not ask, or them not answer",
                "look at their logs and at /readyz; see the permissions for iothub.ops.status in deploy/nats/users.conf",
            )
        };
        return vec![Finding::problem(CHECK, what).with_advice(advice)];
    }
    let mut found: Vec<_> = answers.iter().flat_map(of_worker).collect();
    let versions: BTreeSet<_> = answers.iter().map(|it| it.version.as_str()).collect();
    if versions.len() > 1 {
        let versions: Vec<_> = versions.into_iter().collect();
        found.push(
            Finding::advice(
                CHECK,
                format!("workers of several versions run: {}", versions.join(", ")),
            )
            .with_advice("end the upgrade or the rollback"),
        );
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, format!("{} ready", answers.len())));
    }
    found
}

fn of_worker(worker: &WorkerStatus) -> Vec<Finding> {
    let name = &worker.worker;
    let waiting = worker.waiting.iter().map(|waiting| {
        Finding::problem(
            CHECK,
            format!("{name} waits for {}: {}", waiting.need, waiting.because),
        )
        .with_advice("bring it back; the worker goes on by itself")
    });
    let suspended = worker.suspended.iter().map(|it| refused(name, it));
    let slow = worker.hubs.iter().filter(|hub| hub.paused_for_ms > 0).map(|hub| {
        Finding::advice(CHECK, format!("{name}: hub {} throttles, {} times so far", hub.hub, hub.throttled))
            .with_advice("are --tier and --units of `integration set` those of the hub? Does something else use it up?")
    });
    waiting.chain(suspended).chain(slow).collect()
}

fn refused(worker: &str, it: &SuspendedStatus) -> Finding {
    let (hub, reason) = (&it.hub, &it.reason);
    let since = span(Duration::from_secs(it.since_s));
    let (what, advice) = if it.cause == FULL {
        (
            format!("takes no more of a tenant's requests ({})", it.requests),
            "`mender-iothub status` names the tenant; make room in the hub, raise its tier or units, \
             or wait for its next day",
        )
    } else {
        (
            "has refused a tenant's credential".to_owned(),
            "`mender-iothub status` names the tenant; set a working credential with `integration set`",
        )
    };
    let text = format!("{worker}: hub {hub} {what}, for {since} now: {reason}");
    Finding::problem(CHECK, text).with_advice(advice)
}

#[cfg(test)]
mod tests {
    use messages::{HubStatus, WaitingFor};

    use super::super::finding::Severity::{self, Advice, Ok, Problem};
    use super::*;

    fn found(answers: Vec<WorkerStatus>, nobody: bool) -> Vec<(Severity, String)> {
        let found = of_workers(&Workers { answers, nobody });
        found.into_iter().map(|it| (it.severity, it.what)).collect()
    }

    fn worker() -> WorkerStatus {
        WorkerStatus {
            worker: "w".to_owned(),
            version: "1".to_owned(),
            ..WorkerStatus::default()
        }
    }

    #[test]
    fn each_trouble_of_workers_is_found() {
        let mut waits = worker();
        waits.waiting.push(WaitingFor {
            need: "a hub".to_owned(),
            because: "timed out".to_owned(),
        });
        let mut suspended = worker();
        suspended.suspended.push(SuspendedStatus::default());
        let mut full = worker();
        full.suspended.push(SuspendedStatus {
            cause: FULL.to_owned(),
            ..SuspendedStatus::default()
        });
        let mut slow = worker();
        slow.hubs.push(HubStatus {
            paused_for_ms: 1,
            ..HubStatus::default()
        });
        let mut newer = worker();
        newer.version = "2".to_owned();
        for (answers, nobody, severity, text) in [
            (vec![], true, Problem, "no worker runs"),
            (vec![], false, Problem, "no worker answers"),
            (vec![worker()], false, Ok, "1 ready"),
            (vec![waits], false, Problem, "w waits for a hub: timed out"),
            (vec![suspended], false, Problem, "refused"),
            (vec![full], false, Problem, "takes no more"),
            (vec![slow], false, Advice, "throttles"),
            (vec![worker(), newer], false, Advice, "several versions"),
        ] {
            let found = found(answers, nobody);
            assert_eq!((found.len(), found[0].0), (1, severity), "{found:?}");
            assert!(found[0].1.contains(text), "{found:?}");
        }
    }
}
