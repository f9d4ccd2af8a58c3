//! What the worker counts, as OpenMetrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use reconciler::Counters;

/// Names of the outcomes, in the order of [`lifecycle::Outcome`]'s variants.
const OUTCOMES: [&str; 5] = ["applied", "unchanged", "superseded", "ignored", "dead"];

/// The registry of everything that is counted.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Registry>);

impl Metrics {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        let mut registry = Registry::with_prefix("mender_iothub");
        registry.register_collector(Box::new(Worker(counters)));
        Self(Arc::new(registry))
    }

    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// Reads the reconciler's counters when somebody looks.
#[derive(Debug)]
struct Worker(Arc<Counters>);

impl Collector for Worker {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut events = encoder.encode_descriptor(
            "events",
            "Events ended, by outcome",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in OUTCOMES.iter().zip(&self.0.outcomes) {
            let labels = [("outcome", *outcome)];
            let family = events.encode_family(&labels)?;
            ConstCounter::new(read(count)).encode(family)?;
        }
        for (name, help, count) in [
            (
                "hub_reads",
                "Identity reads sent to hubs",
                &self.0.hub_reads,
            ),
            (
                "hub_writes",
                "Identity writes sent to hubs",
                &self.0.hub_writes,
            ),
            (
                "deliveries",
                "Connection strings handed to Mender",
                &self.0.deliveries,
            ),
            ("wake_ups", "Wake-ups scheduled", &self.0.wake_ups),
            (
                "lost_saves",
                "Records changed by somebody else first",
                &self.0.lost,
            ),
        ] {
            let counter = ConstCounter::new(read(count));
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
