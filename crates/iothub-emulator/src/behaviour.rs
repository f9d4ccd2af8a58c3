//! What a scripted device does: the methods it answers, and what it reports meanwhile.
//!
//! A script is data, so that a test can say in one request how a device shall behave. The patterns
//! of device management (reboot, factory reset, firmware update) are there by name; each reports
//! its progress under `iothubDM`, as the service's guides have devices do.

mod patterns;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::dates::Ticks;
use crate::twin::Document;

/// Most steps in one script, and methods in one behaviour.
const MAX_STEPS: usize = 100;
/// Longest delay, in milliseconds.
const MAX_DELAY_MS: u64 = 3_600_000;
/// Text that stands for the time at which it is reported.
const NOW: &str = "$now";

/// How a device or module behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behaviour {
    /// Whether it is connected.
    #[serde(default = "yes")]
    pub(crate) online: bool,
    /// Its answers to direct methods; `*` stands for any other name.
    #[serde(default)]
    pub(crate) methods: BTreeMap<String, Reply>,
    /// What it does once it behaves so.
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
}

/// How it answers one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reply {
    pub(crate) status: i32,
    /// What it answers; `null` if nothing.
    pub(crate) payload: Value,
    /// Whether it answers what it was sent instead.
    pub(crate) echo: bool,
    pub(crate) delay_ms: u64,
    /// Whether it never answers.
    pub(crate) silent: bool,
    /// What it does after it was asked.
    pub(crate) steps: Vec<Step>,
}

/// One thing a device does by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Since the method was asked for, or the behaviour set.
    #[serde(default)]
    pub(crate) after_ms: u64,
    /// What it merges into its reported properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reported: Option<Document>,
    /// Whether it connects or disconnects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) online: Option<bool>,
}

/// A reply as it is written down, if it is not just the name of a pattern.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "ok")]
    status: i32,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    echo: bool,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    steps: Vec<Step>,
}

const fn yes() -> bool {
    true
}

const fn ok() -> i32 {
    200
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // By way of a value, as untagged enums cannot hold numbers of any precision.
        let value = Value::deserialize(input)?;
        if let Value::String(name) = &value {
            return Self::pattern(name).ok_or_else(|| {
                let known = "reboot, factory-reset, firmware-update, echo";
                D::Error::custom(format!("unknown pattern {name:?}; there are {known}"))
            });
        }
        let Written {
            status,
            payload,
            echo,
            delay_ms,
            silent,
            steps,
        } = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(Self {
            status,
            payload,
            echo,
            delay_ms,
            silent,
            steps,
        })
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            status: ok(),
            payload: Value::Null,
            echo: false,
            delay_ms: 0,
            silent: false,
            steps: vec![],
        }
    }
}

impl Reply {
    /// What a device answers that does not know the method.
    pub(crate) fn unknown_method() -> Self {
        Self {
            status: 501,
            ..Self::default()
        }
    }
}

impl Behaviour {
    /// Reads a behaviour; the error says what is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let behaviour: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        behaviour.check()?;
        Ok(behaviour)
    }

    fn check(&self) -> Result<(), String> {
        if self.methods.len() > MAX_STEPS {
            return Err(format!("at most {MAX_STEPS} methods"));
        }
        let replies = self.methods.values();
        if replies.clone().any(|it| it.delay_ms > MAX_DELAY_MS) {
            return Err(format!("delay_ms is at most {MAX_DELAY_MS}"));
        }
        for steps in replies.map(|it| &it.steps).chain([&self.steps]) {
            if steps.len() > MAX_STEPS {
                return Err(format!("at most {MAX_STEPS} steps"));
            }
            if steps.iter().any(|it| it.after_ms > MAX_DELAY_MS) {
                return Err(format!("after_ms is at most {MAX_DELAY_MS}"));
            }
        }
        Ok(())
    }

    /// The answer to a method; `None` if it listens to no method at all.
    pub(crate) fn reply(&self, method: &str) -> Option<Reply> {
        if self.methods.is_empty() {
            return None;
        }
        let named = self.methods.get(method).or_else(|| self.methods.get("*"));
        Some(named.cloned().unwrap_or_else(Reply::unknown_method))
    }
}

/// A document with the time in every place where it says so.
pub(crate) fn dated(mut document: Document, now: Ticks) -> Document {
    document.values_mut().for_each(|value| date(value, now));
    document
}

fn date(value: &mut Value, now: Ticks) {
    match value {
        Value::String(text) if text == NOW => *text = now.to_string(),
        Value::Object(inner) => inner.values_mut().for_each(|value| date(value, now)),
        Value::Array(items) => items.iter_mut().for_each(|value| date(value, now)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
