//! How one process reaches the servers.

use std::future::pending;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::time::Duration;

use reconciler::ports::{PortError, PortResult};

use crate::life::Life;
use crate::world::{Servers, World};

/// The servers as one life of a process reaches them; the ports are implemented for it.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) servers: Servers,
    pub(crate) life: Arc<Life>,
}

/// What becomes of a call that stores or publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    Good,
    /// It fails and has no effect.
    FailsBefore,
    /// It has its effect, and the caller does not learn of it.
    FailsAfter,
}

impl Luck {
    pub(crate) fn has_effect(self) -> bool {
        self != Self::FailsBefore
    }

    pub(crate) fn answer<T>(self, value: T) -> PortResult<T> {
        match self {
            Self::Good => Ok(value),
            Self::FailsBefore | Self::FailsAfter => {
                Err(PortError::Unavailable("no answer".to_owned()))
            }
        }
    }
}

impl Port {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.servers.world()
    }

    /// A call is on its way to a server.
    pub(crate) async fn call(&self, what: &'static str) {
        let (goes_on, latency) = {
            let mut world = self.world();
            (world.called(what, self.life.number), world.latency())
        };
        if !goes_on {
            pending::<()>().await;
        }
        pass(latency).await;
    }

    /// A reply is on its way back.
    pub(crate) async fn reply(&self) {
        let latency = self.world().latency();
        pass(latency).await;
    }
}

/// Time passes; `None` is no await at all, and zero lets others go first.
pub(crate) async fn pass(time: Option<Duration>) {
    match time {
        None => {}
        Some(Duration::ZERO) => tokio::task::yield_now().await,
        Some(time) => tokio::time::sleep(time).await,
    }
}

impl World {
    /// Draws what becomes of a call, failing so many times in a hundred.
    pub(crate) fn luck(&mut self, percent: usize, fault: &'static str) -> Luck {
        if !self.rng.chance(percent) {
            return Luck::Good;
        }
        self.chronicle.fault(fault);
        if self.rng.chance(50) {
            Luck::FailsBefore
        } else {
            Luck::FailsAfter
        }
    }
}
