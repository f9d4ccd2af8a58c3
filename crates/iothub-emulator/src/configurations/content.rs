//! What a configuration writes, understood once when it comes in.
//!
//! Content is addressed by paths such as `properties.desired.chiller`; all of one configuration is
//! for devices, for modules of one name, or for the modules of edge devices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::errors::ServiceError;
use crate::twin::Document;

/// Where all paths start.
const ROOT: &str = "properties.desired";

/// The content of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Content {
    /// As it was sent, and as it is shown.
    pub(crate) sent: Map<String, Value>,
}

/// What a content is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parts {
    /// For device twins.
    Device(Vec<Setting>),
    /// For the twins of targeted modules.
    Module(Vec<Setting>),
    /// For the modules of edge devices, by module.
    Edge(BTreeMap<String, Vec<Setting>>),
}

/// One value and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// The keys below the desired properties; none for all of them.
    pub(crate) path: Vec<String>,
    pub(crate) value: Value,
}

impl Content {
    /// Takes content if it is of one kind and well-formed.
    pub(crate) fn check(sent: Map<String, Value>) -> Result<Self, ServiceError> {
        let content = Self { sent };
        content.parts()?;
        Ok(content)
    }

    /// The content, sorted out.
    pub(crate) fn parts(&self) -> Result<Parts, ServiceError> {
        let part = |name: &str| {
            let value = self.sent.get(name).filter(|it| !it.is_null());
            let object = value.map(|it| it.as_object().ok_or_else(ServiceError::bad_content));
            object.transpose()
        };
        let kinds = (
            part("deviceContent")?,
            part("moduleContent")?,
            part("modulesContent")?,
        );
        match kinds {
            (Some(device), None, None) => settings(device).map(Parts::Device),
            (None, Some(module), None) => settings(module).map(Parts::Module),
            (None, None, Some(modules)) => edge(modules).map(Parts::Edge),
            _ => Err(ServiceError::bad_content()),
        }
    }
}

fn edge(modules: &Document) -> Result<BTreeMap<String, Vec<Setting>>, ServiceError> {
    if !modules.contains_key("$edgeAgent") {
        return Err(ServiceError::bad_content());
    }
    let module = |(name, value): (&String, &Value)| {
        let object = value.as_object().ok_or_else(ServiceError::bad_content)?;
        Ok((name.clone(), settings(object)?))
    };
    modules.iter().map(module).collect()
}

fn settings(object: &Document) -> Result<Vec<Setting>, ServiceError> {
    object
        .iter()
        .map(|(path, value)| setting(path, value))
        .collect()
}

fn setting(path: &str, value: &Value) -> Result<Setting, ServiceError> {
    let below = path
        .strip_prefix(ROOT)
        .ok_or_else(ServiceError::bad_content)?;
    let path: Vec<String> = match below.strip_prefix('.') {
        Some(below) => below.split('.').map(str::to_owned).collect(),
        None if below.is_empty() => vec![],
        None => return Err(ServiceError::bad_content()),
    };
    let sound = path.iter().all(|key| !key.is_empty()) && (!path.is_empty() || value.is_object());
    if !sound {
        return Err(ServiceError::bad_content());
    }
    let value = value.clone();
    Ok(Setting { path, value })
}

/// Puts settings into a document, later ones over earlier ones.
pub(crate) fn put(document: &mut Document, settings: &[Setting]) {
    for Setting { path, value } in settings {
        let Some((last, way)) = path.split_last() else {
            if let Value::Object(all) = value {
                document.extend(all.clone());
            }
            continue;
        };
        let mut place = &mut *document;
        for key in way {
            let slot = place.entry(key.as_str()).or_insert(Value::Null);
            if !slot.is_object() {
                *slot = Value::Object(Document::new());
            }
            let Value::Object(inner) = slot else { return };
            place = inner;
        }
        place.insert(last.clone(), value.clone());
    }
}
