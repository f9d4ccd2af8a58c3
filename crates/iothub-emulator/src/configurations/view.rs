//! Configurations on the wire.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Configuration;
use super::content::Parts;
use crate::dates::Ticks;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationView<'a> {
    id: &'a str,
    schema_version: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    content: &'a Map<String, Value>,
    target_condition: &'a str,
    created_time_utc: Ticks,
    last_updated_time_utc: Ticks,
    priority: i64,
    system_metrics: MetricsView<'a>,
    metrics: MetricsView<'a>,
    etag: String,
}

#[derive(Serialize)]
struct MetricsView<'a> {
    results: &'a BTreeMap<String, u64>,
    queries: &'a BTreeMap<String, String>,
}

/// The queries behind the system's own metrics.
pub(crate) fn system_queries(configuration: &Configuration) -> BTreeMap<String, String> {
    let source = match configuration.content.parts() {
        Ok(Parts::Module(_)) => "devices.modules",
        _ => "devices",
    };
    let target = configuration.target.trim();
    let targeted = if target.is_empty() || target == "*" {
        format!("SELECT deviceId FROM {source}")
    } else if target.to_ascii_lowercase().starts_with("from ") {
        format!("SELECT deviceId {target}")
    } else {
        format!("SELECT deviceId FROM {source} WHERE {target}")
    };
    let id = &configuration.id;
    let applied =
        format!("SELECT deviceId FROM {source} WHERE configurations.[[{id}]].status = 'Applied'");
    let named = [("targetedCount", targeted), ("appliedCount", applied)];
    named.map(|(name, query)| (name.to_owned(), query)).into()
}

/// A configuration as all answers show it.
pub(crate) fn configuration(configuration: &Configuration) -> String {
    let queries = system_queries(configuration);
    let view = ConfigurationView {
        id: &configuration.id,
        schema_version: configuration.schema_version.as_deref(),
        labels: &configuration.labels,
        content: &configuration.content.sent,
        target_condition: &configuration.target,
        created_time_utc: configuration.created,
        last_updated_time_utc: configuration.updated,
        priority: configuration.priority,
        system_metrics: MetricsView {
            results: &configuration.results.system,
            queries: &queries,
        },
        metrics: MetricsView {
            results: &configuration.results.custom,
            queries: &configuration.queries,
        },
        etag: configuration.etag.text(),
    };
    serde_json::to_string(&view).expect("text keys and plain values always serialize")
}
