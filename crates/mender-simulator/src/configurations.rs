//! What deviceconfig keeps: a configuration for each device, and every deployment of it.
//!
//! Pure. Deployments outlive the configuration, because they are what a test wants to see.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::fleet::DeviceKey;

/// Most keys of one device, and of one request.
const MAX_KEYS: usize = 100;
/// Longest key and value, in bytes.
const MAX_LENGTH: usize = 4096;
/// The key that holds the connection string.
const CONNECTION_STRING: &str = "azureConnectionString";

/// Keys and values.
pub(crate) type Configuration = BTreeMap<String, String>;

/// One deployment. It holds connection strings, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub(crate) struct Deployment {
    pub(crate) deployment_id: String,
    pub(crate) configuration: Configuration,
}

/// The configurations of all devices. They hold connection strings, so this has no `Debug`.
#[derive(Default)]
pub(crate) struct Configurations {
    stored: BTreeMap<DeviceKey, Configuration>,
    deployments: BTreeMap<DeviceKey, Vec<Deployment>>,
}

impl Configurations {
    /// Makes a device known, as the provisioning workflow does.
    pub(crate) fn add(&mut self, key: &DeviceKey) {
        self.stored.entry(key.clone()).or_default();
    }

    /// Makes a device unknown, as the decommissioning workflow does.
    pub(crate) fn remove(&mut self, key: &DeviceKey) {
        self.stored.remove(key);
    }

    /// Forgets also the deployments, because the id begins a new life.
    pub(crate) fn forget(&mut self, key: &DeviceKey) {
        self.stored.remove(key);
        self.deployments.remove(key);
    }

    /// Merges keys into the configuration of a device, which need not be known. A key beyond the
    /// hundredth is dropped without a word; nothing at all does not even make the device known.
    pub(crate) fn merge(&mut self, key: &DeviceKey, changes: Configuration) {
        if changes.is_empty() {
            return;
        }
        let stored = self.stored.entry(key.clone()).or_default();
        for (name, value) in changes {
            if stored.len() < MAX_KEYS || stored.contains_key(&name) {
                stored.insert(name, value);
            }
        }
    }

    /// Deploys the configuration of a device; `false` if the device is not known.
    pub(crate) fn deploy(&mut self, key: &DeviceKey, deployment_id: &str) -> bool {
        let Some(configuration) = self.stored.get(key) else {
            return false;
        };
        let deployment = Deployment {
            deployment_id: deployment_id.to_owned(),
            configuration: configuration.clone(),
        };
        self.deployments
            .entry(key.clone())
            .or_default()
            .push(deployment);
        true
    }

    /// Whether the device is known.
    pub(crate) fn knows(&self, key: &DeviceKey) -> bool {
        self.stored.contains_key(key)
    }

    /// What is stored for a device.
    pub(crate) fn stored(&self, key: &DeviceKey) -> Option<&Configuration> {
        self.stored.get(key)
    }

    /// All deployments to a device, the oldest first.
    pub(crate) fn deployments(&self, key: &DeviceKey) -> &[Deployment] {
        self.deployments.get(key).map_or(&[], Vec::as_slice)
    }

    /// The connection string of the last deployment to a device.
    pub(crate) fn delivered(&self, key: &DeviceKey) -> Option<&str> {
        let last = self.deployments(key).last()?;
        last.configuration
            .get(CONNECTION_STRING)
            .map(String::as_str)
    }
}

/// Reads the body of a request that merges keys, by deviceconfig's rules.
pub(crate) fn changes(body: &[u8]) -> Result<Configuration, &'static str> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "malformed request parameters")?;
    let Value::Object(entries) = body else {
        return Err("malformed request parameters");
    };
    if entries.len() > MAX_KEYS {
        return Err("too many configuration attributes, maximum is 100");
    }
    let mut changes = Configuration::new();
    for (name, value) in entries {
        let Value::String(value) = value else {
            return Err("a value is not a string");
        };
        if name.is_empty() || name.len() > MAX_LENGTH {
            return Err("a key is empty or too long");
        }
        if value.len() > MAX_LENGTH {
            return Err("a value is too long");
        }
        changes.insert(name, value);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DeviceKey {
        DeviceKey {
            tenant: String::new(),
            id: "d".to_owned(),
        }
    }

    fn one(name: &str, value: &str) -> Configuration {
        Configuration::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn keys_are_merged_and_deployed_together() {
        let mut configurations = Configurations::default();
        configurations.merge(&key(), one("site", "north"));
        configurations.merge(&key(), one(CONNECTION_STRING, "first"));
        assert!(configurations.deploy(&key(), "1"));
        configurations.merge(&key(), one(CONNECTION_STRING, "second"));
        assert_eq!(configurations.delivered(&key()), Some("first"));
        assert!(configurations.deploy(&key(), "2"));
        assert_eq!(configurations.delivered(&key()), Some("second"));
        assert_eq!(configurations.deployments(&key()).len(), 2);
        let last = &configurations.deployments(&key())[1].configuration;
        assert_eq!(last.get("site").map(String::as_str), Some("north"));
    }

    #[test]
    fn an_unknown_device_cannot_be_deployed_to() {
        let mut configurations = Configurations::default();
        configurations.merge(&key(), Configuration::new());
        assert!(!configurations.deploy(&key(), "1"));
        configurations.add(&key());
        assert!(configurations.deploy(&key(), "1"));
        configurations.remove(&key());
        assert!(!configurations.knows(&key()));
        assert_eq!(configurations.deployments(&key()).len(), 1);
    }

    #[test]
    fn the_hundred_and_first_key_is_dropped_but_known_ones_change() {
        let mut configurations = Configurations::default();
        for number in 0..101 {
            configurations.merge(&key(), one(&number.to_string(), "old"));
        }
        configurations.merge(&key(), one("7", "new"));
        let stored = configurations.stored(&key()).expect("it is known");
        assert_eq!(stored.len(), 100);
        assert_eq!(stored.get("100"), None);
        assert_eq!(stored.get("7").map(String::as_str), Some("new"));
    }

    #[track_caller]
    fn refused(body: &str) {
        assert!(changes(body.as_bytes()).is_err(), "{body}");
    }

    #[test]
    fn only_short_text_under_short_names_is_taken() {
        let long = "x".repeat(MAX_LENGTH + 1);
        refused("");
        refused("[]");
        refused("null");
        refused(r#"{"a":1}"#);
        refused(r#"{"a":null}"#);
        refused(r#"{"":"a"}"#);
        refused(&format!(r#"{{"a":"{long}"}}"#));
        refused(&format!(r#"{{"{long}":"a"}}"#));
        let limit = "x".repeat(MAX_LENGTH);
        assert!(changes(format!(r#"{{"{limit}":"{limit}"}}"#).as_bytes()).is_ok());
        assert_eq!(changes(b"{}"), Ok(Configuration::new()));
    }

    #[test]
    fn a_hundred_keys_are_enough() {
        let body = |keys: usize| {
            let entries: Configuration =
                (0..keys).map(|n| (n.to_string(), String::new())).collect();
            serde_json::to_vec(&entries).expect("text is JSON")
        };
        assert!(changes(&body(100)).is_ok());
        assert!(changes(&body(101)).is_err());
    }
}
