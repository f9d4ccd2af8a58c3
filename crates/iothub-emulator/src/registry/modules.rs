//! Modules of the devices in a registry: the If-Match table again, with the modules' own refusals.
//!
//! Under a shared access signature the service answers 401 to identity calls about modules of a
//! device that is missing or disabled, and 404 or success to a caller from Entra ID; hence the
//! [`Gate`]. Twin calls are ordinary, and answer `DeviceNotFound` for a missing module too.

use super::effect::{Facet, Glimpse};
use super::{Device, Effect, Fresh, Registry, Trace, check_twin_version, check_version};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::{IdentityEtag, Precondition};
use crate::identity::Status;
use crate::life::Life;
use crate::module::{MAX_MODULES, Module, ModuleEdit, ModuleIdentity, check_writable};
use crate::twin::{Twin, TwinDraft};

/// How the caller of a module identity call has proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// By a shared access signature, which needs the device to be there and enabled.
    SharedAccess,
    /// By a token of Entra ID.
    Entra,
}

impl Gate {
    fn open(self, device: Option<&Device>, id: &str) -> Result<(), ServiceError> {
        let usable = |device: &Device| device.identity.status == Status::Enabled;
        match (self, device) {
            (Self::SharedAccess, Some(device)) if usable(device) => Ok(()),
            (Self::SharedAccess, _) => Err(ServiceError::unauthorized()),
            (Self::Entra, Some(_)) => Ok(()),
            (Self::Entra, None) => Err(ServiceError::device_not_found(id)),
        }
    }
}

impl Registry {
    /// All modules of a device.
    pub(crate) fn modules(
        &self,
        id: &str,
        gate: Gate,
    ) -> Result<impl Iterator<Item = &Module>, ServiceError> {
        let device = self.devices.get(id);
        gate.open(device, id)?;
        Ok(device.into_iter().flat_map(|it| it.modules.values()))
    }

    /// GET of a module identity.
    pub(crate) fn read_module(&mut self, id: &str, module: &str, gate: Gate) -> Effect<'_, Module> {
        self.observe_module(id, module, Facet::Identity, |device| {
            gate.open(device.as_deref(), id)?;
            present(device, module).map(|_| false)
        })
    }

    /// PUT of a module identity: create-only without a precondition, update-only with one.
    pub(crate) fn put_module(
        &mut self,
        (id, module): (&str, &str),
        edit: ModuleEdit,
        precondition: &Precondition,
        fresh: Fresh,
        gate: Gate,
    ) -> Effect<'_, Module> {
        self.observe_module(id, module, Facet::Identity, |device| {
            gate.open(device.as_deref(), id)?;
            let Some(device) = device else {
                return Err(ServiceError::device_not_found(id));
            };
            if *precondition == Precondition::Absent {
                let twin = Twin::new(Ticks::NEVER);
                return create(device, module, edit, twin, fresh);
            }
            let existing = present(Some(device), module)?;
            check_version(existing.identity.etag, precondition)?;
            existing.identity.replace(edit, fresh.keys);
            Ok(true)
        })
    }

    /// DELETE of a module identity. The service insists on a precondition.
    pub(crate) fn delete_module(
        &mut self,
        (id, module): (&str, &str),
        precondition: &Precondition,
        gate: Gate,
    ) -> Effect<'_, Module> {
        self.observe_module(id, module, Facet::Identity, |mut device| {
            check_writable(module)?;
            gate.open(device.as_deref(), id)?;
            if *precondition == Precondition::Absent {
                return Err(ServiceError::precondition_failed("Etag missing"));
            }
            let existing = present(device.as_deref_mut(), module)?;
            check_version(existing.identity.etag, precondition)?;
            Ok(device.is_some_and(|it| it.modules.remove(module).is_some()))
        })
    }

    /// GET of a module twin.
    pub(crate) fn read_module_twin(&mut self, id: &str, module: &str) -> Effect<'_, Module> {
        self.observe_module(id, module, Facet::Twin, |device| {
            present_twin(device, id, module, &Precondition::Any).map(|_| false)
        })
    }

    /// PATCH (or PUT, if `replace`) of a module twin.
    pub(crate) fn write_module_twin(
        &mut self,
        (id, module): (&str, &str),
        edit: &TwinDraft,
        replace: bool,
        precondition: &Precondition,
        now: Ticks,
    ) -> Effect<'_, Module> {
        self.observe_module(id, module, Facet::Twin, |device| {
            let twin = present_twin(device, id, module, precondition)?;
            if replace {
                twin.replace(edit, now).map(|()| true)
            } else {
                twin.patch(edit, now)
            }
        })
    }

    /// Runs `action` on the device, if there is one, and records what became of its module.
    pub(super) fn observe_module(
        &mut self,
        id: &str,
        module: &str,
        facet: Facet,
        action: impl FnOnce(Option<&mut Device>) -> Result<bool, ServiceError>,
    ) -> Effect<'_, Module> {
        let find = |device: &Device| device.modules.get(module).map(|it| it.glimpse(facet));
        let before = self.devices.get(id).and_then(find);
        let past = self.history.glimpse(self.devices.get(id));
        let outcome = action(self.devices.get_mut(id));
        let effective = *outcome.as_ref().unwrap_or(&false);
        if effective {
            self.changed(id, past);
        }
        let after = self.devices.get(id).and_then(|it| it.modules.get(module));
        Effect {
            result: outcome.map(|_| after),
            trace: Trace::between(effective, before, after.map(|it| it.glimpse(facet))),
        }
    }
}

impl Module {
    fn glimpse(&self, facet: Facet) -> Glimpse {
        Glimpse {
            etag: match facet {
                Facet::Identity => self.identity.etag.text(),
                Facet::Twin => self.twin.etag.text(),
            },
            generation: self.identity.generation,
            status: None,
        }
    }
}

/// Adds a module with this twin to a device.
pub(super) fn create(
    device: &mut Device,
    module: &str,
    edit: ModuleEdit,
    twin: Twin,
    fresh: Fresh,
) -> Result<bool, ServiceError> {
    let id = &device.identity.device_id;
    if device.modules.contains_key(module) {
        return Err(ServiceError::module_already_exists(id, module));
    }
    if device.modules.len() >= MAX_MODULES {
        return Err(ServiceError::too_many_modules(id));
    }
    let etag = IdentityEtag::first(fresh.etag_seed);
    let identity = ModuleIdentity::create(module, edit, fresh.now, etag, fresh.keys);
    let life = Life::default();
    let made = Module {
        identity,
        twin,
        life,
    };
    device.modules.insert(module.to_owned(), made);
    Ok(true)
}

fn present<'a>(
    device: Option<&'a mut Device>,
    module: &str,
) -> Result<&'a mut Module, ServiceError> {
    device
        .and_then(|it| it.modules.get_mut(module))
        .ok_or_else(|| ServiceError::module_not_found(module))
}

fn present_twin<'a>(
    device: Option<&'a mut Device>,
    id: &str,
    module: &str,
    precondition: &Precondition,
) -> Result<&'a mut Twin, ServiceError> {
    let missing = |_| ServiceError::device_not_found(id).by_twins();
    let module = present(device, module).map_err(missing)?;
    check_twin_version(id, &mut module.twin, precondition)
}

#[cfg(test)]
mod tests;
