//! `latency`: from publishing an event to the arrival of its request at the hub, beside the relay.
//!
//! The times are those of the publisher and of the hub's journal, on one machine by one clock. The
//! relay takes a message from a work queue and sends the request; the product also reads the
//! record and writes its intent into it before. The null pipeline does that too, and all that comes
//! after the request, so the difference to it is the product's own.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use black_box::until;

use super::{
    Bench,
    bare::Role,
    chunk::work_off,
    figure::{Case, Measured},
    heap::{ACCEPTED, DECOMMISSIONED},
    load,
    quantile::Sorted,
    rival::Rival,
    settled::Settled,
    stage::{Plan, Stage},
};

/// Events a second.
const RATES: [u32; 2] = [100, 1_000];
/// What has to be reached, at the 99th percentile.
const RATIO: f64 = 3.0;
/// Parts that each rate is measured in, both sides in turn.
const TURNS: u64 = 2;
const WARM_UP: u64 = 200;

/// Whose latency.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Product,
    Bare(Role),
}

/// In the order in which they take turns.
const SIDES: [Side; 3] = [
    Side::Bare(Role::Relay),
    Side::Bare(Role::Null),
    Side::Product,
];

impl Side {
    /// What the side calls this device, which must not be another side's.
    fn device(self, number: u64) -> String {
        match self {
            Self::Product => format!("device-{number}"),
            Self::Bare(role) => format!("{}-{number}", role.name()),
        }
    }

    fn subject(self, kind: Kind, device: &str) -> String {
        match (self, kind) {
            (Self::Product, _) => format!("iothub.event.=.{device}"),
            (Self::Bare(role), Kind::Accept) => role.subject("create", device),
            (Self::Bare(role), Kind::Decommission) => role.subject("remove", device),
        }
    }
}

/// What is published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Accept,
    Decommission,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Decommission => "decommission",
        }
    }

    /// The hub's word for the first request.
    const fn operation(self) -> &'static str {
        match self {
            Self::Accept => "create",
            Self::Decommission => "delete",
        }
    }
}

struct Sides {
    stage: Stage,
    /// They work while they are held.
    _rivals: [Rival; 2],
    product: Settled,
    used: u64,
    /// The last request in the hub's journal that was looked at.
    seen: u64,
}

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let stage = Stage::set(bench.dir.path(), &Plan::default()).await?;
    let rivals = [
        Rival::start(bench.dir.path(), &stage, Role::Relay).await?,
        Rival::start(bench.dir.path(), &stage, Role::Null).await?,
    ];
    let mut sides = Sides {
        product: Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?,
        stage,
        _rivals: rivals,
        used: 0,
        seen: 0,
    };
    sides.prepare(bench, WARM_UP).await?;
    sides.used += WARM_UP;
    let mut measured = Measured::default();
    for rate in RATES {
        for kind in [Kind::Decommission, Kind::Accept] {
            sides.rate(bench, rate, kind, &mut measured).await?;
        }
    }
    // What is asked for comes first.
    measured.cases.sort_by_key(|case| case.reached.is_none());
    Ok(measured)
}

impl Sides {
    async fn rate(
        &mut self,
        bench: &Bench<'_>,
        rate: u32,
        kind: Kind,
        measured: &mut Measured,
    ) -> Result<()> {
        let turns = bench.pick(TURNS, 1);
        let events = u64::from(rate) * bench.size / turns;
        let mut latencies = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..turns {
            if kind == Kind::Decommission {
                self.prepare(bench, events).await?;
            }
            for (side, all) in SIDES.into_iter().zip(&mut latencies) {
                all.extend(self.paced(rate, events, kind, side).await?);
            }
            self.used += events;
        }
        let [relay, null, product] = latencies.map(|all| all.into_iter().collect::<Sorted>());
        for (permille, name) in [(990, "p99"), (500, "p50")] {
            let [value, bare, null] = [&product, &relay, &null].map(|all| all.permille(permille));
            let name = format!("{name} of {} at {rate} a second", kind.name());
            bench.talk.say(&format!(
                "{name}: {value:.2} ms beside {bare:.2} of the relay, {null:.2} of the null pipeline"
            ));
            let case = Case::new(&name, value, "ms", bare, "NATS-to-HTTPS relay");
            measured.cases.push(if permille == 990 {
                case.at_most(RATIO)
            } else {
                case
            });
            let beside_null = Case::new(&name, value, "ms", null, "null-pipeline");
            measured.cases.push(beside_null);
        }
        Ok(())
    }

    /// Makes the devices that are to be decommissioned, on both sides.
    async fn prepare(&mut self, bench: &Bench<'_>, devices: u64) -> Result<()> {
        let range = self.used..self.used + devices;
        let context = &self.stage.context;
        for side in [Role::Relay, Role::Null].map(Side::Bare) {
            let subject = |number| side.subject(Kind::Accept, &side.device(number));
            load::all(context, range.clone().map(subject), ACCEPTED).await?;
            self.at_rest().await?;
        }
        let subjects = range.map(|device| format!("iothub.event.=.device-{device}"));
        let worker = self.stage.workers[0].process();
        let settled = &mut self.product;
        work_off(context, worker, settled, subjects, ACCEPTED, &bench.talk).await?;
        self.at_rest().await
    }

    /// The milliseconds from publish to request of so many events.
    async fn paced(&mut self, rate: u32, events: u64, kind: Kind, side: Side) -> Result<Vec<f64>> {
        let context = &self.stage.context;
        let before = self.seen;
        let devices: Vec<String> = (self.used..self.used + events)
            .map(|number| side.device(number))
            .collect();
        let subjects = devices.iter().map(|device| side.subject(kind, device));
        let body = match kind {
            Kind::Accept => ACCEPTED,
            Kind::Decommission => DECOMMISSIONED,
        };
        let published = load::paced(context, subjects, body, rate).await?;
        self.at_rest().await?;
        let journal = self.stage.hub.journal_since(before).await?;
        self.seen = journal.last().map_or(before, |last| last.seq);
        let mut arrived: HashMap<&str, u64> = HashMap::new();
        for entry in &journal {
            if let Some(device) = &entry.device
                && entry.operation == kind.operation()
            {
                arrived.entry(device).or_insert(entry.arrived_us);
            }
        }
        let latency = |(device, published): (&String, u64)| {
            let arrived = arrived.get(device.as_str())?;
            let us = u32::try_from(arrived.saturating_sub(published)).unwrap_or(u32::MAX);
            Some(f64::from(us) / 1000.0)
        };
        let all: Vec<f64> = devices.iter().zip(published).filter_map(latency).collect();
        ensure!(
            all.len() == devices.len(),
            "of {} events {} came to the hub",
            devices.len(),
            all.len()
        );
        Ok(all)
    }

    /// Waits until nobody has anything to do.
    async fn at_rest(&self) -> Result<()> {
        let within = std::time::Duration::from_secs(300);
        let bare = [Role::Relay, Role::Null].map(Role::events);
        for stream in bare.into_iter().flatten().chain(["IOTHUB_EVENTS"]) {
            until(within, "an empty work queue", async || {
                let mut stream = self.stage.context.get_stream(stream).await?;
                Ok((stream.info().await?.state.messages == 0).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}
