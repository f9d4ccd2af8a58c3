//! Digital twins: another face of device twins, and commands that are direct methods underneath.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::methods::{MethodCall, invoke};
use super::{Answer, Call, Performed, done};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::{Device, Gate, Trace};
use crate::router::parameter;
use crate::twin::{Document, Section, TwinDraft};

/// What the answer to a command is called in the headers.
const COMMAND_STATUS: &str = "x-ms-command-statuscode";

/// Does what a request about digital twins asks for.
pub(super) async fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Result<Performed, ServiceError> {
    let id = call.route.device.as_deref().unwrap_or_default();
    match call.route.operation {
        Operation::DigitalTwinRead => Ok(hub.with_registry(|registry, now| {
            done(registry.read_twin(id), now, |device| Answer {
                etag: Some(device.twin.etag.text()),
                ..Answer::ok(view(device).to_string())
            })
        })),
        Operation::DigitalTwinPatch => patch(hub, id, call),
        _ => command(hub, call).await,
    }
}

/// A device twin as a digital one: what was reported, with what is wished in the metadata.
fn view(device: &Device) -> Value {
    let Section {
        values, metadata, ..
    } = &device.twin.reported;
    let written = serde_json::to_value(metadata).unwrap_or_default();
    let mut about = Document::new();
    about.insert("$model".to_owned(), json!(""));
    for key in values.keys().chain(device.twin.desired.values.keys()) {
        let mut facts = Document::new();
        if let Some(wished) = device.twin.desired.values.get(key) {
            facts.insert("desiredValue".to_owned(), wished.clone());
            facts.insert(
                "desiredVersion".to_owned(),
                json!(device.twin.desired.version),
            );
        }
        if let Some(date) = written[key].get("$lastUpdated") {
            facts.insert("lastUpdateTime".to_owned(), date.clone());
        }
        about.insert(key.clone(), Value::Object(facts));
    }
    let mut twin = values.clone();
    twin.insert("$dtId".to_owned(), json!(device.identity.device_id));
    twin.insert("$metadata".to_owned(), Value::Object(about));
    Value::Object(twin)
}

/// One step of a JSON Patch.
#[derive(Deserialize)]
struct Step {
    op: String,
    path: String,
    #[serde(default)]
    value: Value,
}

fn patch(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let steps: Vec<Step> = serde_json::from_slice(call.body)
        .map_err(|_| ServiceError::invalid("The request body is not a JSON Patch.").by_twins())?;
    let mut desired = Document::new();
    for step in steps {
        put(&mut desired, step)?;
    }
    let edit = TwinDraft::new(None, Some(desired));
    Ok(hub.with_registry(|registry, now| {
        let effect = registry.patch_twin(id, &edit, call.precondition, now);
        done(effect, now, |device| Answer {
            status: StatusCode::ACCEPTED,
            etag: Some(device.twin.etag.text()),
            headers: vec![(
                "location",
                format!("/digitaltwins/{id}?api-version={}", call.api_version),
            )],
            ..Answer::ok(String::new())
        })
    }))
}

/// Adds one step to a patch of desired properties; what lies below a component is marked as such.
fn put(desired: &mut Document, step: Step) -> Result<(), ServiceError> {
    let bad =
        || ServiceError::invalid("The JSON Patch has a step that is not supported.").by_twins();
    let value = match step.op.as_str() {
        "add" | "replace" => step.value,
        "remove" => Value::Null,
        _ => return Err(bad()),
    };
    let path = step.path.strip_prefix('/').ok_or_else(bad)?;
    let unescaped = |key: &str| key.replace("~1", "/").replace("~0", "~");
    let keys: Vec<String> = path.split('/').map(unescaped).collect();
    match keys.as_slice() {
        [property] => {
            desired.insert(property.clone(), value);
        }
        [component, property] => {
            let slot = desired
                .entry(component.as_str())
                .or_insert_with(|| json!({"__t": "c"}));
            slot.as_object_mut()
                .ok_or_else(bad)?
                .insert(property.clone(), value);
        }
        _ => return Err(bad()),
    }
    Ok(())
}

/// A command; refused to callers from Entra ID, as the service was seen to do.
async fn command(hub: &Arc<Hub>, call: Call<'_>) -> Result<Performed, ServiceError> {
    if call.gate == Gate::Entra {
        return Err(ServiceError::unauthorized());
    }
    let name = call.route.name.as_deref().unwrap_or_default();
    let method = match &call.route.module {
        // In the path of a command this is the component.
        Some(component) => format!("{component}*{name}"),
        None => name.to_owned(),
    };
    let seconds = |name| parameter(call.query, name).and_then(|it| it.parse::<u64>().ok());
    let payload: Value = if call.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(call.body)
            .map_err(|_| ServiceError::invalid("The payload is not JSON.").by_twins())?
    };
    let method = MethodCall::from_value(json!({
        "methodName": method,
        "payload": payload,
        "responseTimeoutInSeconds": seconds("responseTimeoutInSeconds"),
        "connectTimeoutInSeconds": seconds("connectTimeoutInSeconds"),
    }))?;
    let mut target = call.target();
    target.module = None;
    let answer = invoke(hub, &target, method).await;
    let trace = Trace {
        effective: answer.is_ok(),
        ..Trace::default()
    };
    let answer = answer.map(|(status, payload)| Answer {
        headers: vec![(COMMAND_STATUS, status.to_string())],
        ..Answer::ok(payload.to_string())
    });
    Ok(Performed {
        answer,
        effect: Some((trace, hub.clock.tick())),
    })
}
