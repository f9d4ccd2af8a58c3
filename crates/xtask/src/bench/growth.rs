//! `growth`: whether an event costs more when there are more records.
//!
//! The null pipeline works beside, on a bucket that stays small, so that a machine that was busier
//! meanwhile is not taken for growth: what is compared is the product's time beside the null
//! pipeline's, at each number of records.

use anyhow::Result;

use super::{
    Bench,
    bare::{self, Role},
    chunk::{Took, work_off},
    figure::{Case, Measured},
    heap::{ACCEPTED, DECOMMISSIONED},
    rival::Rival,
    seed::Seed,
    settled::Settled,
    stage::{Bus, Plan, Stage},
};

/// Numbers of records; those beyond the size are left out.
const RECORDS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// The same for MongoDB, which the product itself fills: the stand-in syncs each write to disk.
const MONGO: [u64; 2] = [100, 1_000];
/// What the cost may be, beside that with the fewest records.
const RATIO: f64 = 1.25;
const WARM_UP: u64 = 200;

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let mut measured = Measured::default();
    for mongo in [false, true] {
        let dir = bench
            .dir
            .path()
            .join(if mongo { "mongodb" } else { "jetstream" });
        std::fs::create_dir_all(&dir)?;
        let plan = Plan {
            mongo,
            ..Plan::default()
        };
        let stage = match Stage::set(&dir, &plan).await {
            Err(error) if mongo => {
                measured
                    .notes
                    .push(format!("MongoDB is left out: {error:#}"));
                continue;
            }
            stage => stage?,
        };
        one(bench, &dir, stage, &mut measured).await?;
    }
    let asked = |case: &Case| (case.reached.is_none(), -case.ratio);
    measured.cases.sort_by(|a, b| {
        let (a, b) = (asked(a), asked(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    Ok(measured)
}

async fn one(
    bench: &Bench<'_>,
    dir: &std::path::Path,
    mut stage: Stage,
    measured: &mut Measured,
) -> Result<()> {
    let store = if stage.mongo.is_some() {
        "MongoDB"
    } else {
        "NATS"
    };
    let mut seed = if stage.mongo.is_none() {
        Some(Seed::sow(&mut stage, &bench.talk).await?)
    } else {
        None
    };
    let rival = Rival::start(dir, &stage, Role::Null).await?;
    let mut sides = Sides {
        product: Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?,
        bare: Settled::open(&stage.context, bare::OUTCOMES).await?,
        stage,
        rival,
        used: 0,
        left: 0,
    };
    let warm_up = if seed.is_some() { WARM_UP } else { 20 };
    sides.round(bench, warm_up).await?;
    let mut first = None;
    let (numbers, devices): (&[u64], u64) = match &seed {
        Some(_) => (&RECORDS, bench.pick(3_000, 300)),
        None => (&MONGO, 100),
    };
    for &records in numbers.iter().filter(|records| **records <= bench.size) {
        match &mut seed {
            Some(seed) => seed.until(records, &bench.talk, |text, _| text).await?,
            None => sides.fill(bench, records).await?,
        }
        let (product, null) = sides.round(bench, devices).await?;
        let cost = product.seconds / null.seconds;
        let one = *first.get_or_insert(cost);
        let (own, bare) = (product.per_second(), null.per_second());
        bench.talk.say(&format!(
            "{store}, {records} records: {own:.0} events a second, null-pipeline {bare:.0}"
        ));
        let name = format!("{store}: cost of an event with {records} records");
        let case = Case::new(name, cost, "null events", one, "with the fewest records");
        measured.cases.push(case.at_most(RATIO));
        let name = format!("{store}: rate with {records} records");
        measured
            .cases
            .push(Case::new(name, own, "events/s", bare, "null-pipeline"));
        let note = sides.sizes().await?;
        bench.talk.say(&note);
        measured
            .notes
            .push(format!("{store}, {records} records: {note}"));
    }
    Ok(())
}

struct Sides {
    stage: Stage,
    rival: Rival,
    product: Settled,
    bare: Settled,
    /// Devices that came, and mostly went again.
    used: u64,
    /// Those that stay.
    left: u64,
}

impl Sides {
    /// Lets the product accept devices until so many are left.
    async fn fill(&mut self, bench: &Bench<'_>, records: u64) -> Result<()> {
        let subjects = (self.left..records).map(|n| format!("iothub.event.=.stays-{n}"));
        self.left = records;
        let (context, settled) = (&self.stage.context, &mut self.product);
        let worker = self.stage.workers[0].process();
        work_off(context, worker, settled, subjects, ACCEPTED, &bench.talk).await?;
        Ok(())
    }

    /// What so many records take, as far as it can be told from outside.
    async fn sizes(&mut self) -> Result<String> {
        let mib = |bytes: Option<u64>| bytes.unwrap_or_default() / 1024 / 1024;
        let worker = mib(self.stage.workers[0].rss_bytes());
        let bucket = self.stage.context.get_stream("KV_iothub_devices").await?;
        let state = bucket.cached_info().state.clone();
        let nats = match &mut self.stage.bus {
            Bus::Single(server) => mib(server.process().peak_rss_bytes()),
            Bus::Cluster(_) => 0,
        };
        Ok(format!(
            "worker at most {worker} MiB, nats-server at most {nats} MiB, {} MiB in the bucket, {} bytes a record",
            mib(Some(state.bytes)),
            state.bytes / state.messages.max(1),
        ))
    }

    /// So many accepts and decommissions of new devices, on both sides in turn.
    async fn round(&mut self, bench: &Bench<'_>, devices: u64) -> Result<(Took, Took)> {
        let range = self.used..self.used + devices;
        self.used += devices;
        let context = &self.stage.context;
        let (mut product, mut null) = (Took::default(), Took::default());
        for (word, body) in [("create", ACCEPTED), ("remove", DECOMMISSIONED)] {
            let subjects = range
                .clone()
                .map(|n| Role::Null.subject(word, &format!("bare-{n}")));
            let rival = &mut self.rival.process;
            let took = work_off(context, rival, &mut self.bare, subjects, body, &bench.talk);
            null.add(&took.await?);
            let subjects = range.clone().map(|n| format!("iothub.event.=.device-{n}"));
            let worker = self.stage.workers[0].process();
            let took = work_off(
                context,
                worker,
                &mut self.product,
                subjects,
                body,
                &bench.talk,
            );
            product.add(&took.await?);
        }
        Ok((product, null))
    }
}
