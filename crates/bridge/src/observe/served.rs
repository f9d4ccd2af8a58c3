//! Hears of every answer of iot-manager's HTTP APIs, and counts it.

use axum::http::StatusCode;
use http_api::{Answered, Watch};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::{Label, Times, times};

/// Classes of statuses that are on the page from the start.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Requests to the HTTP APIs.
#[derive(Debug)]
pub(crate) struct Served {
    requests: Family<[Label; 3], Counter>,
    times: Times,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            times: times(),
        }
    }
}

impl Served {
    /// Puts them on the page of metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Requests to the HTTP APIs, by method, route and class of the status";
        let name = "mender_iothub_http_requests";
        registry.register(name, help, self.requests.clone());
        let help = "From a request to the HTTP APIs to its answer, by route";
        let name = "mender_iothub_http_request_duration";
        registry.register_with_unit(name, help, Unit::Seconds, self.times.clone());
    }

    /// Shows all routes from now on, at 0: who looks for an increase does not see the first one of a
    /// series that was not there before.
    pub(crate) fn expect_requests(&self) {
        for (method, route) in http_api::routes() {
            for status in CLASSES {
                drop(self.requests.get_or_create(&labels(method, route, status)));
            }
            drop(self.times.get_or_create(&[("route", route)]));
        }
    }
}

impl Watch for Served {
    fn answered(&self, answered: &Answered) {
        let Answered { method, route, .. } = *answered;
        let labels = labels(method, route, class(answered.status));
        self.requests.get_or_create(&labels).inc();
        let times = self.times.get_or_create(&[("route", route)]);
        times.observe(answered.took.as_secs_f64());
    }
}

const fn labels(method: &'static str, route: &'static str, status: &'static str) -> [Label; 3] {
    [("method", method), ("route", route), ("status", status)]
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}
