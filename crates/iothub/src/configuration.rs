//! Configurations: desired properties for all devices that meet a condition, and IoT Edge
//! deployments, which are the same thing with modules in it.
//!
//! The content of a configuration cannot be changed: the hub takes an update with another content,
//! says that all is well and keeps the old one. So a [`Configuration`] has setters for what can be
//! changed and none for its content; who wants another content makes another configuration with a
//! higher priority and deletes the old one. What a configuration wrote into twins stays after it.

mod content;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

pub use content::ConfigurationContent;

use crate::document::Document;
use crate::error::{Error, Result};
use crate::time;

/// Longest id of a configuration, in characters.
const MAX_ID: usize = 128;

/// The id of a configuration: 1 to 128 lower-case letters, digits and `- + % _ * ! '`.
///
/// ```
/// assert!("interval-5".parse::<iothub::ConfigurationId>().is_ok());
/// assert!("Interval".parse::<iothub::ConfigurationId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigurationId(String);

/// The text is no id of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a configuration's id has 1 to 128 lower-case letters, digits and `-+%_*!'`")]
pub struct InvalidConfigurationId;

impl ConfigurationId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfigurationId {
    type Err = InvalidConfigurationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-+%_*!'".contains(&b);
        // `testQueries` is another path of the API, and has a capital.
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidConfigurationId)
        }
    }
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configuration to create.
///
/// ```
/// use iothub::{ConfigurationContent, NewConfiguration};
/// use serde_json::json;
///
/// let content = ConfigurationContent::device(json!({"properties.desired.interval": 5}))?;
/// let new = NewConfiguration {
///     target_condition: "tags.site = 'north'".into(),
///     priority: 10,
///     ..NewConfiguration::new("interval-5".parse()?, content)
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewConfiguration {
    /// Its id.
    pub id: ConfigurationId,
    /// What it writes.
    pub content: ConfigurationContent,
    /// Which devices or modules it is for: what follows `WHERE` in a query, or `*` for all. An
    /// empty one is for none.
    pub target_condition: String,
    /// The highest wins where several write the same property.
    pub priority: i32,
    /// Names for people.
    pub labels: BTreeMap<String, String>,
    /// Queries whose counts the hub shows with the configuration, by name.
    pub metrics: BTreeMap<String, String>,
}

impl NewConfiguration {
    /// A configuration for nothing yet, of priority 0.
    #[must_use]
    pub fn new(id: ConfigurationId, content: ConfigurationContent) -> Self {
        Self {
            id,
            content,
            target_condition: String::new(),
            priority: 0,
            labels: BTreeMap::new(),
            metrics: BTreeMap::new(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "schemaVersion": null,
            "labels": self.labels,
            "content": self.content.to_json(),
            "targetCondition": self.target_condition,
            "priority": self.priority,
            "metrics": {"queries": self.metrics},
        })
    }
}

/// A configuration as the hub sent it, with all its fields.
///
/// ```
/// let sent = br#"{"id":"c1","etag":"MQ==","priority":10,"targetCondition":"*","content":{},
///     "systemMetrics":{"results":{"targetedCount":3},"queries":{}}}"#;
/// let configuration = iothub::Configuration::from_json(sent)?;
/// assert_eq!(configuration.priority(), Some(10));
/// assert_eq!(configuration.system_results()["targetedCount"], 3);
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    id: ConfigurationId,
    document: Document,
}

