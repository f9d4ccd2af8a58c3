//! Putting a hub together from what an earlier process left behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::configurations::{Configuration, Configurations};
use crate::dates::{Clock, Ticks};
use crate::hub::new_key;
use crate::jobs::{Job, Jobs};
use crate::registry::{Device, Registry};
use crate::store::{Saved, Store, Table};

/// The name under which the key of the default policy is kept.
const OWNER_KEY: &str = "iothubowner";

/// The state a hub starts with.
pub(crate) struct Start {
    pub(crate) registry: Registry,
    pub(crate) jobs: Jobs,
    pub(crate) configurations: Configurations,
    /// The key of the default policy, should that be wanted.
    pub(crate) owner_key: String,
    pub(crate) store: Option<Store>,
    /// When the newest device was made; new ones must be newer.
    pub(crate) newest: Ticks,
}

impl Start {
    /// Nothing but an empty hub, whose state ends with the process.
    pub(crate) fn empty(lag: Duration) -> Self {
        Self {
            registry: Registry::with_lag(lag),
            jobs: Jobs::default(),
            configurations: Configurations::default(),
            owner_key: new_key(),
            store: None,
            newest: Ticks::NEVER,
        }
    }

    /// What a directory holds, and the way to keep it up to date.
    pub(crate) fn from_dir(dir: &Path, lag: Duration) -> Result<Self> {
        let saved = Saved::open(dir)?;
        let devices: BTreeMap<String, Device> = saved.all(Table::Devices)?;
        let jobs: BTreeMap<String, Job> = saved.all(Table::Jobs)?;
        let configurations: BTreeMap<String, Configuration> = saved.all(Table::Configurations)?;
        let settings: BTreeMap<String, String> = saved.all(Table::Settings)?;
        let store = saved.into_store();
        let owner_key = settings.get(OWNER_KEY).cloned().unwrap_or_else(|| {
            let key = new_key();
            store.put(
                Table::Settings,
                OWNER_KEY.to_owned(),
                serde_json::to_vec(&key).ok(),
            );
            key
        });
        Ok(Self {
            newest: devices
                .values()
                .map(Device::newest)
                .max()
                .unwrap_or_default(),
            registry: Registry::restored(devices, lag, Clock::default().tick()),
            jobs: Jobs::restored(jobs),
            configurations: Configurations::restored(configurations),
            owner_key,
            store: Some(store),
        })
    }
}
