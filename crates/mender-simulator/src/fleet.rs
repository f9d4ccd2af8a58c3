//! The devices as deviceauth keeps them, and the rules by which they change.
//!
//! Pure: time and ids come in as arguments. What is kept is what an event can carry; each change
//! gives back the device as it was right after it, because that is the state an event shows even
//! when it is published much later.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::options::ServerVersion;
use crate::status::{Status, allowed};

/// Names a device: ids are unique within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeviceKey {
    /// Empty in the open-source server.
    pub(crate) tenant: String,
    pub(crate) id: String,
}

/// A device of deviceauth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) status: Status,
    /// Grows with every write to the device.
    pub(crate) revision: u64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Whether `provision_device` ran for it.
    pub(crate) provisioned: bool,
    pub(crate) decommissioning: bool,
    /// Id of its auth set.
    pub(crate) auth_set: String,
}

/// A device to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewDevice {
    pub(crate) key: DeviceKey,
    /// `pending` or `preauthorized`.
    pub(crate) status: Status,
    pub(crate) created: Option<Timestamp>,
    pub(crate) auth_set: String,
}

/// What a status change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The device right after the change, with the revision that its event carries.
    pub(crate) device: Device,
    /// Whether it makes `provision_device` run.
    pub(crate) provisions: bool,
}

/// Why a device does not change as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("device `{0}` does not exist")]
    Unknown(String),
    #[error("device `{0}` exists already")]
    Exists(String),
    #[error("device `{0}` is being decommissioned")]
    Decommissioning(String),
    #[error("a new device is pending or preauthorized, not {0}")]
    NewStatus(Status),
    #[error("Mender takes no device from `{from}` to `{to}` (device `{id}`)")]
    Transition {
        id: String,
        from: Status,
        to: Status,
    },
}

/// All devices, and those that are gone.
#[derive(Debug)]
pub(crate) struct Fleet {
    version: ServerVersion,
    devices: BTreeMap<DeviceKey, Device>,
    gone: BTreeMap<DeviceKey, Device>,
}

impl Fleet {
    pub(crate) fn new(version: ServerVersion) -> Self {
        Self {
            version,
            devices: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Makes a device. A preauthorized one has revision 1; one that asked to be let in has 2,
    /// since it is written once without and once with its auth set.
    fn add(&mut self, new: NewDevice, now: Timestamp) -> Result<Device, FleetError> {
        let revision = match new.status {
            Status::Preauthorized => 1,
            Status::Pending => 2,
            other => return Err(FleetError::NewStatus(other)),
        };
        if self.devices.contains_key(&new.key) {
            return Err(FleetError::Exists(new.key.id));
        }
        let created = new.created.unwrap_or_else(|| self.creation(&new.key, now));
        let device = Device {
            key: new.key.clone(),
            status: new.status,
            revision,
            created,
            updated: created,
            provisioned: false,
            decommissioning: false,
            auth_set: new.auth_set,
        };
        self.gone.remove(&new.key);
        self.devices.insert(new.key, device.clone());
        Ok(device)
    }

    /// Makes all devices, or none if one of them cannot be made.
    pub(crate) fn add_all(
        &mut self,
        news: Vec<NewDevice>,
        now: Timestamp,
    ) -> Result<Vec<Device>, FleetError> {
        let mut added: Vec<Device> = Vec::new();
        for new in news {
            match self.add(new, now) {
                Ok(device) => added.push(device),
                Err(error) => {
                    for device in &added {
                        self.devices.remove(&device.key);
                    }
                    return Err(error);
                }
            }
        }
        Ok(added)
    }

    /// Mender never gives out an id twice, but others may; then the new device is a later one.
    fn creation(&self, key: &DeviceKey, now: Timestamp) -> Timestamp {
        let earlier = self.gone.get(key).map(|gone| gone.created);
        let next = earlier.and_then(|earlier| {
            let millisecond = jiff::SignedDuration::from_millis(1);
            earlier.checked_add(millisecond).ok()
        });
        next.map_or(now, |next| next.max(now))
    }

    /// Changes statuses in the order given: all of them, or none if one is not allowed. A device
    /// that has the status already is not written and no change comes back for it.
    pub(crate) fn change_all(
        &mut self,
        changes: &[(DeviceKey, Status)],
        now: Timestamp,
    ) -> Result<Vec<Change>, FleetError> {
        let mut before = Vec::new();
        let mut done = Vec::new();
        for (key, status) in changes {
            before.extend(self.devices.get(key).cloned());
            match self.change(key, *status, now) {
                Ok(change) => done.extend(change),
                Err(error) => {
                    for device in before.into_iter().rev() {
                        self.devices.insert(device.key.clone(), device);
                    }
                    return Err(error);
                }
            }
        }
        Ok(done)
    }

    fn change(
        &mut self,
        key: &DeviceKey,
        to: Status,
        now: Timestamp,
    ) -> Result<Option<Change>, FleetError> {
        let version = self.version;
        let device = self.living(key)?;
        let from = device.status;
        if from == to {
            return Ok(None);
        }
        if !allowed(from, to) {
            let id = key.id.clone();
            return Err(FleetError::Transition { id, from, to });
        }
        device.status = to;
        device.revision += 1;
        device.updated = now;
        // v4 takes a device that was rejected for one that it has provisioned before.
        let provisions = to == Status::Accepted
            && !device.provisioned
            && !(version.is_v4() && from == Status::Rejected);
        let change = Change {
            device: device.clone(),
            provisions,
        };
        if provisions {
            device.provisioned = true;
            // Only main writes the mark into the device.
            device.revision += u64::from(!version.is_v4());
        }
        Ok(Some(change))
    }

    /// Marks all devices as being decommissioned, or none if one of them cannot be.
    pub(crate) fn decommission_all(
        &mut self,
        keys: &[DeviceKey],
        now: Timestamp,
    ) -> Result<Vec<Device>, FleetError> {
        let mut named = BTreeSet::new();
        for key in keys {
            self.living(key)?;
            if !named.insert(key) {
                return Err(FleetError::Decommissioning(key.id.clone()));
            }
        }
        keys.iter().map(|key| self.decommission(key, now)).collect()
    }

    /// Marks a device as being decommissioned; it stays until [`Fleet::remove`].
    fn decommission(&mut self, key: &DeviceKey, now: Timestamp) -> Result<Device, FleetError> {
        let device = self.living(key)?;
        device.decommissioning = true;
        device.revision += 1;
        device.updated = now;
        Ok(device.clone())
    }

    /// Ends a decommissioning. Nothing happens to a device that is not being decommissioned.
    pub(crate) fn remove(&mut self, key: &DeviceKey) {
        if self.get(key).is_some_and(|device| device.decommissioning)
            && let Some(device) = self.devices.remove(key)
        {
            self.gone.insert(key.clone(), device);
        }
    }

    /// A device that deviceauth knows, also one that is being decommissioned.
    pub(crate) fn get(&self, key: &DeviceKey) -> Option<&Device> {
        self.devices.get(key)
    }

    /// The devices that deviceauth knows, in the order of tenant and id.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// The devices that are gone, as they were last.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Device> {
        self.gone.values()
    }

    fn living(&mut self, key: &DeviceKey) -> Result<&mut Device, FleetError> {
        match self.devices.get_mut(key) {
            None => Err(FleetError::Unknown(key.id.clone())),
            Some(device) if device.decommissioning => {
                Err(FleetError::Decommissioning(key.id.clone()))
            }
            Some(device) => Ok(device),
        }
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
