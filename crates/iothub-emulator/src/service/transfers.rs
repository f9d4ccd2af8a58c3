//! Import and export jobs: create, look at, list, cancel.

use std::sync::Arc;

use uuid::Uuid;

use super::{Answer, Call, Performed};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::Trace;
use crate::transfers::porter;

/// Does what a request about import and export jobs asks for.
pub(super) fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Result<Performed, ServiceError> {
    let id = call.route.name.as_deref().unwrap_or_default();
    let now = hub.clock.tick();
    let mut effective = false;
    let answer = match call.route.operation {
        Operation::TransferCreate => {
            let id = Uuid::new_v4().to_string();
            let (shown, errand) = hub.transfers().add(id, call.body, &hub.blobs, now)?;
            effective = true;
            porter::send(hub, errand);
            Answer::ok(shown)
        }
        Operation::TransferList => Answer::ok(hub.transfers().list()),
        Operation::TransferCancel => {
            effective = hub.transfers().cancel(id, now)?;
            Answer::empty()
        }
        _ => Answer::ok(hub.transfers().show(id)?),
    };
    let trace = Trace {
        effective,
        ..Trace::default()
    };
    Ok(Performed {
        answer: Ok(answer),
        effect: Some((trace, now)),
    })
}
