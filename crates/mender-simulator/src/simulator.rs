//! Everything that the HTTP handlers share.
//!
//! The locks are held for a moment and never while waiting; where two are needed, the fleet comes
//! first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::configurations::Configurations;
use crate::faults::Faults;
use crate::fleet::Fleet;
use crate::options::ServerVersion;
use crate::publisher::Publisher;
use crate::rbac::Rbac;
use crate::tokens::Issuer;
use crate::workflows::Message;

/// The simulated server.
pub(crate) struct Simulator {
    pub(crate) version: ServerVersion,
    pub(crate) publisher: Publisher,
    pub(crate) faults: Faults,
    pub(crate) issuer: Issuer,
    fleet: Mutex<Fleet>,
    configurations: Mutex<Configurations>,
    held: Mutex<Vec<Message>>,
    rbac: Mutex<Rbac>,
}

impl Simulator {
    pub(crate) fn new(version: ServerVersion, publisher: Publisher) -> Self {
        Self {
            version,
            publisher,
            faults: Faults::default(),
            issuer: Issuer::new(),
            fleet: Mutex::new(Fleet::new(version)),
            configurations: Mutex::default(),
            held: Mutex::default(),
            rbac: Mutex::default(),
        }
    }

    /// deviceauth's devices.
    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// deviceconfig's configurations.
    pub(crate) fn configurations(&self) -> MutexGuard<'_, Configurations> {
        let configurations = self.configurations.lock();
        configurations.unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that wait to be released.
    pub(crate) fn held(&self) -> MutexGuard<'_, Vec<Message>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// useradm's users and roles, and inventory's groups.
    pub(crate) fn rbac(&self) -> MutexGuard<'_, Rbac> {
        self.rbac.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
