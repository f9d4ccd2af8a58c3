//! One device as it is stored, and the checks every write to it passes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fresh;
use super::effect::{Facet, Glimpse};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::{IdentityEtag, Precondition};
use crate::identity::{Identity, IdentityEdit};
use crate::life::Life;
use crate::module::{Module, SYSTEM_MODULES};
use crate::twin::Twin;

/// An identity with its twin and its modules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) twin: Twin,
    pub(crate) life: Life,
    /// By module id.
    pub(crate) modules: BTreeMap<String, Module>,
    /// Cloud-to-device messages that wait for it; only set by hand, as sending them is AMQP.
    pub(crate) queued_messages: u32,
}

impl Device {
    pub(super) fn glimpse(&self, facet: Facet) -> Glimpse {
        Glimpse {
            etag: match facet {
                Facet::Identity => self.identity.etag.text(),
                Facet::Twin => self.twin.etag.text(),
            },
            generation: self.identity.generation,
            status: Some(self.identity.status),
        }
    }

    /// When it or the newest of its modules was made.
    pub(crate) fn newest(&self) -> Ticks {
        let modules = self.modules.values().map(|it| it.identity.generation);
        modules.fold(self.identity.generation, Ticks::max)
    }

    /// Brings everything in line with the identity after that has changed.
    pub(super) fn settle(&mut self, now: Ticks) {
        self.settle_system_modules(now);
        self.settle_connections(now);
    }

    /// Gives an edge device the modules of its runtime, and takes them from any other.
    fn settle_system_modules(&mut self, now: Ticks) {
        for id in SYSTEM_MODULES {
            if !self.identity.capabilities.iot_edge {
                self.modules.remove(id);
            } else if !self.modules.contains_key(id) {
                let module = Module::of_edge_runtime(id, now, self.identity.etag);
                self.modules.insert(id.to_owned(), module);
            }
        }
    }
}

/// A device nobody has seen before.
pub(super) fn new_device(
    id: &str,
    edit: IdentityEdit,
    fresh: Fresh,
) -> Result<Device, ServiceError> {
    let etag = IdentityEtag::first(fresh.etag_seed);
    let identity = Identity::create(id, edit, fresh.now, etag, fresh.keys)?;
    let mut device = Device {
        identity,
        twin: Twin::new(fresh.now),
        life: Life::default(),
        modules: BTreeMap::new(),
        queued_messages: 0,
    };
    device.life.behave(fresh.template, false, fresh.now);
    device.settle(fresh.now);
    Ok(device)
}

/// The twin itself, if it is in the version that is asked for.
pub(super) fn check_twin_version<'a>(
    id: &str,
    twin: &'a mut Twin,
    precondition: &Precondition,
) -> Result<&'a mut Twin, ServiceError> {
    if precondition.allows(&twin.etag.text()) {
        return Ok(twin);
    }
    let text = format!("ETag mismatch for device ID '{id}'");
    Err(ServiceError::precondition_failed(text).by_twins())
}

/// Whether an identity is in the version that is asked for.
pub(super) fn check_version(
    current: IdentityEtag,
    precondition: &Precondition,
) -> Result<(), ServiceError> {
    if precondition.allows(&current.text()) {
        return Ok(());
    }
    let sent = match precondition {
        Precondition::Exactly(etag) => IdentityEtag::decode(etag),
        Precondition::Absent | Precondition::Any => None,
    };
    Err(ServiceError::precondition_failed(match sent {
        Some(new) => format!(
            "Precondition failed: Device version did not match, existingVersion:{} newVersion:{new}",
            current.number()
        ),
        None => "PreconditionFailed, ETag may be invalid.".to_owned(),
    }))
}
