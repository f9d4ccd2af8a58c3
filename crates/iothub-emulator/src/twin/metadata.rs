//! `$metadata`: when, and with which version, each object and each leaf was last written.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Document;
use crate::dates::Ticks;

/// The metadata of one object or leaf, and of what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    updated: Ticks,
    /// `None` until the first write.
    version: Option<u64>,
    children: BTreeMap<String, Metadata>,
}

impl Metadata {
    /// Metadata of a section nobody has written.
    pub(crate) const fn untouched(now: Ticks) -> Self {
        Self {
            updated: now,
            version: None,
            children: BTreeMap::new(),
        }
    }

    /// Marks everything that `patch` writes, and all objects on the way there.
    pub(crate) fn touch(&mut self, patch: &Document, now: Ticks, version: u64) {
        self.updated = now;
        self.version = Some(version);
        for (key, value) in patch {
            match value {
                Value::Null => {
                    self.children.remove(key);
                }
                Value::Object(inner) => {
                    let child = self
                        .children
                        .entry(key.clone())
                        .or_insert(Self::untouched(now));
                    child.touch(inner, now, version);
                }
                _ => {
                    let leaf = Self {
                        updated: now,
                        version: Some(version),
                        children: BTreeMap::new(),
                    };
                    self.children.insert(key.clone(), leaf);
                }
            }
        }
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("$lastUpdated", &self.updated)?;
        if let Some(version) = self.version {
            map.serialize_entry("$lastUpdatedVersion", &version)?;
        }
        for (key, child) in &self.children {
            map.serialize_entry(key, child)?;
        }
        map.end()
    }
}
