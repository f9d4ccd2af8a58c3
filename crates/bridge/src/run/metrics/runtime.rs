//! What the worker needs and whether it moves, the figures of its runtime, and which version it is.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::page::{Page, figure};
use crate::run::health::Health;
use crate::run::readiness::Readiness;

#[derive(Debug)]
pub(super) struct Runtime {
    tokio: RuntimeMetrics,
    readiness: Readiness,
    health: Health,
}

impl Runtime {
    /// To be called inside of the runtime.
    pub(super) fn new(readiness: Readiness, health: Health) -> Self {
        Self {
            tokio: Handle::current().metrics(),
            readiness,
            health,
        }
    }

    fn busy(&self) -> Duration {
        (0..self.tokio.num_workers())
            .map(|worker| self.tokio.worker_total_busy_duration(worker))
            .sum()
    }

    fn parks(&self) -> u64 {
        (0..self.tokio.num_workers())
            .map(|worker| self.tokio.worker_park_count(worker))
            .sum()
    }
}

impl Collector for Runtime {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.info("mender_iothub_build", "Which version this is.", &version)?;
        let help = "Whether something that the worker needs is there: 1 or 0.";
        let needs = self.readiness.all();
        let values = needs
            .iter()
            .map(|need| (need.label, f64::from(u8::from(need.state.is_ok()))));
        page.gauges(
            "mender_iothub_dependency_ready",
            help,
            None,
            "dependency",
            values,
        )?;
        let help = "How late the last tick of the event loop was.";
        let lag = self.health.lag().as_secs_f64();
        page.gauge(
            "mender_iothub_event_loop_lag",
            help,
            Some(&Unit::Seconds),
            lag,
        )?;
        for (name, help, count) in [
            (
                "mender_iothub_tokio_workers",
                "Threads of the runtime.",
                self.tokio.num_workers(),
            ),
            (
                "mender_iothub_tokio_alive_tasks",
                "Tasks of the runtime.",
                self.tokio.num_alive_tasks(),
            ),
            (
                "mender_iothub_tokio_global_queue_depth",
                "Tasks that wait for a thread of the runtime.",
                self.tokio.global_queue_depth(),
            ),
        ] {
            page.gauge(name, help, None, figure(count as u64))?;
        }
        let help = "Time that the runtime's threads were busy.";
        let (seconds, busy) = (Some(&Unit::Seconds), self.busy().as_secs_f64());
        page.counter("mender_iothub_tokio_busy", help, seconds, busy)?;
        page.counter(
            "mender_iothub_tokio_parks",
            "How often a thread of the runtime went to sleep.",
            None,
            self.parks(),
        )
    }
}
