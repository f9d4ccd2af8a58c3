//! `twin`: reading a twin by request and reply, beside asking the hub itself.
//!
//! A bare responder shows what two more hops through NATS take; the difference to it is the product's own.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Bench,
    bare::{BareHub, Role, TWINS},
    figure::{Case, Measured},
    heap::{ACCEPTED, work_off_by_all},
    quantile::Sorted,
    rival::Rival,
    settled::Settled,
    stage::{Plan, Stage},
};

/// Devices whose twins are read.
const DEVICES: u64 = 500;
/// Requests under way at once where as many as possible are wanted.
const AT_ONCE: usize = 64;
/// Requests a second where the latency is wanted.
const CALM: u32 = 200;
const ADDED_MS: f64 = 1.0;
const PER_SECOND: f64 = 5_000.0;
/// Parts that everything is measured in, both sides in turn.
const TURNS: u32 = 4;

/// Who is asked.
#[derive(Clone)]
enum Asked {
    Product(async_nats::Client),
    Responder(async_nats::Client),
    Hub(BareHub),
}

impl Asked {
    async fn get(&self, device: u64) -> Result<()> {
        match self {
            Self::Product(client) => {
                let subject = format!("iothub.twin.get.=.device-{device}");
                let reply = client.request(subject, "".into()).await?;
                let refused = reply
                    .headers
                    .as_ref()
                    .and_then(|it| it.get("Nats-Service-Error"));
                ensure!(refused.is_none(), "{refused:?}");
                Ok(())
            }
            Self::Responder(client) => {
                let subject = format!("{TWINS}.device-{device}");
                client.request(subject, "".into()).await?;
                Ok(())
            }
            Self::Hub(hub) => hub.twin(&format!("device-{device}")).await,
        }
    }
}

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let mut stage = Stage::set(bench.dir.path(), &Plan::default()).await?;
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    let subjects = (0..DEVICES).map(|n| format!("iothub.event.=.device-{n}"));
    work_off_by_all(&mut stage, &mut settled, subjects, ACCEPTED, &bench.talk).await?;
    let hub = BareHub::new(
        stage.hub.connection_string(),
        &std::fs::read(stage.hub.ca_file())?,
    )?;
    let client = async_nats::connect(stage.bus.urls()).await?;
    let _responder = Rival::start(bench.dir.path(), &stage, Role::Responder).await?;
    let sides = [
        Asked::Product(client.clone()),
        Asked::Responder(client),
        Asked::Hub(hub),
    ];
    let turn = Duration::from_secs(bench.size).div_f64(2.0) / TURNS;
    let mut latencies = [const { Vec::new() }; 3];
    let mut rates = [const { Vec::new() }; 3];
    for side in &sides {
        burst(side, turn / 4).await?;
    }
    for _ in 0..TURNS {
        for (index, side) in sides.iter().enumerate() {
            latencies[index].extend(calm(side, turn).await?);
        }
        for (index, side) in sides.iter().enumerate() {
            rates[index].push(burst(side, turn).await?);
        }
    }
    let [product, responder, hub] = latencies.map(|all| all.into_iter().collect::<Sorted>());
    let [fast, answered, bare] = rates.map(|all| all.into_iter().collect::<Sorted>().median());
    let mut measured = Measured::default();
    for (permille, name) in [(990, "p99"), (500, "p50")] {
        let [value, bare, reference] =
            [&product, &responder, &hub].map(|all| all.permille(permille));
        bench.talk.say(&format!(
            "{name}: {value:.2} ms beside {reference:.2} of the hub, {bare:.2} of a bare responder"
        ));
        let name = format!("{name} of a read at {CALM} a second");
        let beside_bare = Case::new(&name, value, "ms", bare, "bare responder");
        measured.cases.push(beside_bare);
        let mut case = Case::new(name, value, "ms", reference, "asking the hub itself");
        if permille == 990 {
            case.reached = Some(value - reference < ADDED_MS);
        }
        measured.cases.push(case);
    }
    let name = format!("reads, {AT_ONCE} at once");
    let beside_bare = Case::new(&name, fast, "reads/s", answered, "bare responder");
    let mut case = Case::new(name, fast, "reads/s", bare, "asking the hub itself");
    case.reached = Some(fast >= PER_SECOND);
    measured.cases.extend([case, beside_bare]);
    // What is asked for comes first.
    measured.cases.sort_by_key(|case| case.reached.is_none());
    Ok(measured)
}

/// Milliseconds of each request, at a calm pace.
async fn calm(side: &Asked, time: Duration) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut asking = JoinSet::new();
    for index in 0_u32.. {
        let due = Duration::from_secs(1) * index / CALM;
        if due >= time {
            break;
        }
        tokio::time::sleep_until(begin + due).await;
        let side = side.clone();
        asking.spawn(async move {
            let asked = Instant::now();
            side.get(u64::from(index) % DEVICES).await?;
            anyhow::Ok(asked.elapsed().as_secs_f64() * 1000.0)
        });
    }
    let all = asking.join_all().await;
    all.into_iter().collect()
}

/// Requests a second, as many as possible.
async fn burst(side: &Asked, time: Duration) -> Result<f64> {
    let (begin, next) = (
        Instant::now(),
        Arc::new(std::sync::atomic::AtomicU64::new(0)),
    );
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (side, next) = (side.clone(), Arc::clone(&next));
        asking.spawn(async move {
            let mut done = 0_u32;
            while begin.elapsed() < time {
                let device = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                side.get(device % DEVICES).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let done: Vec<u32> = asking.join_all().await.into_iter().collect::<Result<_>>()?;
    let seconds = begin.elapsed().as_secs_f64();
    let all = done.into_iter().map(f64::from).reduce(|a, b| a + b);
    Ok(all.context("nobody asked")? / seconds)
}
