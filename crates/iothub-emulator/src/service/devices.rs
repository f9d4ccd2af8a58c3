//! Device identities and their twins.

use super::{Answer, Call, Performed, done, looked_up};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::identity::IdentityDraft;
use crate::operation::Operation;
use crate::registry::{Device, Fresh};
use crate::router::list_limit;
use crate::twin::TwinDraft;
use crate::views;

/// Does what a request about devices asks for.
pub(super) fn perform(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    match call.route.operation {
        Operation::List => Ok(list(hub, list_limit(call.query))),
        Operation::Create | Operation::Update => put_identity(hub, id, call),
        Operation::Read => {
            Ok(hub.with_registry(|registry, now| done(registry.read(id), now, identity)))
        }
        Operation::Delete => Ok(hub.with_registry(|registry, now| {
            done(registry.delete(id, call.precondition), now, identity)
        })),
        Operation::TwinRead => Ok(hub.with_registry(|registry, now| {
            done(registry.read_twin(id), now, |device| {
                twin(device, call.api_version)
            })
        })),
        _ => write_twin(hub, id, call),
    }
}

fn put_identity(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let edit = IdentityDraft::parse(call.body)?.check(id)?;
    let fresh = hub.fresh();
    let render = if call.route.operation == Operation::Create {
        created
    } else {
        identity
    };
    Ok(hub.with_registry(|registry, now| {
        done(
            registry.put(id, edit, call.precondition, Fresh { now, ..fresh }),
            now,
            render,
        )
    }))
}

fn write_twin(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let edit = TwinDraft::parse(call.body).map_err(ServiceError::by_twins)?;
    let replace = call.route.operation == Operation::TwinReplace;
    Ok(hub.with_registry(|registry, now| {
        let effect = if replace {
            registry.replace_twin(id, &edit, call.precondition, now)
        } else {
            registry.patch_twin(id, &edit, call.precondition, now)
        };
        done(effect, now, |device| twin(device, call.api_version))
    }))
}

fn list(hub: &Hub, limit: usize) -> Performed {
    hub.with_registry(|registry, now| {
        let items: Vec<String> = registry.page(None, limit).map(views::identity).collect();
        looked_up(format!("[{}]", items.join(",")), now)
    })
}

fn created(device: &Device) -> Answer {
    Answer {
        body: views::created_identity(device),
        ..identity(device)
    }
}

fn identity(device: &Device) -> Answer {
    Answer {
        etag: Some(device.identity.etag.text()),
        ..Answer::ok(views::identity(device))
    }
}

fn twin(device: &Device, api_version: &str) -> Answer {
    Answer::ok(views::twin(device, api_version))
}
