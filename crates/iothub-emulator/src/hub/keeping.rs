//! Handing changes of the state over to the store, if there is one.

use serde::Serialize;

use super::{Hub, locked};
use crate::registry::Registry;
use crate::store::{Broken, Table};

impl Hub {
    /// Hands over the devices that have changed since the last time; called under their lock.
    pub(super) fn keep_devices(&self, registry: &mut Registry) {
        let Some(store) = &self.store else { return };
        for id in registry.take_changed() {
            let value = registry.get(&id).map(encoded);
            store.put(Table::Devices, id, value);
        }
    }

    /// Hands over a job as it is now.
    pub(crate) fn keep_job(&self, id: &str) {
        if let Some(store) = &self.store {
            let jobs = locked(&self.jobs);
            store.put(Table::Jobs, id.to_owned(), jobs.get(id).map(encoded));
        }
    }

    /// Hands over a configuration as it is now.
    pub(crate) fn keep_configuration(&self, id: &str) {
        if let Some(store) = &self.store {
            let configurations = locked(&self.configurations);
            let value = configurations.get(id).ok().map(encoded);
            store.put(Table::Configurations, id.to_owned(), value);
        }
    }

    /// Waits until everything that has happened so far would survive a crash.
    pub(crate) async fn durable(&self) -> Result<(), Broken> {
        match &self.store {
            None => Ok(()),
            Some(store) => store.durable().await,
        }
    }

    /// Returns when the state can no longer be kept, which is never without a store.
    pub(crate) async fn broken(&self) {
        match &self.store {
            None => std::future::pending().await,
            Some(store) => store.broken().await,
        }
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text keys and plain values always serialize")
}
