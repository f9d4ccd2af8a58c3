//! The devices of one hub, and the rules that decide whether a request changes them.
//!
//! Pure state: time, dice and fresh keys come in as arguments, and what happened goes out as an
//! [`Effect`], so every row of the If-Match table is a unit test. An effect carries its own trace
//! (etags before and after, generation, status), because only code that holds the state can tell
//! what a request really did; the journal copies it.

use std::collections::BTreeMap;

use crate::authentication::FreshKeys;
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::{IdentityEtag, Precondition};
use crate::hand_edit::HandEdit;
use crate::identity::{Identity, IdentityEdit, Status};
use crate::twin::{Twin, TwinDraft};

/// An identity with its twin.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) twin: Twin,
}

/// Everything from outside that a write may need.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    /// The time of the write, later than that of any earlier one.
    pub(crate) now: Ticks,
    /// Picks the first etag of a new identity.
    pub(crate) etag_seed: u32,
    /// Keys, should the hub have to make them.
    pub(crate) keys: FreshKeys,
}

/// What a request did to a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    /// Whether it changed state.
    pub(crate) effective: bool,
    /// The etag (the twin's for twin requests) it met.
    pub(crate) etag_before: Option<String>,
    /// The etag it left behind.
    pub(crate) etag_after: Option<String>,
    /// The generation of the device it left behind or deleted.
    pub(crate) generation: Option<Ticks>,
    /// The status of the device it left behind.
    pub(crate) status: Option<Status>,
}

/// The outcome of a request, with its trace. `Ok(None)` is the success of a delete.
#[derive(Debug)]
pub(crate) struct Effect<'a> {
    pub(crate) result: Result<Option<&'a Device>, ServiceError>,
    pub(crate) trace: Trace,
}

/// Whose etag a request is about.
#[derive(Debug, Clone, Copy)]
enum Facet {
    Identity,
    Twin,
}

/// All devices, in order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: BTreeMap<String, Device>,
}

impl Registry {
    /// One device.
    pub(crate) fn get(&self, id: &str) -> Option<&Device> {
        self.devices.get(id)
    }

    /// Up to `limit` devices whose ids follow `after`, in order.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> impl Iterator<Item = &Device> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.devices
            .range::<str, _>((from, Unbounded))
            .map(|(_, device)| device)
            .take(limit)
    }

    /// GET of an identity.
    pub(crate) fn read(&mut self, id: &str) -> Effect<'_> {
        self.observe(id, Facet::Identity, |devices| {
            present(devices, id).map(|_| false)
        })
    }

    /// PUT of an identity: create-only without a precondition, update-only with one.
    pub(crate) fn put(
        &mut self,
        id: &str,
        edit: IdentityEdit,
        precondition: &Precondition,
        fresh: Fresh,
    ) -> Effect<'_> {
        self.observe(id, Facet::Identity, |devices| match precondition {
            Precondition::Absent => create(devices, id, edit, fresh),
            _ => update(devices, id, edit, precondition, fresh),
        })
    }

    /// DELETE of an identity and its twin. The service insists on a precondition.
    pub(crate) fn delete(&mut self, id: &str, precondition: &Precondition) -> Effect<'_> {
        self.observe(id, Facet::Identity, |devices| {
            if *precondition == Precondition::Absent {
                return Err(ServiceError::precondition_failed("Etag missing"));
            }
            check_version(&present(devices, id)?.identity, precondition)?;
            Ok(devices.remove(id).is_some())
        })
    }

    /// GET of a twin.
    pub(crate) fn read_twin(&mut self, id: &str) -> Effect<'_> {
        self.observe(id, Facet::Twin, |devices| {
            present(devices, id)
                .map(|_| false)
                .map_err(ServiceError::by_twins)
        })
    }

    /// PATCH of a twin.
    pub(crate) fn patch_twin(
        &mut self,
        id: &str,
        edit: &TwinDraft,
        precondition: &Precondition,
        now: Ticks,
    ) -> Effect<'_> {
        self.observe(id, Facet::Twin, |devices| {
            present_twin(devices, id, precondition)?.patch(edit, now)
        })
    }

    /// PUT of a twin.
    pub(crate) fn replace_twin(
        &mut self,
        id: &str,
        edit: &TwinDraft,
        precondition: &Precondition,
        now: Ticks,
    ) -> Effect<'_> {
        self.observe(id, Facet::Twin, |devices| {
            present_twin(devices, id, precondition)?
                .replace(edit, now)
                .map(|()| true)
        })
    }

    /// An edit by hand: creates the device or merges the named fields into it. All or nothing.
    pub(crate) fn hand_edit(&mut self, id: &str, edit: HandEdit, fresh: Fresh) -> Effect<'_> {
        self.observe(id, Facet::Identity, |devices| {
            let (now, before) = (fresh.now, devices.get(id));
            let (touches_identity, twin_edit) = (edit.touches_identity(), edit.twin());
            let draft = edit
                .onto(id, before.map(|device| &device.identity))
                .check(id)?;
            let mut device = match before.cloned() {
                None => new_device(id, draft, fresh)?,
                Some(mut device) => {
                    if touches_identity {
                        device.identity.replace(draft, now, fresh.keys)?;
                    }
                    device
                }
            };
            device.twin.patch(&twin_edit, now)?;
            devices.insert(id.to_owned(), device);
            Ok(true)
        })
    }

    /// Runs `action`, which says whether it changed anything, and records what became of `id`.
    fn observe(
        &mut self,
        id: &str,
        facet: Facet,
        action: impl FnOnce(&mut BTreeMap<String, Device>) -> Result<bool, ServiceError>,
    ) -> Effect<'_> {
        let etag = |device: &Device| match facet {
            Facet::Identity => device.identity.etag.text(),
            Facet::Twin => device.twin.etag.text(),
        };
        let before = self
            .devices
            .get(id)
            .map(|device| (etag(device), device.identity.generation));
        let outcome = action(&mut self.devices);
        let after = self.devices.get(id);
        let (etag_before, generation_before) = before.unzip();
        let trace = Trace {
            effective: *outcome.as_ref().unwrap_or(&false),
            etag_before,
            etag_after: after.map(etag),
            generation: after
                .map(|device| device.identity.generation)
                .or(generation_before),
            status: after.map(|device| device.identity.status),
        };
        Effect {
            result: outcome.map(|_| after),
            trace,
        }
    }
}

