//! Scripts on the control port: how a device behaves, and what it reports.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::behaviour::{Behaviour, dated};
use crate::control::{Reply, json, nothing, problem};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::registry::Target;
use crate::script;

/// Answers a request about the script of a device or module.
pub(crate) fn answer(hub: &Arc<Hub>, method: &str, target: Target, body: &[u8]) -> Option<Reply> {
    Some(match method {
        "GET" => show(hub, &target),
        "PUT" => put(hub, target, body),
        "DELETE" => {
            let stopped = hub.with_registry(|registry, _| registry.behave(&target, None));
            stopped.map_or_else(|error| refusal(&error), |_| nothing())
        }
        _ => return None,
    })
}

fn show(hub: &Hub, target: &Target) -> Reply {
    match hub.with_registry(|registry, _| registry.script(target)) {
        Err(error) => refusal(&error),
        Ok(None) => problem(StatusCode::NOT_FOUND, "it has no behaviour"),
        Ok(Some(script)) => {
            let text = serde_json::to_string(&*script);
            json(
                StatusCode::OK,
                text.expect("text keys and plain values always serialize"),
            )
        }
    }
}

fn put(hub: &Arc<Hub>, target: Target, body: &[u8]) -> Reply {
    let script = match Behaviour::parse(body) {
        Ok(script) => Arc::new(script),
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
    };
    let steps = script.steps.clone();
    let set = hub.with_registry(|registry, _| registry.behave(&target, Some(script)));
    match set {
        Ok(generation) => {
            hub.connections.notify_waiters();
            script::play(hub, target, generation, steps);
            nothing()
        }
        Err(error) => refusal(&error),
    }
}

/// Merges into the reported properties as the device would.
pub(crate) fn report(hub: &Hub, target: &Target, body: &[u8]) -> Reply {
    let Ok(Value::Object(patch)) = serde_json::from_slice(body) else {
        return problem(StatusCode::BAD_REQUEST, "the body must be a JSON object");
    };
    let done = hub.with_registry(|registry, now| registry.report(target, None, &dated(patch, now)));
    done.map_or_else(|error| refusal(&error), |_| nothing())
}

fn refusal(error: &ServiceError) -> Reply {
    problem(error.status, &error.text)
}
