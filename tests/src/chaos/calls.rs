//! Events that Mender tells by HTTP: a worker that has answered 202 is killed at once, and what it
//! promised must happen all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Stage;
use crate::evidence::Status;
use crate::oracle::{Called, History};
use crate::until;

/// Devices told of in one call.
const DEVICES: usize = 20;
/// As long as workflows goes on asking, and something for a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What was told by HTTP so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// What was said of each device.
    pub(super) histories: BTreeMap<String, History>,
    /// How many events were told.
    pub(super) called: Called,
}

impl Calls {
    /// Accepts new devices, then rejects half of them, each in one call whose 202 is waited for.
    pub(super) async fn tell(&mut self, stage: &Stage, worker: usize) -> Result<()> {
        let order = json!({"count": DEVICES, "publish": false});
        let mender = stage.mender.control();
        let made: Value = mender.post("/simulator/devices", &order).await?;
        let ids: Vec<String> = serde_json::from_value(made["ids"].clone())?;
        for id in &ids {
            self.histories.insert(id.clone(), vec![Status::Pending]);
        }
        self.say(stage, worker, &ids, Status::Accepted).await?;
        let half = &ids[..DEVICES / 2];
        self.say(stage, worker, half, Status::Rejected).await
    }

    async fn say(
        &mut self,
        stage: &Stage,
        worker: usize,
        ids: &[String],
        status: Status,
    ) -> Result<()> {
        let mender = stage.mender.control();
        let change = |id: &String| json!({"id": id, "status": status});
        let changes: Vec<Value> = ids.iter().map(change).collect();
        // The stream hears nothing of it.
        let order = json!({"changes": changes, "lose": true});
        let path = "/simulator/devices/status";
        mender.post::<Value>(path, &order).await?;
        for id in ids {
            self.histories.entry(id.clone()).or_default().push(status);
        }
        let truth: Value = mender.get("/simulator/truth").await?;
        let devices = truth["devices"].as_array().context("no devices")?;
        let told = |device: &&Value| ids.iter().any(|id| device["id"] == json!(id));
        let event = |device: &Value| {
            let [id, revision, created] = ["id", "revision", "created_ts"].map(|it| &device[it]);
            json!({"id": id, "revision": revision, "created_ts": created})
        };
        let events: Vec<Value> = devices.iter().filter(told).map(event).collect();
        self.call(stage, worker, &events, status).await
    }

    /// Calls as workflows does, until the answer is 202. A call that was not answered so may have been
    /// taken in part.
    async fn call(
        &mut self,
        stage: &Stage,
        worker: usize,
        events: &[Value],
        status: Status,
    ) -> Result<()> {
        let word = serde_json::to_value(status)?;
        let path = format!(
            "/api/internal/v1/iot-manager/tenants//bulk/devices/status/{}",
            word.as_str().unwrap_or_default()
        );
        let internal = stage.workers[worker].internal()?;
        let mut calls = 0;
        let call = async || {
            calls += 1;
            internal.put::<Value>(&path, &events).await.map(Some)
        };
        until(SOON, "a 202", call).await?;
        let count = events.len() as u64;
        self.called.events += count;
        self.called.repeated += count * (calls - 1);
        Ok(())
    }
}