fn new_device(id: &str, edit: IdentityEdit, fresh: Fresh) -> Result<Device, ServiceError> {
    let etag = IdentityEtag::first(fresh.etag_seed);
    let identity = Identity::create(id, edit, fresh.now, etag, fresh.keys)?;
    Ok(Device {
        identity,
        twin: Twin::new(fresh.now),
    })
}

fn create(
    devices: &mut BTreeMap<String, Device>,
    id: &str,
    edit: IdentityEdit,
    fresh: Fresh,
) -> Result<bool, ServiceError> {
    if devices.contains_key(id) {
        return Err(ServiceError::device_already_exists(id));
    }
    devices.insert(id.to_owned(), new_device(id, edit, fresh)?);
    Ok(true)
}

fn update(
    devices: &mut BTreeMap<String, Device>,
    id: &str,
    edit: IdentityEdit,
    precondition: &Precondition,
    fresh: Fresh,
) -> Result<bool, ServiceError> {
    let device = present(devices, id)?;
    check_version(&device.identity, precondition)?;
    device.identity.replace(edit, fresh.now, fresh.keys)?;
    Ok(true)
}

fn present<'a>(
    devices: &'a mut BTreeMap<String, Device>,
    id: &str,
) -> Result<&'a mut Device, ServiceError> {
    devices
        .get_mut(id)
        .ok_or_else(|| ServiceError::device_not_found(id))
}

fn present_twin<'a>(
    devices: &'a mut BTreeMap<String, Device>,
    id: &str,
    precondition: &Precondition,
) -> Result<&'a mut Twin, ServiceError> {
    let device = present(devices, id).map_err(ServiceError::by_twins)?;
    if precondition.allows(&device.twin.etag.text()) {
        return Ok(&mut device.twin);
    }
    let text = format!("ETag mismatch for device ID '{id}'");
    Err(ServiceError::precondition_failed(text).by_twins())
}

fn check_version(identity: &Identity, precondition: &Precondition) -> Result<(), ServiceError> {
    if precondition.allows(&identity.etag.text()) {
        return Ok(());
    }
    let sent = match precondition {
        Precondition::Exactly(etag) => IdentityEtag::decode(etag),
        Precondition::Absent | Precondition::Any => None,
    };
    Err(ServiceError::precondition_failed(match sent {
        Some(new) => format!(
            "Precondition failed: Device version did not match, existingVersion:{} newVersion:{new}",
            identity.etag.number()
        ),
        None => "PreconditionFailed, ETag may be invalid.".to_owned(),
    }))
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
