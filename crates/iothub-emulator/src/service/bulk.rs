//! POST /devices: up to a hundred items, each applied for itself.
//!
//! The journal gets an entry for each item beside the one of the call, so that whoever reads it
//! sees what became of each device.

use std::collections::HashSet;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, Performed};
use crate::bulk::{self, Item};
use crate::choices::{Duplicates, ErrorCode, UpdateEtag};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::registry::{Applied, Fresh, Trace};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultView {
    is_successful: bool,
    errors: Vec<ErrorView>,
    warnings: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorView {
    device_id: String,
    error_code: Value,
    error_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<String>,
}

/// Applies the items of a call; 400 with the same body if any of them failed.
pub(super) fn perform(hub: &Hub, body: &[u8]) -> Result<Performed, ServiceError> {
    let items = bulk::parse(body)?;
    let mut seen = HashSet::new();
    let repeated = |item: &Item| !seen.insert((item.id.clone(), item.module.clone()));
    let repeated: Vec<bool> = items.iter().map(repeated).collect();
    let whole_call = hub.choices.bulk_duplicates == Duplicates::Call;
    if let Some(at) = repeated.iter().position(|it| *it).filter(|_| whole_call) {
        return Err(ServiceError::defined_twice(&items[at].id));
    }
    let mut errors = vec![];
    let mut trace = Trace::default();
    for (item, repeated) in items.into_iter().zip(repeated) {
        let (id, module) = (item.id.clone(), item.module.clone());
        let applied = apply(hub, item, repeated);
        trace.effective |= applied.trace.effective;
        if let Err(error) = applied.result {
            errors.push(ErrorView {
                device_id: id,
                error_code: match hub.choices.bulk_error_code {
                    ErrorCode::Number => json!(error.number()),
                    ErrorCode::Name => json!(error.name),
                },
                error_status: error.text,
                module_id: module,
            });
        }
    }
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let view = ResultView {
        is_successful: errors.is_empty(),
        errors,
        warnings: [],
    };
    let body = serde_json::to_string(&view).expect("text keys and plain values always serialize");
    Ok(Performed {
        answer: Ok(Answer {
            status,
            ..Answer::ok(body)
        }),
        effect: Some((trace, hub.clock.tick())),
    })
}

fn apply(hub: &Hub, item: Item, repeated: bool) -> Applied {
    let device = item.id.clone();
    let refuses_either = hub.choices.bulk_without_create_or_update;
    let either = item.mode.as_ref().is_ok_and(|mode| mode.may_do_either());
    let applied = if repeated {
        Applied::refused(ServiceError::defined_twice(&device))
    } else if either && refuses_either {
        Applied::refused(ServiceError::invalid("The import mode is not known."))
    } else {
        let checks = hub.choices.bulk_update_etag == UpdateEtag::Check;
        let fresh = hub.fresh();
        hub.with_registry(|registry, now| registry.apply(item, checks, Fresh { now, ..fresh }))
    };
    note(hub, &device, &applied);
    applied
}

/// Writes one item into the journal.
pub(crate) fn note(hub: &Hub, device: &str, applied: &Applied) {
    let now = hub.clock.tick();
    let mut entry = Entry::arrived("POST", "/devices", Operation::BulkItem, now);
    entry.device = Some(device.into());
    entry.take_effect(applied.trace.clone(), now);
    let status = match &applied.result {
        Ok(()) => StatusCode::OK,
        Err(error) => error.status,
    };
    entry.reply(status.as_u16(), now);
    hub.journal.open(entry);
}
