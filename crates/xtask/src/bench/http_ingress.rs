//! `http-ingress`: calls of iot-manager's internal API at a rate that does not wait for anybody, until
//! their 202, and whether each of their events has ended.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Bench,
    figure::{Case, Measured, number},
    quantile::Sorted,
    settled::Settled,
    stage::{Plan, Stage},
};

/// Devices that are told of in a second.
const RATE: u32 = 1_000;
/// Devices in a bulk call: as many as it may have.
const BULK: u32 = 100;
/// Milliseconds that the 99th percentile may take.
const LIMIT: f64 = 100.0;
const API: &str = "/api/internal/v1/iot-manager/tenants/";

/// One call.
struct Call {
    method: Method,
    path: &'static str,
    body: Value,
}

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let listen = [("MENDER_IOTHUB__IOT_MANAGER__INTERNAL_LISTEN", "127.0.0.1:0")];
    let plan = Plan {
        variables: &listen,
        ..Plan::default()
    };
    let stage = Stage::set(bench.dir.path(), &plan).await?;
    let mut settled = Settled::open(&stage.context, "IOTHUB_OUTCOMES").await?;
    let seconds = u32::try_from(bench.size)?;
    let mut measured = Measured::default();
    let mut told = 0;
    for bulk in [1, BULK] {
        let calls = RATE * seconds / bulk;
        let times = paced(&stage, told, calls, bulk).await?;
        let new = u64::from(calls * bulk);
        told += new;
        // What is missing is told as a figure.
        drop(settled.reach(told, &bench.talk).await);
        let lost = told.saturating_sub(settled.count().await?);
        let name = match bulk {
            1 => format!("p99 of a 202 at {RATE} calls a second"),
            bulk => format!(
                "p99 of a 202 to {bulk} devices, {} calls a second",
                RATE / bulk
            ),
        };
        let (p99, p50) = (times.permille(990), times.median());
        bench
            .talk
            .say(&format!("{name}: {p99:.1} ms, half of them {p50:.1} ms"));
        let case = Case::new(&name, p99, "ms", LIMIT, "what it may take");
        measured.cases.push(case.at_most(1.0));
        let ended = number(new.saturating_sub(lost));
        let name = format!("events of {calls} calls that ended");
        let case = Case::new(&name, ended, "events", number(new), "events told");
        measured.cases.push(case.at_least(1.0));
    }
    Ok(measured)
}

/// Calls by a clock that waits for nobody; the milliseconds from when each was due to its 202.
async fn paced(stage: &Stage, from: u64, calls: u32, bulk: u32) -> Result<Sorted> {
    let worker = stage.workers.first().context("no worker")?;
    let base = worker.internal()?.base().to_owned();
    let client = Client::builder().no_proxy().build()?;
    let begin = Instant::now();
    let mut answers = JoinSet::new();
    for index in 0..calls {
        let due = begin + Duration::from_secs(1) * index / (RATE / bulk);
        tokio::time::sleep_until(due).await;
        let first = from + u64::from(index * bulk);
        let Call { method, path, body } = call(first..first + u64::from(bulk));
        let request = client.request(method, format!("{base}{API}{path}"));
        let request = request.body(body.to_string());
        answers.spawn(async move {
            let status = request.send().await?.status();
            ensure!(status == StatusCode::ACCEPTED, "answered {status}");
            Ok(due.elapsed().as_secs_f64() * 1_000.0)
        });
    }
    answers.join_all().await.into_iter().collect()
}

/// As workflows calls for a device that is accepted, or for many.
fn call(devices: std::ops::Range<u64>) -> Call {
    let device = |number: u64| json!({"id": format!("device-{number}"), "revision": 3});
    let mut all: Vec<Value> = devices.map(device).collect();
    if all.len() > 1 {
        return Call {
            method: Method::PUT,
            path: "/bulk/devices/status/accepted",
            body: json!(all),
        };
    }
    let mut one = all.pop().unwrap_or_default();
    one["status"] = json!("accepted");
    Call {
        method: Method::POST,
        path: "/devices",
        body: one,
    }
}