impl Configuration {
    /// Reads a configuration. Without a valid `id` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        Self::from_document(Document::parse(body, &[])?)
    }

    pub(crate) fn list_from_json(body: &[u8]) -> Result<Vec<Self>> {
        let all = Document::parse_all(body, &[])?;
        all.into_iter().map(Self::from_document).collect()
    }

    fn from_document(document: Document) -> Result<Self> {
        let id = document.text("id").and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Error::malformed("the body names no configuration"))?;
        Ok(Self { id, document })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ConfigurationId {
        &self.id
    }

    /// The version, without quotes, as [`crate::Hub::delete_configuration`] takes it.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.document.text("etag")
    }

    /// Which devices or modules it is for.
    #[must_use]
    pub fn target_condition(&self) -> Option<&str> {
        self.document.text("targetCondition")
    }

    /// The highest wins where several write the same property.
    #[must_use]
    pub fn priority(&self) -> Option<i64> {
        self.document.get("priority")?.as_i64()
    }

    /// When it was made.
    #[must_use]
    pub fn created_time(&self) -> Option<SystemTime> {
        time::parse(self.document.text("createdTimeUtc")?)
    }

    /// When it was changed last.
    #[must_use]
    pub fn last_updated_time(&self) -> Option<SystemTime> {
        time::parse(self.document.text("lastUpdatedTimeUtc")?)
    }

    /// The counts of the hub's own queries, such as `targetedCount` and `appliedCount`. Empty until
    /// the hub has looked.
    #[must_use]
    pub fn system_results(&self) -> BTreeMap<&str, i64> {
        self.results("systemMetrics")
    }

    /// The counts of the caller's own queries.
    #[must_use]
    pub fn metric_results(&self) -> BTreeMap<&str, i64> {
        self.results("metrics")
    }

    fn results(&self, name: &str) -> BTreeMap<&str, i64> {
        let results = self.document.get(name);
        let results = results.and_then(|metrics| metrics.get("results")?.as_object());
        let pairs = results.into_iter().flatten();
        pairs
            .filter_map(|(name, value)| Some((name.as_str(), value.as_i64()?)))
            .collect()
    }

    /// Any other field, as the hub sent it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Changes which devices or modules it is for, once it is sent back.
    pub fn set_target_condition(&mut self, condition: &str) {
        self.document.set("targetCondition", condition);
    }

    /// Changes its priority, once it is sent back.
    pub fn set_priority(&mut self, priority: i32) {
        self.document.set("priority", priority);
    }

    /// Changes its labels, once it is sent back.
    pub fn set_labels(&mut self, labels: &BTreeMap<String, String>) {
        self.document.set("labels", json!(labels));
    }

    /// Changes its queries, once it is sent back.
    pub fn set_metrics(&mut self, queries: &BTreeMap<String, String>) {
        self.document.set("metrics", json!({"queries": queries}));
    }

    /// The body of the updating request: all fields, changed or not.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        if !self.document.get("content").is_some_and(Value::is_object) {
            return Err(Error::invalid("a configuration goes back with its content"));
        }
        Ok(self.document.to_bytes())
    }
}

/// What the hub says of a condition and queries before they are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryTest {
    /// What is wrong with the condition, in the hub's words.
    pub condition_error: Option<String>,
    /// What is wrong with queries, by their names.
    pub metric_errors: BTreeMap<String, String>,
}

impl QueryTest {
    /// Reads the hub's answer.
    pub fn from_json(body: &[u8]) -> Result<Self> {
        let document = Document::parse(body, &[])?;
        let said = |text: &&str| !text.is_empty();
        let errors = document.get("customMetricQueryErrors");
        let errors = errors.and_then(Value::as_object).into_iter().flatten();
        let error = |(name, value): (&String, &Value)| {
            let text = value.as_str().filter(said)?;
            Some((name.clone(), text.to_owned()))
        };
        let condition = document.text("targetConditionError").filter(said);
        Ok(Self {
            condition_error: condition.map(str::to_owned),
            metric_errors: errors.filter_map(error).collect(),
        })
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        *self == Self::default()
    }
}

/// The body of a test.
pub(crate) fn test_input(condition: &str, metrics: &BTreeMap<String, String>) -> Value {
    let mut input = Map::new();
    input.insert("targetCondition".into(), condition.into());
    input.insert("customMetricQueries".into(), json!(metrics));
    Value::Object(input)
}

#[cfg(test)]
#[path = "configuration_tests.rs"]
mod tests;
