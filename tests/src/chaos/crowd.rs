//! The fleet: devices that are accepted, rejected, dismissed, decommissioned and replaced by new
//! ones, one change after the other for as long as the episode lasts, in an order that the seed decides.
//!
//! What was said of each device is written down before it is said, so that the record is complete
//! even if Mender's answer is lost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Rng, Stage};
use crate::control::Control;
use crate::evidence::{Status, bytes_of};
use crate::oracle::{Foreign, History};

/// Identities made by hand under ids that Mender accepts too, and under ids that it does not know.
const STRANGERS: usize = 5;

/// The fleet under way.
pub struct Crowd {
    /// What was said of each device.
    pub histories: BTreeMap<String, History>,
    /// Identities that are not ours.
    pub foreign: Vec<Foreign>,
    ids: Vec<String>,
    occupied: Vec<String>,
    mender: Control,
    rng: Rng,
}

impl Crowd {
    /// Makes the devices, of which nothing is told yet, and the strangers' identities.
    pub async fn gather(stage: &Stage, devices: usize, seed: u64) -> Result<Self> {
        let mender = stage.mender.control().clone();
        let order = json!({"count": devices + STRANGERS});
        let made: Value = mender.post("/simulator/devices", &order).await?;
        let mut ids: Vec<String> = serde_json::from_value(made["ids"].clone())?;
        let occupied = ids.split_off(devices);
        let unknown = (0..STRANGERS).map(|number| format!("made-by-hand-{number}"));
        let mut foreign = Vec::new();
        for id in occupied.iter().cloned().chain(unknown) {
            let identity = json!({"status": "enabled", "statusReason": "made by hand"});
            stage.hub.put_device(&id, &identity).await?;
            let before = bytes_of(&stage.hub, &id).await?;
            foreign.push(Foreign {
                before: before.context("the hub forgot an identity")?,
                after: None,
                id,
            });
        }
        let histories = ids.iter().map(|id| (id.clone(), vec![Status::Pending]));
        Ok(Self {
            histories: histories.collect(),
            foreign,
            ids,
            occupied,
            mender,
            rng: Rng::new(!seed),
        })
    }

    /// Has Mender accept the strangers' ids too.
    pub async fn accept_strangers(&self) -> Result<()> {
        let change = |id: &String| json!({"id": id, "status": "accepted"});
        let changes: Vec<Value> = self.occupied.iter().map(change).collect();
        self.publish_changes(changes, 0).await
    }

    /// Has Mender say the same of every device, in this order.
    pub async fn say_of_all(&mut self, status: Status) -> Result<()> {
        for id in self.ids.clone() {
            self.say(&id, status).await?;
        }
        Ok(())
    }

    /// Lets something happen to one device, drawn from the seed.
    pub async fn stir(&mut self) -> Result<()> {
        let place = self.rng.below(self.ids.len());
        let id = self.ids[place].clone();
        let last = self.histories.get(&id).and_then(|it| it.last().copied());
        let dice = self.rng.below(100);
        let next = match last.unwrap_or(Status::Pending) {
            Status::Pending if dice < 80 => Status::Accepted,
            Status::Pending if dice < 90 => Status::Rejected,
            Status::Accepted if dice < 45 => Status::Rejected,
            Status::Accepted if dice < 60 => Status::Noauth,
            Status::Rejected if dice < 75 => Status::Accepted,
            Status::Noauth if dice < 80 => Status::Pending,
            // Mender never gives out an id twice.
            Status::Decommissioned => return self.replace(place).await,
            _ => Status::Decommissioned,
        };
        self.say(&id, next).await
    }

    async fn say(&mut self, id: &str, status: Status) -> Result<()> {
        let history = self.histories.entry(id.to_owned()).or_default();
        history.push(status);
        let duplicate = usize::from(self.rng.below(10) == 0);
        if status == Status::Decommissioned {
            let order = json!({"ids": [id], "duplicate": duplicate});
            let path = "/simulator/devices/decommission";
            return self.order(path, &order).await;
        }
        let change = json!({"id": id, "status": status});
        self.publish_changes(vec![change], duplicate).await
    }

    async fn replace(&mut self, place: usize) -> Result<()> {
        let order = json!({"count": 1});
        let made: Value = self.mender.post("/simulator/devices", &order).await?;
        let id = made["ids"][0].as_str().context("no device was made")?;
        id.clone_into(&mut self.ids[place]);
        self.histories.insert(id.to_owned(), vec![Status::Pending]);
        Ok(())
    }

    async fn publish_changes(&self, changes: Vec<Value>, duplicate: usize) -> Result<()> {
        let order = json!({"changes": changes, "duplicate": duplicate});
        self.order("/simulator/devices/status", &order).await
    }

    async fn order(&self, path: &str, order: &Value) -> Result<()> {
        self.mender.post::<Value>(path, order).await.map(drop)
    }
}
