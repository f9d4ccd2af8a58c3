//! The benchmarks by name: what each measures, its size, and what it has to reach.

use std::fmt;

use clap::ValueEnum;
use comfy_table::{Table, presets};

/// A benchmark, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Events settled per second, beside a bare loop that makes the same calls.
    Pipeline,
    /// From publishing an event to its request at the hub, beside a bare relay.
    Latency,
    /// How much of a throttled hub's allowance is used, by one worker and by four.
    Throttled,
    /// Memory and pace when events pile up for a hub that is down, and when it is back.
    Backlog,
    /// Cost of an event with few and with many records.
    Growth,
    /// One, two and four workers on a cluster of NATS, at a hub that takes 20 ms.
    Replicas,
    /// Reading a twin by request and reply, beside asking the hub itself.
    Twin,
    /// Comparing devices that agree, beside walking the hub's own list.
    Sweep,
    /// Calls of iot-manager's internal API until their 202, and what became of the events.
    HttpIngress,
    /// From the start of the process to the first event that has ended.
    ColdStart,
    /// Decisions and parsing, beside copying and bare JSON.
    Core,
    /// Every benchmark, one after the other.
    All,
}

/// What is told of a benchmark.
pub(super) struct Spec {
    /// Default size, and the quick one.
    pub(super) size: (u64, u64),
    /// What the size counts.
    counts: &'static str,
    /// What has to be reached.
    pub(super) target: &'static str,
    /// Minutes at full size on an idle machine with two cores, rounded up.
    minutes: u32,
}

impl Name {
    /// All but [`Name::All`].
    pub(super) fn each() -> impl Iterator<Item = Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|name| *name != Self::All)
    }

    /// Whether it keeps records in MongoDB too.
    pub(super) const fn needs_mongo(self) -> bool {
        matches!(self, Self::Growth)
    }

    pub(super) const fn spec(self) -> Spec {
        let (size, counts, target, minutes) = match self {
            Self::Pipeline => (
                (50_000, 1_000),
                "devices",
                "at least half of the bare loop",
                7,
            ),
            Self::Latency => (
                (20, 3),
                "seconds a rate",
                "p99 within 3 times that of the bare relay",
                4,
            ),
            Self::Throttled => (
                (20_000, 1_000),
                "devices",
                "97 % of the allowance, under 1 % refused, each of 20 tenants 0.8 of its share",
                8,
            ),
            Self::Backlog => (
                (1_000_000, 5_000),
                "events",
                "under 100 MiB throughout, each tenth of the drain at least 0.8 of its mean rate",
                20,
            ),
            Self::Growth => (
                (1_000_000, 10_000),
                "records",
                "at most 1.25 times the cost with 1,000 records",
                6,
            ),
            Self::Replicas => (
                (1_500, 100),
                "devices a round",
                "four workers at least 3 times as fast as one",
                3,
            ),
            Self::Twin => (
                (40, 4),
                "seconds",
                "p99 under 1 ms above the hub's own, 5,000 reads a second",
                2,
            ),
            Self::Sweep => (
                (100_000, 5_000),
                "devices",
                "under a minute, and queries only",
                2,
            ),
            Self::HttpIngress => (
                (10, 2),
                "seconds",
                "p99 of the 202 under 100 ms, no event lost",
                2,
            ),
            Self::ColdStart => ((100_000, 1_000), "records", "under a second", 1),
            Self::Core => ((0, 0), "", "nanoseconds", 2),
            Self::All => ((0, 0), "", "", 0),
        };
        Spec {
            size,
            counts,
            target,
            minutes,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(
            value
                .as_ref()
                .map_or("", clap::builder::PossibleValue::get_name),
        )
    }
}

/// All benchmarks, for people.
pub(super) fn table() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["name", "measures", "size", "quick", "minutes", "to reach"]);
    for name in Name::each() {
        let spec = name.spec();
        let value = name.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        let size = |size: u64| match size {
            0 => "-".to_owned(),
            size => format!("{size} {}", spec.counts),
        };
        table.add_row([
            name.to_string(),
            help.map(ToString::to_string).unwrap_or_default(),
            size(spec.size.0),
            size(spec.size.1),
            spec.minutes.to_string(),
            spec.target.to_owned(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_is_in_the_list_with_what_it_has_to_reach() {
        let table = table();
        for name in Name::each() {
            assert!(table.contains(&name.to_string()), "{name}");
            assert!(table.contains(name.spec().target), "{name}");
        }
        assert!(Name::each().count() > 2);
    }
}
