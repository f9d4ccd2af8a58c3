//! The body of a configuration's PUT, and the rules for it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::content::{Content, Parts};
use super::{Configuration, Results};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::IdentityEtag;
use crate::query::{Dialect, Source, parse_condition};

/// Longest id.
const MAX_ID: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    id: Option<String>,
    schema_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    content: Option<Map<String, Value>>,
    target_condition: Option<String>,
    priority: Option<i64>,
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
struct Metrics {
    queries: Option<BTreeMap<String, String>>,
}

/// A checked wish for a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(super) id: String,
    schema_version: Option<String>,
    labels: BTreeMap<String, String>,
    content: Content,
    target: String,
    priority: i64,
    queries: BTreeMap<String, String>,
}

impl Draft {
    /// Reads and checks the body for the configuration called `id`.
    pub(crate) fn parse(id: &str, body: &[u8], dialect: Dialect) -> Result<Self, ServiceError> {
        check_id(id)?;
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a configuration: {place}."))
        })?;
        if body.id.as_deref() != Some(id) {
            let text = "The ID in the request body does not match the one in the URI.";
            return Err(ServiceError::invalid(text));
        }
        let content = Content::check(body.content.ok_or_else(ServiceError::bad_content)?)?;
        let target = body.target_condition.unwrap_or_default();
        check_target(&target, &content, dialect)?;
        let priority = body.priority.unwrap_or_default();
        if priority < 0 {
            return Err(ServiceError::invalid("The priority must not be negative."));
        }
        Ok(Self {
            id: id.to_owned(),
            schema_version: body.schema_version,
            labels: body.labels.unwrap_or_default(),
            content,
            target,
            priority,
            queries: body.metrics.and_then(|it| it.queries).unwrap_or_default(),
        })
    }

    pub(super) fn create(self, now: Ticks) -> Configuration {
        Configuration {
            id: self.id,
            schema_version: self.schema_version,
            labels: self.labels,
            content: self.content,
            target: self.target,
            created: now,
            updated: now,
            priority: self.priority,
            queries: self.queries,
            etag: IdentityEtag::ONE,
            results: Results::default(),
        }
    }

    pub(super) fn onto(self, existing: Configuration, now: Ticks) -> Configuration {
        Configuration {
            content: existing.content.clone(),
            created: existing.created,
            etag: existing.etag.next(),
            results: existing.results,
            ..self.create(now)
        }
    }
}

/// A condition must be one, and about what the content is for.
fn check_target(target: &str, content: &Content, dialect: Dialect) -> Result<(), ServiceError> {
    if target.trim().is_empty() {
        return Ok(());
    }
    let bad = || ServiceError::invalid("The target condition is not valid.");
    let (source, _) = parse_condition(target, dialect).map_err(|_| bad())?;
    let wanted = match content.parts()? {
        Parts::Module(_) => Source::Modules,
        Parts::Device(_) | Parts::Edge(_) => Source::Devices,
    };
    (source == wanted).then_some(()).ok_or_else(bad)
}

fn check_id(id: &str) -> Result<(), ServiceError> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+%_*!'".contains(c);
    if (1..=MAX_ID).contains(&id.len()) && id.chars().all(known) {
        return Ok(());
    }
    let text = "The configuration ID is empty, too long or contains invalid characters.";
    Err(ServiceError::invalid(text))
}
