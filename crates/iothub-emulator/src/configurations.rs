//! Configurations and edge deployments: what they say, and the rules for writing them.
//!
//! This is their state alone; `keeper` finds the devices they target and writes what they say.

pub(crate) mod apply;
pub(crate) mod content;
pub(crate) mod draft;
pub(crate) mod keeper;
pub(crate) mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::configurations::content::Content;
use crate::configurations::draft::Draft;
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::{IdentityEtag, Precondition};

/// Most configurations of a hub.
const MAX_CONFIGURATIONS: usize = 100;

/// One configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) id: String,
    pub(crate) schema_version: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) content: Content,
    /// Empty if it targets nothing.
    pub(crate) target: String,
    pub(crate) created: Ticks,
    pub(crate) updated: Ticks,
    pub(crate) priority: i64,
    /// The caller's own metrics, by name.
    pub(crate) queries: BTreeMap<String, String>,
    pub(crate) etag: IdentityEtag,
    pub(crate) results: Results,
}

/// What the metrics came to when they were last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Results {
    /// `targetedCount` and `appliedCount`; nothing before the first look.
    pub(crate) system: BTreeMap<String, u64>,
    pub(crate) custom: BTreeMap<String, u64>,
}

/// All configurations of a hub.
#[derive(Debug, Default)]
pub(crate) struct Configurations {
    by_id: BTreeMap<String, Configuration>,
    /// Moves with every change of what they say.
    version: u64,
}

impl Configurations {
    /// Configurations of an earlier process.
    pub(crate) fn restored(by_id: BTreeMap<String, Configuration>) -> Self {
        // Nothing to keep in line is version zero.
        let version = u64::from(!by_id.is_empty());
        Self { by_id, version }
    }

    /// One configuration.
    pub(crate) fn get(&self, id: &str) -> Result<&Configuration, ServiceError> {
        self.by_id
            .get(id)
            .ok_or_else(|| ServiceError::configuration_not_found(id))
    }

    /// All of them, in order of their ids.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Configuration> {
        self.by_id.values()
    }

    /// A number that moves whenever one of them changes.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// PUT: create-only without a precondition, update-only with one. A change of the content is
    /// ignored without a word, as the service does.
    pub(crate) fn put(
        &mut self,
        draft: Draft,
        precondition: &Precondition,
        now: Ticks,
    ) -> Result<&Configuration, ServiceError> {
        let id = draft.id.clone();
        if *precondition != Precondition::Absent {
            self.check(&id, precondition)?;
        } else if self.by_id.contains_key(&id) {
            return Err(ServiceError::configuration_already_exists(&id));
        } else if self.by_id.len() >= MAX_CONFIGURATIONS {
            return Err(ServiceError::too_many_configurations(MAX_CONFIGURATIONS));
        }
        let stored = match self.by_id.remove(&id) {
            None => draft.create(now),
            Some(existing) => draft.onto(existing, now),
        };
        self.version += 1;
        Ok(self.by_id.entry(id).or_insert(stored))
    }

    /// DELETE; what it wrote into twins stays there.
    pub(crate) fn delete(
        &mut self,
        id: &str,
        precondition: &Precondition,
    ) -> Result<(), ServiceError> {
        self.check(id, precondition)?;
        self.by_id.remove(id);
        self.version += 1;
        Ok(())
    }

    /// Keeps what metrics came to, if the configuration is still there.
    pub(crate) fn note(&mut self, id: &str, results: Results) {
        if let Some(configuration) = self.by_id.get_mut(id) {
            configuration.results = results;
        }
    }

    fn check(&self, id: &str, precondition: &Precondition) -> Result<(), ServiceError> {
        if precondition.allows(&self.get(id)?.etag.text()) {
            return Ok(());
        }
        let text = "PreconditionFailed, ETag may be invalid.";
        Err(ServiceError::precondition_failed(text))
    }
}

#[cfg(test)]
mod tests;
