//! Hears of every request to hubs, to Mender and to the twin service, and counts it.
//!
//! One for the process, as there is one log: clients are made in many places and live for seconds or
//! for weeks, and what they did must add up.

mod served;

use std::iter;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use iothub::Kind;
use mender::Service;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
pub(crate) use served::Served;
use twin::{ErrorCode, Verb};

use crate::telemetry;

/// Bounds of the buckets for one request, in seconds. A throttled hub answers after up to a minute.
const BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0,
];

/// What the worker asks hubs for, and classes of answers. They are on the page from the start, at 0:
/// who looks for an increase does not see the first one of a series that was not there before.
const OPERATIONS: [&str; 12] = [
    "get_device",
    "create_device",
    "update_device",
    "delete_device",
    "query",
    "get_twin",
    "update_twin",
    "replace_twin",
    "invoke_method",
    "create_job",
    "get_job",
    "cancel_job",
];
const CLASSES: [&str; 10] = [
    "ok",
    "not_found",
    "conflict",
    "credentials",
    "throttled",
    "full",
    "not_available",
    "refused",
    "transient",
    "malformed",
];

const MENDER_CLASSES: [&str; 6] = [
    "ok",
    "transient",
    "throttled",
    "not_found",
    "refused",
    "malformed",
];

type Label = (&'static str, &'static str);
type VerbAndCode = ([Label; 1], [(&'static str, u16); 1]);
type Counters = Family<[Label; 2], Counter>;
type Times = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// What was asked of others, and of us.
#[derive(Debug)]
pub(crate) struct Requests {
    hub: Counters,
    /// When a hub answered last, be it with a refusal.
    hub_answered: Mutex<Option<Instant>>,
    hub_times: Times,
    mender: Counters,
    mender_times: Times,
    twin: Family<VerbAndCode, Counter>,
    twin_times: Times,
}

/// The requests of this process.
pub(crate) fn requests() -> &'static Arc<Requests> {
    static REQUESTS: LazyLock<Arc<Requests>> = LazyLock::new(Arc::default);
    &REQUESTS
}

/// What the HTTP APIs of this process answered.
pub(crate) fn served() -> &'static Arc<Served> {
    static SERVED: LazyLock<Arc<Served>> = LazyLock::new(Arc::default);
    &SERVED
}

fn times() -> Times {
    Times::new_with_constructor(|| Histogram::new(BOUNDS))
}

impl Default for Requests {
    fn default() -> Self {
        let requests = Self {
            hub: Family::default(),
            hub_answered: Mutex::default(),
            hub_times: times(),
            mender: Family::default(),
            mender_times: times(),
            twin: Family::default(),
            twin_times: times(),
        };
        for operation in OPERATIONS {
            for class in CLASSES {
                let labels = [("operation", operation), ("class", class)];
                drop(requests.hub.get_or_create(&labels));
            }
            drop(
                requests
                    .hub_times
                    .get_or_create(&[("operation", operation)]),
            );
        }
        for service in Service::ALL.map(Service::name) {
            for class in MENDER_CLASSES {
                let labels = [("service", service), ("class", class)];
                drop(requests.mender.get_or_create(&labels));
            }
            drop(requests.mender_times.get_or_create(&[("service", service)]));
        }
        for verb in Verb::ALL.map(Verb::as_str) {
            for code in iter::once(200).chain(ErrorCode::ALL.map(ErrorCode::number)) {
                let labels = ([("verb", verb)], [("code", code)]);
                drop(requests.twin.get_or_create(&labels));
            }
            drop(requests.twin_times.get_or_create(&[("verb", verb)]));
        }
        requests
    }
}

impl Requests {
    /// Puts them on the page of metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Requests to hubs, by operation and class of the answer";
        registry.register("mender_iothub_hub_requests", help, self.hub.clone());
        let help = "Requests to Mender's services, by service and class of the answer";
        registry.register("mender_iothub_mender_requests", help, self.mender.clone());
        let help = "Twin requests answered, by verb and code: 200, or that of the error";
        registry.register("mender_iothub_twin_requests", help, self.twin.clone());
        for (name, help, times) in [
            (
                "mender_iothub_hub_request_duration",
                "From asking a hub to its answer",
                &self.hub_times,
            ),
            (
                "mender_iothub_mender_request_duration",
                "From asking a service of Mender's to its answer",
                &self.mender_times,
            ),
            (
                "mender_iothub_twin_request_duration",
                "From a twin request to its answer",
                &self.twin_times,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        }
    }

    /// Whether any hub has answered anything lately.
    pub(crate) fn a_hub_answered_within(&self, time: Duration) -> bool {
        let last = *self
            .hub_answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < time)
    }

    /// For the twin service.
    pub(crate) fn twin_watch(self: &Arc<Self>) -> twin::Watch {
        let requests = Arc::clone(self);
        Arc::new(move |verb: Verb, code: Option<ErrorCode>, took: Duration| {
            let verb = [("verb", verb.as_str())];
            let code = [("code", code.map_or(200, ErrorCode::number))];
            requests.twin.get_or_create(&(verb, code)).inc();
            requests
                .twin_times
                .get_or_create(&verb)
                .observe(took.as_secs_f64());
        })
    }
}

impl iothub::Watch for Requests {
    fn traceparent(&self) -> Option<HeaderValue> {
        telemetry::traceparent()
    }

    fn ended(&self, ended: &iothub::Ended<'_>) {
        if ended.error.is_none_or(|error| error.status().is_some()) {
            let mut last = self
                .hub_answered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some(Instant::now());
        }
        let operation = ("operation", ended.operation);
        let class = ended.error.map_or("ok", |error| class_of_hub(error.kind()));
        self.hub.get_or_create(&[operation, ("class", class)]).inc();
        let times = self.hub_times.get_or_create(&[operation]);
        times.observe(ended.took.as_secs_f64());
    }
}

impl mender::Watch for Requests {
    fn traceparent(&self) -> Option<HeaderValue> {
        telemetry::traceparent()
    }

    fn ended(&self, service: Service, error: Option<&mender::Error>, took: Duration) {
        let service = ("service", service.name());
        let class = error.map_or("ok", class_of_mender);
        self.mender
            .get_or_create(&[service, ("class", class)])
            .inc();
        self.mender_times
            .get_or_create(&[service])
            .observe(took.as_secs_f64());
    }
}

const fn class_of_hub(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound => "not_found",
        Kind::AlreadyExists | Kind::PreconditionFailed => "conflict",
        Kind::Unauthorized => "credentials",
        Kind::Throttled { .. } => "throttled",
        Kind::QuotaExceeded | Kind::HubFull => "full",
        Kind::NotAvailable => "not_available",
        Kind::Invalid => "refused",
        Kind::Transient => "transient",
        Kind::Malformed => "malformed",
    }
}

const fn class_of_mender(error: &mender::Error) -> &'static str {
    match error {
        mender::Error::Transient { .. } => "transient",
        mender::Error::Throttled { .. } => "throttled",
        mender::Error::NotFound { .. } => "not_found",
        mender::Error::Refused { .. } => "refused",
        mender::Error::Malformed { .. } => "malformed",
        mender::Error::NotStarted => "not_started",
    }
}
