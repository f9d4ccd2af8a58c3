//! How requests to hubs are paced.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use reconciler::{Cause, Suspension};

use super::HUBS;
use super::page::{Page, figure};
use crate::run::Worker;
use crate::run::ops::Told;

/// Stands for the hubs beyond the first [`HUBS`].
const OTHER: &str = "other";

/// Asks the worker, once there is one.
pub(super) struct Hubs(pub(super) Arc<Told>);

/// What is shown of one hub.
#[derive(Debug, Clone, Default, PartialEq)]
struct Hub {
    host: String,
    /// Seconds between two requests; 0 where nothing limits them.
    interval: f64,
    paused_for: Duration,
    under_way: usize,
    suspended: usize,
    waits: u64,
    waited: Duration,
    refusals: u64,
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hubs")
    }
}

/// Each hub that was asked for anything, in the order of their names.
fn hubs(worker: &Worker) -> Vec<Hub> {
    let suspensions = worker.suspensions();
    let refused = |one: &Suspension, hub: &str| one.hub == hub && one.cause == Cause::Credentials;
    let suspended = |hub: &str| {
        suspensions
            .iter()
            .filter(|(_, one)| refused(one, hub))
            .count()
    };
    let mut hubs: Vec<Hub> = worker
        .paces()
        .into_iter()
        .map(|pace| Hub {
            interval: pace
                .present
                .map_or(0.0, |a_minute| 60.0 / f64::from(a_minute.max(1))),
            paused_for: pace.paused_for,
            under_way: worker.under_way(&pace.hub),
            suspended: suspended(&pace.hub),
            waits: pace.waits,
            waited: pace.waited,
            refusals: pace.refusals,
            host: pace.hub,
        })
        .collect();
    hubs.sort_by(|one, other| one.host.cmp(&other.host));
    hubs
}

/// At most [`HUBS`] and one that stands for the rest.
fn bounded(mut hubs: Vec<Hub>) -> Vec<Hub> {
    if hubs.len() > HUBS {
        let rest = hubs.split_off(HUBS);
        let mut other = Hub {
            host: OTHER.to_owned(),
            ..Hub::default()
        };
        for hub in rest {
            other.interval = other.interval.max(hub.interval);
            other.paused_for = other.paused_for.max(hub.paused_for);
            other.waits += hub.waits;
            other.waited += hub.waited;
            other.refusals += hub.refusals;
            other.under_way += hub.under_way;
            other.suspended += hub.suspended;
        }
        hubs.push(other);
    }
    hubs
}

impl Collector for Hubs {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let hubs = bounded(
            self.0
                .worker()
                .map(|worker| hubs(worker))
                .unwrap_or_default(),
        );
        let mut page = Page(encoder);
        let seconds = Some(&Unit::Seconds);
        let of =
            |value: fn(&Hub) -> f64| hubs.iter().map(move |hub| (hub.host.as_str(), value(hub)));
        let count =
            |value: fn(&Hub) -> u64| hubs.iter().map(move |hub| (hub.host.as_str(), value(hub)));

        let help = "Distance between two requests to the hub; 0 where they are not paced.";
        let values = of(|hub| hub.interval);
        page.gauges(
            "mender_iothub_hub_pace_interval",
            help,
            seconds,
            "hub",
            values,
        )?;
        let help = "How long no request may go to the hub, since it throttles.";
        let values = of(|hub| hub.paused_for.as_secs_f64());
        page.gauges("mender_iothub_hub_paused", help, seconds, "hub", values)?;
        let help = "Requests to the hub without an answer so far, by this worker.";
        let values = of(|hub| figure(hub.under_way as u64));
        page.gauges(
            "mender_iothub_hub_requests_in_flight",
            help,
            None,
            "hub",
            values,
        )?;
        let help = "Integrations whose credential the hub refuses.";
        let values = of(|hub| figure(hub.suspended as u64));
        page.gauges(
            "mender_iothub_suspended_integrations",
            help,
            None,
            "hub",
            values,
        )?;
        let help = "Requests that had to wait for the hub's pace.";
        page.counters(
            "mender_iothub_hub_pace_waits",
            help,
            None,
            "hub",
            count(|hub| hub.waits),
        )?;
        let help = "Time that requests have waited for the hub's pace.";
        let values = of(|hub| hub.waited.as_secs_f64());
        page.counters("mender_iothub_hub_pace_wait", help, seconds, "hub", values)?;
        let help = "Refusals by the hub for being too busy, those of one second counted once.";
        page.counters(
            "mender_iothub_hub_throttled",
            help,
            None,
            "hub",
            count(|hub| hub.refusals),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_hubs_there_are_the_page_stays_short() {
        let hub = |n: usize| Hub {
            host: format!("h{n:04}"),
            waits: 1,
            ..Hub::default()
        };
        let few: Vec<_> = (0..HUBS).map(hub).collect();
        assert_eq!(bounded(few.clone()), few);
        let many = bounded((0..1_000).map(hub).collect());
        assert_eq!(many.len(), HUBS + 1);
        assert_eq!(many.iter().map(|hub| hub.waits).sum::<u64>(), 1_000);
        assert_eq!(many[HUBS].host, OTHER);
    }
}
