//! Module identities and module twins.

use super::{Answer, Call, Performed, done, looked_up};
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::module::{Module, ModuleDraft, check_writable};
use crate::operation::Operation;
use crate::registry::Fresh;
use crate::twin::TwinDraft;
use crate::views::modules as views;

/// Does what a request about modules asks for.
pub(super) fn perform(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let module = call.route.module.as_deref().unwrap_or_default();
    match call.route.operation {
        Operation::ModuleList => list(hub, id, call),
        Operation::ModuleCreate | Operation::ModuleUpdate => put(hub, id, module, call),
        Operation::ModuleDelete => {
            check_writable(module)?;
            Ok(hub.with_registry(|registry, now| {
                let effect = registry.delete_module((id, module), call.precondition, call.gate);
                done(effect, now, |module| identity(id, module))
            }))
        }
        Operation::ModuleRead => Ok(hub.with_registry(|registry, now| {
            let effect = registry.read_module(id, module, call.gate);
            done(effect, now, |module| identity(id, module))
        })),
        Operation::ModuleTwinRead => Ok(hub.with_registry(|registry, now| {
            let effect = registry.read_module_twin(id, module);
            done(effect, now, |module| twin(id, module, call))
        })),
        _ => write_twin(hub, id, module, call),
    }
}

fn list(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    hub.with_registry(|registry, now| {
        let modules = registry.modules(id, call.gate)?;
        let items: Vec<String> = modules.map(|it| views::identity(id, it)).collect();
        Ok(looked_up(format!("[{}]", items.join(",")), now))
    })
}

fn put(hub: &Hub, id: &str, module: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let edit = ModuleDraft::parse(call.body)?.check(id, module)?;
    let fresh = hub.fresh();
    let creates = call.route.operation == Operation::ModuleCreate;
    Ok(hub.with_registry(|registry, now| {
        let fresh = Fresh { now, ..fresh };
        let effect = registry.put_module((id, module), edit, call.precondition, fresh, call.gate);
        done(effect, now, |module| {
            Answer::ok(if creates {
                views::created_identity(id, module)
            } else {
                views::identity(id, module)
            })
        })
    }))
}

fn write_twin(
    hub: &Hub,
    id: &str,
    module: &str,
    call: Call<'_>,
) -> Result<Performed, ServiceError> {
    let edit = TwinDraft::parse(call.body).map_err(ServiceError::by_twins)?;
    let replace = call.route.operation == Operation::ModuleTwinReplace;
    Ok(hub.with_registry(|registry, now| {
        let ids = (id, module);
        let effect = registry.write_module_twin(ids, &edit, replace, call.precondition, now);
        done(effect, now, |module| twin(id, module, call))
    }))
}

fn identity(id: &str, module: &Module) -> Answer {
    // Unlike a device, a module has its etag in the body only.
    Answer::ok(views::identity(id, module))
}

fn twin(id: &str, module: &Module, call: Call<'_>) -> Answer {
    Answer::ok(views::twin(id, module, call.api_version))
}
