//! Keeps devices in line with configurations, and their metrics up to date.
//!
//! The real service looks every few minutes; this looks again a short while after anything has
//! changed, and does nothing otherwise.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::apply::{Plan, Ready, plan, sort};
use super::{Configuration, Results, view};
use crate::hub::Hub;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::query::token::Place;
use crate::query::{is_true, parse};
use crate::registry::{Fresh, Trace};
use crate::service::query::{dialect, scan};

/// Devices looked at in one go, with the state locked.
const STEP: usize = 100;

/// Looks again and again until the task is dropped.
pub(crate) async fn keep(hub: Arc<Hub>, every: Duration) -> Infallible {
    let mut seen = None;
    loop {
        sleep(every).await;
        let (version, empty) = {
            let configurations = hub.configurations();
            (
                configurations.version(),
                configurations.all().next().is_none(),
            )
        };
        let state = (version, hub.with_registry(|registry, _| registry.version()));
        // What was never there need not be taken away.
        if seen == Some(state) || (empty && version == 0) {
            continue;
        }
        look(&hub).await;
        // What looking itself has changed is no reason to look again, except for new modules.
        seen = Some(state);
    }
}

/// Applies all configurations to all devices, and counts.
async fn look(hub: &Arc<Hub>) {
    let dialect = dialect(&hub.choices);
    let all: Vec<Configuration> = hub.configurations().all().cloned().collect();
    let mut ready: Vec<Ready> = all
        .iter()
        .filter_map(|it| Ready::new(it, dialect))
        .collect();
    sort(&mut ready);
    let mut after = None;
    while let Some(last) = step(hub, &ready, after.as_deref()) {
        after = Some(last);
        tokio::task::yield_now().await;
    }
    for configuration in all {
        let results = Results {
            system: system(hub, &configuration).await,
            custom: custom(hub, &configuration.queries).await,
        };
        hub.configurations().note(&configuration.id, results);
    }
}

/// Applies configurations to the devices that follow `after`; answers with the last of them.
fn step(hub: &Hub, ready: &[Ready], after: Option<&str>) -> Option<String> {
    let any_case = hub.choices.any_case_keys();
    let fresh = hub.fresh();
    let (changed, last) = hub.with_registry(|registry, now| {
        let plans: Vec<(String, Plan)> = registry
            .page(after, STEP)
            .map(|device| {
                let id = device.identity.device_id.clone();
                (id, plan(device, ready, any_case))
            })
            .collect();
        let last = plans.last().map(|(id, _)| id.clone());
        let fresh = Fresh { now, ..fresh };
        let carry_out = |(id, plan): (String, Plan)| {
            let trace = registry.carry_out(&id, plan, &fresh)?;
            Some((id, trace))
        };
        let changed: Vec<(String, Trace)> = plans.into_iter().filter_map(carry_out).collect();
        (changed, last)
    });
    for (id, trace) in changed {
        journal(hub, &id, trace);
    }
    last
}

async fn system(hub: &Hub, configuration: &Configuration) -> BTreeMap<String, u64> {
    if configuration.target.trim().is_empty() {
        let names = view::system_queries(configuration).into_keys();
        return names.map(|name| (name, 0)).collect();
    }
    custom(hub, &view::system_queries(configuration)).await
}

async fn custom(hub: &Hub, queries: &BTreeMap<String, String>) -> BTreeMap<String, u64> {
    let mut results = BTreeMap::new();
    for (name, query) in queries {
        results.extend(count(hub, query).await.map(|count| (name.clone(), count)));
    }
    results
}

/// How many rows a query finds; `None` if it is none.
async fn count(hub: &Hub, text: &str) -> Option<u64> {
    let query = parse(text, dialect(&hub.choices)).ok()?;
    let mut count = 0;
    scan(hub, query.source, &Place::default(), |row| {
        count += u64::from(is_true(query.filter.as_ref(), row));
        ControlFlow::Continue(())
    })
    .await;
    Some(count)
}

/// Writes what configurations did to a device into the journal.
fn journal(hub: &Hub, device: &str, trace: Trace) {
    let now = hub.clock.tick();
    let mut entry = Entry::arrived(
        "PATCH",
        "/configurations",
        Operation::ConfigurationItem,
        now,
    );
    entry.device = Some(device.into());
    entry.take_effect(trace, now);
    entry.reply(200, now);
    hub.journal.open(entry);
}
