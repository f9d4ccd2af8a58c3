//! How many requests may be under way.
//!
//! Requests beyond the limits are refused at once: a caller that is told to come back later is
//! better off than one whose request waits in memory until it has given up. Places are counted by
//! tenant too, so that a hub that hangs does not take the places of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::Verb;

/// Bounds of the service.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests of all tenants that are under way, waiting ones included.
    pub total: usize,
    /// Requests of one tenant that are under way, waiting ones included.
    pub per_tenant: usize,
    /// Requests of one tenant that ask its hub at the same time; further ones wait.
    pub running_per_tenant: usize,
    /// Methods of one tenant that are under way. They are held open until a device answers, so
    /// they may not take all places.
    pub methods_per_tenant: usize,
    /// Time that a request may take whose requester does not say how long it waits; methods take
    /// the time that they name.
    pub deadline: Duration,
    /// Longest time that a requester may say, methods excepted.
    pub longest: Duration,
    /// Longest time that a requester of a method may say.
    pub longest_method: Duration,
    /// Time that requests under way have to end when the service is stopped.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 256,
            per_tenant: 128,
            running_per_tenant: 64,
            methods_per_tenant: 32,
            deadline: Duration::from_secs(30),
            longest: Duration::from_secs(120),
            longest_method: Duration::from_secs(630),
            grace: Duration::from_secs(5),
        }
    }
}

/// Gives out places.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

/// Only tenants with a request under way are in here, so that it cannot grow without bound.
#[derive(Debug, Default)]
struct Taken {
    total: usize,
    tenants: HashMap<String, Tenant>,
}

#[derive(Debug)]
struct Tenant {
    places: usize,
    methods: usize,
    running: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    tenant: String,
    method: bool,
    taken: Arc<Mutex<Taken>>,
    /// To be acquired before the hub is asked.
    pub(crate) running: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            taken: Arc::default(),
        }
    }

    /// A place for a request of `tenant`, if there is one.
    pub(crate) fn admit(&self, tenant: &str, verb: Verb) -> Option<Place> {
        let method = verb == Verb::Method;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.limits.total {
            return None;
        }
        let entry = taken
            .tenants
            .entry(tenant.to_owned())
            .or_insert_with(|| Tenant {
                places: 0,
                methods: 0,
                running: Arc::new(Semaphore::new(self.limits.running_per_tenant)),
            });
        let full = method && entry.methods >= self.limits.methods_per_tenant;
        if full || entry.places >= self.limits.per_tenant {
            return None;
        }
        entry.places += 1;
        entry.methods += usize::from(method);
        let running = Arc::clone(&entry.running);
        taken.total += 1;
        Some(Place {
            tenant: tenant.to_owned(),
            method,
            taken: Arc::clone(&self.taken),
            running,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(tenant) = taken.tenants.get_mut(&self.tenant) {
            tenant.places -= 1;
            tenant.methods -= usize::from(self.method);
            if tenant.places == 0 {
                taken.tenants.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_tenant: usize) -> Admission {
        Admission::new(Limits {
            total,
            per_tenant,
            ..Limits::default()
        })
    }

    #[test]
    fn one_tenant_cannot_take_the_places_of_the_others() {
        let admission = admission(3, 2);
        let _first = admission.admit("a", Verb::Get).unwrap();
        let _second = admission.admit("a", Verb::Get).unwrap();
        assert!(admission.admit("a", Verb::Get).is_none());
        let _other = admission.admit("b", Verb::Get).unwrap();
        assert!(admission.admit("c", Verb::Get).is_none());
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped_and_nothing_is_kept() {
        let admission = admission(1, 1);
        drop(admission.admit("a", Verb::Get).unwrap());
        assert!(admission.taken.lock().unwrap().tenants.is_empty());
        assert!(admission.admit("b", Verb::Get).is_some());
    }

    #[test]
    fn methods_that_hang_leave_places_for_the_rest() {
        let admission = Admission::new(Limits {
            methods_per_tenant: 1,
            ..Limits::default()
        });
        let hung = admission.admit("a", Verb::Method).unwrap();
        assert!(admission.admit("a", Verb::Method).is_none());
        let _read = admission.admit("a", Verb::Get).unwrap();
        let _other = admission.admit("b", Verb::Method).unwrap();
        drop(hung);
        assert!(admission.admit("a", Verb::Method).is_some());
    }
}
