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
use crate::workflows::Message;

/// The simulated server.
pub(crate) struct Simulator {
    pub(crate) version: ServerVersion,
    pub(crate) publisher: Publisher,
    pub(crate) faults: Faults,
    fleet: Mutex<Fleet>,
    configurations: Mutex<Configurations>,
    held: Mutex<Vec<Message>>,
}

impl Simulator {
    pub(crate) fn new(version: ServerVersion, publisher: Publisher) -> Self {
        Self {
            version,
            publisher,
            faults: Faults::default(),
            fleet: Mutex::new(Fleet::new(version)),
            configurations: Mutex::default(),
            held: Mutex::default(),
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
}
