//! `replicas`: what more workers are worth when the hub's answers are what takes long.
//!
//! NATS is a cluster of three, each stream and bucket has three copies, and the hub answers after 20 ms.
//! A worker has few requests under way at a time, so that two cores are enough for four of them, and
//! the hub's latency is what they wait for.

use std::collections::HashSet;

use anyhow::{Result, ensure};

use super::{
    Bench,
    figure::{Case, Measured},
    heap::{ACCEPTED, work_off_by_all},
    settled::Settled,
    stage::{Plan, Stage},
};

const WORKERS: [usize; 3] = [1, 2, 4];
/// What four have to reach, beside one.
const RATIO: f64 = 3.0;
/// Messages in work at once by one worker; a quarter of them may ask the hub.
const IN_FLIGHT: &str = "8";
const WARM_UP: u64 = 50;

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let plan = Plan {
        workers: 4,
        cluster: true,
        hub: &["--latency-ms", "20"],
        variables: &[("MENDER_IOTHUB__WORKER__IN_FLIGHT", IN_FLIGHT)],
        ..Plan::default()
    };
    let mut stage = Stage::prepare(bench.dir.path(), &plan).await?;
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    let mut used = 0;
    let mut measured = Measured::default();
    let mut alone = None;
    for workers in WORKERS {
        while stage.workers.len() < workers {
            let next = stage.installations[stage.workers.len()].start().await?;
            stage.workers.push(next);
        }
        for devices in [WARM_UP, bench.size] {
            let subjects = (used..used + devices).map(|n| format!("iothub.event.=.device-{n}"));
            used += devices;
            let took =
                work_off_by_all(&mut stage, &mut settled, subjects, ACCEPTED, &bench.talk).await?;
            if devices == WARM_UP && bench.size != WARM_UP {
                continue;
            }
            let rate = took.per_second();
            bench
                .talk
                .say(&format!("{workers} workers: {rate:.1} events a second"));
            let one = *alone.get_or_insert(rate);
            let name = format!("accept, {workers} workers");
            let case = Case::new(name, rate, "events/s", one, "one worker");
            measured.cases.push(match workers {
                4 => case.at_least(RATIO),
                _ => case,
            });
        }
    }
    measured.cases.reverse();
    let wrong = is_wrong(&stage, used).await?;
    ensure!(wrong.is_none(), "it is not right: {wrong:?}");
    measured
        .notes
        .push(format!("{used} devices, each made once and enabled"));
    Ok(measured)
}

/// What is wrong with the hub: each device has been made once, and is enabled.
async fn is_wrong(stage: &Stage, devices: u64) -> Result<Option<String>> {
    let journal = stage.hub.journal().await?;
    let made = journal
        .iter()
        .filter(|it| it.effective && it.operation == "create");
    let (mut ids, mut creates) = (HashSet::new(), 0_u64);
    for entry in made {
        ids.extend(entry.device.as_deref());
        creates += 1;
    }
    let shown = stage.hub.devices().await?;
    let enabled = shown.iter().filter(|it| it["status"] == "enabled").count();
    let right = creates == devices && ids.len() as u64 == devices && enabled as u64 == devices;
    Ok((!right).then(|| {
        format!(
            "{creates} creates of {} ids, {enabled} enabled, of {devices}",
            ids.len()
        )
    }))
}
