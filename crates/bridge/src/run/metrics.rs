//! What the worker counts, as OpenMetrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jetstream::{AdvisoryCounters, IngestCounters, IntakeCounters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use reconciler::Counters;

use super::webhooks::WebhookCounters;

/// Names of the outcomes, in the order of [`lifecycle::Outcome`]'s variants.
const OUTCOMES: [&str; 5] = ["applied", "unchanged", "superseded", "ignored", "dead"];

/// What the parts of the worker count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) worker: Arc<Counters>,
    pub(crate) intake: Arc<OnceLock<Arc<IntakeCounters>>>,
    pub(crate) ingest: Arc<OnceLock<Arc<IngestCounters>>>,
    pub(crate) advisories: Arc<OnceLock<Arc<AdvisoryCounters>>>,
    pub(crate) webhooks: Arc<OnceLock<Arc<WebhookCounters>>>,
}

/// The registry of everything that is counted.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Registry>);

impl Metrics {
    pub(crate) fn new(counted: Counted) -> Self {
        let mut registry = Registry::with_prefix("mender_iothub");
        registry.register_collector(Box::new(counted));
        Self(Arc::new(registry))
    }

    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

impl Counted {
    /// Events that ended before they reached the reconciler: unreadable ones, and poison.
    fn buried(&self) -> u64 {
        let intake = self
            .intake
            .get()
            .map_or(0, |c| read(&c.malformed) + read(&c.poison));
        let ingest = self
            .ingest
            .get()
            .map_or(0, |c| read(&c.malformed) + read(&c.poison));
        let given_up = self.advisories.get().map_or(0, |c| read(&c.given_up));
        intake + ingest + given_up
    }

    /// Counters without labels: name, help, value.
    fn plain(&self) -> Vec<(&'static str, &'static str, u64)> {
        let worker = &self.worker;
        let mut plain = vec![
            (
                "hub_reads",
                "Identity reads sent to hubs",
                read(&worker.hub_reads),
            ),
            (
                "hub_writes",
                "Identity writes sent to hubs",
                read(&worker.hub_writes),
            ),
            (
                "deliveries",
                "Connection strings handed to Mender",
                read(&worker.deliveries),
            ),
            ("wake_ups", "Wake-ups scheduled", read(&worker.wake_ups)),
            (
                "lost_saves",
                "Records changed by somebody else first",
                read(&worker.lost),
            ),
        ];
        if let Some(intake) = self.intake.get() {
            let again = read(&intake.redelivered);
            plain.push((
                "redeliveries",
                "Messages delivered not for the first time",
                again,
            ));
        }
        if let Some(ingest) = self.ingest.get() {
            let taken = read(&ingest.messages);
            plain.push((
                "mender_messages",
                "Messages taken from Mender's stream",
                taken,
            ));
        }
        if let Some(advisories) = self.advisories.get() {
            let (terminated, deleted) = (read(&advisories.terminated), read(&advisories.deleted));
            plain.extend([
                (
                    "terminated",
                    "Messages that somebody else terminated",
                    terminated,
                ),
                (
                    "deleted",
                    "Messages deleted while in work, or forgotten by a killed server to be acknowledged",
                    deleted,
                ),
            ]);
        }
        plain
    }
}

/// Reads the counters when somebody looks.
impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Events ended, by outcome";
        let mut events = encoder.encode_descriptor("events", help, None, MetricType::Counter)?;
        for (outcome, count) in OUTCOMES.iter().zip(&self.worker.outcomes) {
            let buried = if *outcome == "dead" { self.buried() } else { 0 };
            let labels = [("outcome", *outcome)];
            let family = events.encode_family(&labels)?;
            ConstCounter::new(read(count) + buried).encode(family)?;
        }
        if let Some(webhooks) = self.webhooks.get() {
            let help = "Attempts to send an outcome to a webhook, by result";
            let name = "webhook_attempts";
            let mut attempts = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (result, count) in [
                ("sent", &webhooks.sent),
                ("retried", &webhooks.retried),
                ("given_up", &webhooks.given_up),
            ] {
                let labels = [("result", result)];
                let family = attempts.encode_family(&labels)?;
                ConstCounter::new(read(count)).encode(family)?;
            }
        }
        for (name, help, count) in self.plain() {
            let counter = ConstCounter::new(count);
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
