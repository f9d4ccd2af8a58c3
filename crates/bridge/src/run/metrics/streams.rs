//! What waits in NATS, and what the last sweep found. These figures are the server's: each worker shows the
//! same, so take their maximum over workers and not their sum.

use std::fmt;

use jetstream::{Backlog, Waiting};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use super::page::{Page, figure};
use crate::run::outlook::{Outlook, Swept};

impl Collector for Outlook {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        let (backlog, swept) = self.seen();
        if let Some(backlog) = backlog {
            waiting(&mut page, &backlog)?;
        }
        match swept {
            Some(swept) => sweep(&mut page, &swept),
            None => Ok(()),
        }
    }
}

fn waiting(page: &mut Page<'_>, backlog: &Backlog) -> fmt::Result {
    let known = [("source", backlog.source), ("events", backlog.events)];
    let known = || {
        known
            .iter()
            .filter_map(|(stream, waiting)| Some((*stream, (*waiting)?)))
    };
    let of =
        |value: fn(Waiting) -> f64| known().map(move |(stream, waiting)| (stream, value(waiting)));
    let help = "Messages that are not acknowledged yet, by stream: Mender's (source), or ours.";
    let values = of(|waiting| figure(waiting.undelivered + waiting.in_work));
    page.gauges(
        "mender_iothub_backlog_messages",
        help,
        None,
        "stream",
        values,
    )?;
    let help = "Age of the oldest of them; 0 if there is none.";
    let values = of(|waiting| waiting.oldest.as_secs_f64());
    page.gauges(
        "mender_iothub_backlog_age",
        help,
        Some(&Unit::Seconds),
        "stream",
        values,
    )?;
    let help = "Dead letters kept at present.";
    page.gauge(
        "mender_iothub_dead_letters_kept",
        help,
        None,
        figure(backlog.dead_letters),
    )
}

fn sweep(page: &mut Page<'_>, swept: &Swept) -> fmt::Result {
    let help = "What the last sweep found, all tenants together, by finding.";
    let findings = swept
        .findings
        .iter()
        .map(|(name, count)| (name.as_str(), figure(*count)));
    page.gauges(
        "mender_iothub_sweep_findings",
        help,
        None,
        "finding",
        findings,
    )?;
    for (name, help, count) in [
        (
            "mender_iothub_sweep_records",
            "Device records that the last sweep saw.",
            swept.records,
        ),
        (
            "mender_iothub_open_intents",
            "Hub requests that may still take effect, by the records that the last sweep saw.",
            swept.open_intents,
        ),
        (
            "mender_iothub_sweep_repaired",
            "Devices that the last sweep handed to workers.",
            swept.repaired,
        ),
        (
            "mender_iothub_sweep_held_back",
            "Devices that the last sweep would have disabled or deleted, but were too many.",
            swept.held_back,
        ),
        (
            "mender_iothub_sweep_incomplete",
            "Tenants whose last sweep could not see everything.",
            swept.incomplete,
        ),
    ] {
        page.gauge(name, help, None, figure(count))?;
    }
    let help = "When a sweep last ended for a tenant, since 1970.";
    page.gauge(
        "mender_iothub_sweep_last_timestamp",
        help,
        Some(&Unit::Seconds),
        swept.at_s,
    )
}
