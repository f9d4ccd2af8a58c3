//! Configurations, and the content of edge deployments for one device.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Call, Performed, done, looked_up};
use crate::configurations::content::{Content, Parts};
use crate::configurations::draft::Draft;
use crate::configurations::{Configuration, view};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::operation::Operation;
use crate::query::{parse, parse_condition};
use crate::registry::{Fresh, Trace};
use crate::service::query::dialect;

/// Does what a request about configurations asks for.
pub(super) fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Result<Performed, ServiceError> {
    let id = call.route.name.as_deref().unwrap_or_default();
    match call.route.operation {
        Operation::ConfigurationCreate | Operation::ConfigurationUpdate => {
            let draft = Draft::parse(id, call.body, dialect(&hub.choices))?;
            let now = hub.clock.tick();
            let put = hub
                .configurations()
                .put(draft, call.precondition, now)
                .map(shown);
            hub.keep_configuration(id);
            Ok(changed(hub, put))
        }
        Operation::ConfigurationDelete => {
            let deleted = hub.configurations().delete(id, call.precondition);
            hub.keep_configuration(id);
            Ok(changed(hub, deleted.map(|()| Answer::empty())))
        }
        Operation::ConfigurationList => {
            // All of them: `top` has been seen to mean nothing here.
            let all = hub.configurations();
            let items: Vec<String> = all.all().map(view::configuration).collect();
            Ok(looked_up(
                format!("[{}]", items.join(",")),
                hub.clock.tick(),
            ))
        }
        Operation::TestQueries => Ok(looked_up(test_queries(hub, call.body)?, hub.clock.tick())),
        Operation::ApplyContent => apply(hub, call),
        _ => Ok(Performed {
            answer: hub.configurations().get(id).map(shown),
            effect: Some((Trace::default(), hub.clock.tick())),
        }),
    }
}

fn shown(configuration: &Configuration) -> Answer {
    Answer {
        etag: Some(configuration.etag.text()),
        ..Answer::ok(view::configuration(configuration))
    }
}

fn changed(hub: &Hub, answer: Result<Answer, ServiceError>) -> Performed {
    let trace = Trace {
        effective: answer.is_ok(),
        ..Trace::default()
    };
    Performed {
        answer,
        effect: Some((trace, hub.clock.tick())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queries {
    target_condition: Option<String>,
    custom_metric_queries: Option<Map<String, Value>>,
}

/// POST /configurations/testQueries: mistakes are in the body of a 200.
fn test_queries(hub: &Hub, body: &[u8]) -> Result<String, ServiceError> {
    let queries: Queries = serde_json::from_slice(body)
        .map_err(|_| ServiceError::invalid("The request body is not a set of queries."))?;
    let dialect = dialect(&hub.choices);
    let condition = queries
        .target_condition
        .as_deref()
        .unwrap_or_default()
        .trim();
    // Odd but observed: the condition that targets everything does not pass this test.
    let bad =
        condition == "*" || (!condition.is_empty() && parse_condition(condition, dialect).is_err());
    let metrics = queries.custom_metric_queries.unwrap_or_default();
    let errors = metrics.iter().filter(|(_, query)| {
        query
            .as_str()
            .is_none_or(|text| parse(text, dialect).is_err())
    });
    let errors: Map<String, Value> = errors
        .map(|(name, _)| (name.clone(), json!("The query is not valid.")))
        .collect();
    let mut answer = json!({ "customMetricQueryErrors": errors });
    if bad {
        answer["targetConditionError"] = json!("The target condition is not valid.");
    }
    Ok(answer.to_string())
}

/// POST /devices/{id}/applyConfigurationContent.
fn apply(hub: &Hub, call: Call<'_>) -> Result<Performed, ServiceError> {
    let id = call.route.device.as_deref().unwrap_or_default();
    let sent: Map<String, Value> = serde_json::from_slice(call.body)
        .map_err(|_| ServiceError::invalid("The request body is not a configuration content."))?;
    let Parts::Edge(content) = Content::check(sent)?.parts()? else {
        return Err(ServiceError::bad_content());
    };
    let fresh = hub.fresh();
    Ok(hub.with_registry(|registry, now| {
        let effect = registry.apply_content(id, &content, &Fresh { now, ..fresh });
        done(effect, now, |_| Answer::empty())
    }))
}
