//! `pipeline`: how many events end in a second, beside the null pipeline.
//!
//! Two kinds of event, since they differ much in what they need. An accept of a new device takes
//! four compare-and-sets, a create, a delivery in two requests, and two requests to the twin; the
//! decommission of a settled one takes two compare-and-sets and one request. Both sides work off equal heaps in
//! turn, on the same servers.

use std::ops::Range;

use anyhow::Result;

use super::{
    Bench,
    bare::{self, Role},
    chunk::{Took, work_off},
    figure::{Case, Measured},
    heap::{ACCEPTED, DECOMMISSIONED},
    rival::Rival,
    settled::Settled,
    stage::{Plan, Stage},
};

/// Devices of a heap.
const HEAP: u64 = 10_000;
/// The smaller fleet.
const FEW: u64 = 1_000;
/// Devices of the heap that nobody counts: connections, caches, allocators.
const WARM_UP: u64 = 200;
/// What has to be reached.
const RATIO: f64 = 0.5;

/// What was asked of both sides, with the product's event for it and the bare loop's word.
const KINDS: [(&str, &str, &str); 2] = [
    ("accept", "create", ACCEPTED),
    ("decommission", "remove", DECOMMISSIONED),
];

struct Sides {
    stage: Stage,
    rival: Rival,
    product: Settled,
    bare: Settled,
    /// Devices so far.
    used: u64,
}

/// Of each kind: what the product took, and the bare loop.
type Both = [(Took, Took); 2];

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let stage = Stage::set(bench.dir.path(), &Plan::default()).await?;
    let rival = Rival::start(bench.dir.path(), &stage, Role::Null).await?;
    let mut sides = Sides {
        product: Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?,
        bare: Settled::open(&stage.context, bare::OUTCOMES).await?,
        stage,
        rival,
        used: 0,
    };
    sides.fleet(bench, WARM_UP).await?;
    let mut measured = Measured::default();
    for devices in [FEW.min(bench.size), bench.size] {
        let both = sides.fleet(bench, devices).await?;
        for ((kind, _, _), (product, bare)) in KINDS.iter().zip(&both) {
            measured.take(kind, devices, product, bare);
        }
        if bench.size <= FEW {
            break;
        }
    }
    // The worst comes first, since that is what is told.
    measured.cases.sort_by(|a, b| {
        let asked = (b.reached.is_some()).cmp(&a.reached.is_some());
        asked.then(a.ratio.total_cmp(&b.ratio))
    });
    Ok(measured)
}

impl Measured {
    fn take(&mut self, kind: &str, devices: u64, product: &Took, bare: &Took) {
        let rates = (product.per_second(), bare.per_second());
        let name = format!("{kind}, {devices} devices");
        let rate = Case::new(&name, rates.0, "events/s", rates.1, "null-pipeline");
        self.cases.push(rate.at_least(RATIO));
        let cpu = (product.cpu_us(), bare.cpu_us());
        let name = format!("{name}: processor time of the process");
        self.cases
            .push(Case::new(name, cpu.0, "us/event", cpu.1, "null-pipeline"));
    }
}

impl Sides {
    /// So many new devices come and go, heap after heap, on both sides in turn.
    async fn fleet(&mut self, bench: &Bench<'_>, devices: u64) -> Result<Both> {
        let mut both = Both::default();
        let mut left = devices;
        while left > 0 {
            let heap = left.min(HEAP);
            let range = self.used..self.used + heap;
            self.used += heap;
            left -= heap;
            for (kind, sum) in both.iter_mut().enumerate() {
                // Whoever comes first finds the servers as the other one left them.
                let product_first = (self.used / heap + kind as u64).is_multiple_of(2);
                for product in [product_first, !product_first] {
                    let took = self.heap(bench, kind, range.clone(), product).await?;
                    let (side, who) = if product {
                        (&mut sum.0, "worker")
                    } else {
                        (&mut sum.1, "null-pipeline")
                    };
                    side.add(&took);
                    let rate = took.per_second();
                    let name = KINDS[kind].0;
                    bench
                        .talk
                        .say(&format!("{who}: {heap} x {name}, {rate:.0} a second"));
                }
            }
        }
        Ok(both)
    }

    async fn heap(
        &mut self,
        bench: &Bench<'_>,
        kind: usize,
        devices: Range<u64>,
        product: bool,
    ) -> Result<Took> {
        let (_, word, body) = KINDS[kind];
        let context = &self.stage.context;
        if product {
            let subjects = devices.map(|device| format!("iothub.event.=.device-{device}"));
            let worker = self.stage.workers[0].process();
            work_off(
                context,
                worker,
                &mut self.product,
                subjects,
                body,
                &bench.talk,
            )
            .await
        } else {
            let subjects =
                devices.map(|device| Role::Null.subject(word, &format!("bare-{device}")));
            let rival = &mut self.rival.process;
            work_off(context, rival, &mut self.bare, subjects, body, &bench.talk).await
        }
    }
}
