//! The devices of one hub, and the rules that decide whether a request changes them.
//!
//! Pure state: time, dice and fresh keys come in as arguments, and what happened goes out as an
//! [`Effect`], so every row of the If-Match table is a unit test. An effect carries its own trace
//! (etags before and after, generation, status), because only code that holds the state can tell
//! what a request really did; the journal copies it.

mod bulk;
mod configured;
mod device;
mod effect;
mod history;
mod lines;
mod living;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use bulk::Applied;
pub(crate) use device::Device;
use device::{check_twin_version, check_version, new_device};
use effect::Facet;
pub(crate) use effect::{Effect, Trace};
use history::History;
use lines::Lines;
pub(crate) use lines::{Cut, LineId, Signal};
pub(crate) use living::{Reach, Target};
pub(crate) use modules::Gate;

use crate::authentication::FreshKeys;
use crate::behaviour::Behaviour;
use crate::choices::{DeviceRules, LeftOutStatus};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hand_edit::HandEdit;
use crate::identity::{IdentityEdit, Status};
use crate::twin::{Twin, TwinDraft};

/// Everything from outside that a write may need.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    /// The time of the write, later than that of any earlier one.
    pub(crate) now: Ticks,
    /// Picks the first etag of a new identity.
    pub(crate) etag_seed: u32,
    /// Keys, should the hub have to make them.
    pub(crate) keys: FreshKeys,
    /// How the hub's new devices behave.
    pub(crate) template: Option<Arc<Behaviour>>,
    pub(crate) rules: DeviceRules,
}

/// All devices, in order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: BTreeMap<String, Device>,
    history: History,
    /// Moves with every change.
    version: u64,
    /// What is connected for real.
    lines: Lines,
    /// Devices that have changed, if anybody wants to know.
    changed: Option<BTreeSet<String>>,
    /// When the work going on began.
    now: Ticks,
}

impl Registry {
    /// A registry with these devices that takes note of what changes. Nothing real is connected yet.
    pub(crate) fn restored(
        mut devices: BTreeMap<String, Device>,
        lag: Duration,
        now: Ticks,
    ) -> Self {
        for device in devices.values_mut() {
            device.settle_connections(now);
        }
        Self {
            devices,
            changed: Some(BTreeSet::new()),
            ..Self::with_lag(lag)
        }
    }

    /// The devices that have changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<String> {
        self.changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Says what time it is; to be called before a request is let at the state.
    pub(crate) fn begin(&mut self, now: Ticks) {
        self.now = now;
    }

    /// A number that moves whenever a device changes.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

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

    /// How many devices there are, and how many of them are enabled.
    pub(crate) fn count(&self) -> (usize, usize) {
        let enabled = |device: &&Device| device.identity.status == Status::Enabled;
        (
            self.devices.len(),
            self.devices.values().filter(enabled).count(),
        )
    }

    /// Throws away the cloud-to-device messages of a device; says how many there were.
    pub(crate) fn purge(&mut self, id: &str) -> Result<u32, ServiceError> {
        let past = self.history.glimpse(self.devices.get(id));
        let device = present(&mut self.devices, id)?;
        let purged = std::mem::take(&mut device.queued_messages);
        if purged > 0 {
            self.changed(id, past);
        }
        Ok(purged)
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
            check_version(present(devices, id)?.identity.etag, precondition)?;
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
            let queued = edit.queued_messages();
            let draft = edit
                .onto(id, before.map(|device| &device.identity))
                .check(id)?;
            let mut device = match before.cloned() {
                None => new_device(id, draft, fresh)?,
                Some(mut device) => {
                    if touches_identity {
                        device.identity.replace(draft, now, fresh.keys)?;
                        device.settle(now);
                    }
                    device
                }
            };
            device.twin.patch(&twin_edit, now)?;
            device.queued_messages = queued.unwrap_or(device.queued_messages);
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
        let before = self.devices.get(id).map(|it| it.glimpse(facet));
        let past = self.history.glimpse(self.devices.get(id));
        let outcome = action(&mut self.devices);
        let effective = *outcome.as_ref().unwrap_or(&false);
        if effective {
            self.changed(id, past);
        }
        let after = self.devices.get(id);
        let trace = Trace::between(effective, before, after.map(|it| it.glimpse(facet)));
        Effect {
            result: outcome.map(|_| after),
            trace,
        }
    }

    /// Notes that a device is no longer what it was.
    fn changed(&mut self, id: &str, past: Option<Box<Device>>) {
        self.version += 1;
        if let Some(changed) = &mut self.changed {
            changed.insert(id.to_owned());
        }
        self.history.push(id, past, self.now);
        self.review(id);
    }
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
    check_room(devices, fresh.rules)?;
    devices.insert(id.to_owned(), new_device(id, edit, fresh)?);
    Ok(true)
}

/// Refuses one more device in a full hub.
fn check_room(devices: &BTreeMap<String, Device>, rules: DeviceRules) -> Result<(), ServiceError> {
    match rules.max_devices {
        Some(most) if devices.len() >= most => Err(ServiceError::hub_full(rules.full_hub, most)),
        _ => Ok(()),
    }
}

fn update(
    devices: &mut BTreeMap<String, Device>,
    id: &str,
    mut edit: IdentityEdit,
    precondition: &Precondition,
    fresh: Fresh,
) -> Result<bool, ServiceError> {
    let device = present(devices, id)?;
    check_version(device.identity.etag, precondition)?;
    if !edit.names_status && fresh.rules.left_out_status == LeftOutStatus::Kept {
        edit.status = device.identity.status;
    }
    device.identity.replace(edit, fresh.now, fresh.keys)?;
    device.settle(fresh.now);
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
    check_twin_version(id, &mut device.twin, precondition)
}

#[cfg(test)]
mod tests;
