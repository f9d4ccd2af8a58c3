//! What became of events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jetstream::{AdvisoryCounters, IngestCounters, IntakeCounters};
use lifecycle::Outcome;
use messages::header;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use reconciler::Counters;

use super::page::Page;
use crate::run::webhooks::WebhookCounters;

/// What the parts of the worker count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) worker: Arc<Counters>,
    pub(crate) intake: Arc<OnceLock<Arc<IntakeCounters>>>,
    pub(crate) ingest: Arc<OnceLock<Arc<IngestCounters>>>,
    pub(crate) advisories: Arc<OnceLock<Arc<AdvisoryCounters>>>,
    pub(crate) webhooks: Arc<OnceLock<Arc<WebhookCounters>>>,
}

impl Counted {
    fn of_intake(&self, counter: fn(&IntakeCounters) -> &AtomicU64) -> u64 {
        self.intake
            .get()
            .map_or(0, |counters| read(counter(counters)))
    }

    fn of_ingest(&self, counter: fn(&IngestCounters) -> &AtomicU64) -> u64 {
        self.ingest
            .get()
            .map_or(0, |counters| read(counter(counters)))
    }

    fn of_advisories(&self, counter: fn(&AdvisoryCounters) -> &AtomicU64) -> u64 {
        self.advisories
            .get()
            .map_or(0, |counters| read(counter(counters)))
    }

    /// Attempts to send an outcome to a webhook, by result.
    fn webhook_attempts(&self) -> [(&'static str, u64); 3] {
        let of = |counter: fn(&WebhookCounters) -> &AtomicU64| {
            let counters = self.webhooks.get();
            counters.map_or(0, |counters| read(counter(counters)))
        };
        [
            ("sent", of(|c| &c.sent)),
            ("retried", of(|c| &c.retried)),
            ("given_up", of(|c| &c.given_up)),
        ]
    }

    /// Dead letters written, by class.
    fn letters(&self) -> [(&'static str, u64); 5] {
        let malformed = self.of_intake(|c| &c.malformed) + self.of_ingest(|c| &c.malformed);
        let poison = self.of_intake(|c| &c.poison) + self.of_ingest(|c| &c.poison);
        [
            (header::CLASS_MALFORMED, malformed),
            (header::CLASS_PERMANENT, read(&self.worker.dead_permanent)),
            (header::CLASS_EXHAUSTED, read(&self.worker.dead_exhausted)),
            (
                header::CLASS_POISON,
                poison + self.of_advisories(|c| &c.given_up),
            ),
            (
                header::CLASS_TERMINATED,
                self.of_advisories(|c| &c.terminated),
            ),
        ]
    }

    /// Events ended, by outcome: also those that never reached the reconciler.
    fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let buried = self.of_intake(|c| &c.malformed)
            + self.of_intake(|c| &c.poison)
            + self.of_ingest(|c| &c.malformed)
            + self.of_ingest(|c| &c.poison)
            + self.of_advisories(|c| &c.given_up);
        Outcome::ALL.into_iter().map(move |outcome| {
            let buried = if outcome == Outcome::Dead { buried } else { 0 };
            (
                outcome.name(),
                read(&self.worker.outcomes[outcome as usize]) + buried,
            )
        })
    }
}

/// Reads the counters when somebody looks.
impl Collector for Counted {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        let worker = &self.worker;
        let help = "Events ended, by outcome.";
        page.counters("mender_iothub_events", help, None, "outcome", self.ended())?;
        let help = "From an event's storing in NATS to its outcome, dead ones left out.";
        page.delays("mender_iothub_event_duration", help, &worker.settled)?;
        let help = "Dead letters written, by class.";
        page.counters(
            "mender_iothub_dead_letters",
            help,
            None,
            "class",
            self.letters(),
        )?;
        let (all, failed) = (read(&worker.deliveries), read(&worker.failed_deliveries));
        let results = [("ok", all.saturating_sub(failed)), ("failed", failed)];
        let help = "Connection strings handed to Mender, by result.";
        page.counters("mender_iothub_deliveries", help, None, "result", results)?;
        let help = "Attempts to send an outcome to a webhook, by result.";
        let attempts = self.webhook_attempts();
        page.counters(
            "mender_iothub_webhook_attempts",
            help,
            None,
            "result",
            attempts,
        )?;
        for (name, help, count) in [
            (
                "mender_iothub_hub_reads",
                "Identity reads sent to hubs.",
                read(&worker.hub_reads),
            ),
            (
                "mender_iothub_hub_writes",
                "Identity writes sent to hubs.",
                read(&worker.hub_writes),
            ),
            (
                "mender_iothub_unanswered_writes",
                "Identity writes of which it is not known whether they took effect: their intents stay open.",
                read(&worker.unanswered),
            ),
            (
                "mender_iothub_wake_ups",
                "Wake-ups scheduled.",
                read(&worker.wake_ups),
            ),
            (
                "mender_iothub_lost_saves",
                "Records changed by somebody else first.",
                read(&worker.lost),
            ),
            (
                "mender_iothub_redeliveries",
                "Messages delivered not for the first time.",
                self.of_intake(|c| &c.redelivered),
            ),
            (
                "mender_iothub_mender_messages",
                "Messages taken from Mender's stream.",
                self.of_ingest(|c| &c.messages),
            ),
            (
                "mender_iothub_terminated",
                "Messages that somebody else terminated.",
                self.of_advisories(|c| &c.terminated),
            ),
            (
                "mender_iothub_deleted",
                "Messages deleted while in work, or forgotten by a killed server to be acknowledged.",
                self.of_advisories(|c| &c.deleted),
            ),
        ] {
            page.counter(name, help, None, count)?;
        }
        Ok(())
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
