//! `sweep`: comparing a fleet that agrees, beside walking the hub's own list.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use black_box::binaries::Binary;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{process::Command, time::Instant};

use super::{
    Bench,
    bare::{BULK, BareHub},
    figure::{Case, Measured, number},
    seed::{Seed, name},
    stage::{Plan, Stage},
};

const WITHIN_SECONDS: f64 = 60.0;
/// Devices that Mender is told at once.
const TOLD: usize = 10_000;
/// Bulk calls at once.
const CALLS: usize = 8;

pub(super) async fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let plan = Plan {
        // What was changed just now is to be compared too.
        variables: &[("MENDER_IOTHUB__SWEEP__GRACE_S", "0")],
        ..Plan::default()
    };
    let mut stage = Stage::set(bench.dir.path(), &plan).await?;
    let mut seed = Seed::sow(&mut stage, &bench.talk).await?;
    stage.workers.clear();
    let hub = BareHub::new(
        stage.hub.connection_string(),
        &std::fs::read(stage.hub.ca_file())?,
    )?;
    agree(bench, &stage, &hub, &mut seed).await?;
    let before = stage.hub.journal().await?.last().map_or(0, |last| last.seq);
    let begin = Instant::now();
    let report = sweep(&stage).await?;
    let took = begin.elapsed().as_secs_f64();
    let mut operations: BTreeMap<String, u64> = BTreeMap::new();
    for entry in stage.hub.journal_since(before).await? {
        *operations.entry(entry.operation).or_default() += 1;
    }
    let begin = Instant::now();
    let rows = hub.walk().await?;
    let walk = begin.elapsed().as_secs_f64();
    ensure!(rows == bench.size, "the hub lists {rows} devices");
    let mut time = Case::new(
        format!("sweep of {} devices that agree", bench.size),
        took,
        "s",
        walk,
        "walking the hub's list",
    );
    time.reached = Some(took < WITHIN_SECONDS);
    let requests: u64 = operations.values().sum();
    let pages = bench.size.div_ceil(1_000);
    let mut asked = Case::new(
        "requests to the hub",
        number(requests),
        "requests",
        number(pages),
        "pages of its list",
    );
    asked.reached = Some(operations.keys().all(|name| name.contains("query")));
    Ok(Measured {
        cases: vec![time, asked],
        notes: vec![
            format!("requests: {operations:?}"),
            format!("report: {report}"),
        ],
    })
}

/// Makes a fleet that is the same in Mender, in the records and in the hub.
async fn agree(bench: &Bench<'_>, stage: &Stage, hub: &BareHub, seed: &mut Seed) -> Result<()> {
    let pattern = stage.hub.devices().await?;
    let pattern = pattern.first().context("the hub has no device")?.clone();
    let mark = text(&pattern, "statusReason")?;
    bench.talk.say("making identities");
    let calls = (1..bench.size).step_by(usize::try_from(BULK)?);
    let calls = calls.map(|from| {
        let devices = from..bench.size.min(from + u64::from(BULK));
        let item = |n| json!({"id": name(n), "importMode": "create", "status": "enabled", "statusReason": mark});
        hub.bulk(devices.map(item).collect())
    });
    let made = stream::iter(calls).buffer_unordered(CALLS);
    made.try_collect::<()>().await?;
    let shown = stage.hub.devices().await?;
    let find = |field: &str| -> Result<BTreeMap<String, String>> {
        let pair = |it: &Value| {
            Ok((
                text(it, "deviceId")?.to_owned(),
                text(it, field)?.to_owned(),
            ))
        };
        shown.iter().map(pair).collect()
    };
    let (etags, generations) = (find("etag")?, find("generationId")?);
    let (etag, generation) = (text(&pattern, "etag")?, text(&pattern, "generationId")?);
    let change = |text: String, device: u64| {
        let of =
            |all: &BTreeMap<String, String>| all.get(&name(device)).cloned().unwrap_or_default();
        text.replace(etag, &of(&etags))
            .replace(generation, &of(&generations))
    };
    bench.talk.say("making records");
    seed.until(bench.size, &bench.talk, change).await?;
    bench.talk.say("telling Mender");
    for from in (0..bench.size).step_by(TOLD) {
        let devices = from..bench.size.min(from + TOLD as u64);
        let names: Vec<String> = devices.map(name).collect();
        let new = |id: &String| json!({"id": id, "created_ts": "2026-01-02T03:04:05Z"});
        let new: Vec<Value> = names.iter().map(new).collect();
        let accepted = |id: &String| json!({"id": id, "status": "accepted"});
        let accepted: Vec<Value> = names.iter().map(accepted).collect();
        let mender = stage.mender.control();
        let new = json!({"devices": new, "publish": false});
        mender.post::<Value>("/simulator/devices", &new).await?;
        let accepted = json!({"changes": accepted, "lose": true});
        let path = "/simulator/devices/status";
        mender.post::<Value>(path, &accepted).await?;
    }
    Ok(())
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    let text = value[field].as_str();
    text.with_context(|| format!("an identity without {field}: {value}"))
}

/// Runs the command, and returns the report of the one tenant.
async fn sweep(stage: &Stage) -> Result<Value> {
    let installation = stage
        .installations
        .first()
        .context("nothing is installed")?;
    let mut command = Command::new(Binary::MenderIothub.path().await?);
    command.args(["sweep", "--output", "json", "--config"]);
    command.arg(installation.config()).stdin(Stdio::null());
    command.env("MENDER_IOTHUB__SWEEP__GRACE_S", "0");
    let output = command.kill_on_drop(true).output().await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the sweep failed: {error}");
    let reports: Value = serde_json::from_slice(&output.stdout)?;
    let all = reports.as_object();
    let report = all.and_then(|all| all.values().next()).cloned();
    report.context("the sweep reports nothing")
}
