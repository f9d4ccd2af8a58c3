//! Drives the lifecycle core: loads, decides, saves, performs, acknowledges.
//!
//! The reconciler knows what must happen around every decision, and nothing about the servers
//! it happens on: those are behind the ports in [`ports`].

mod census;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod counters;
mod crowd;
mod dispatch;
mod gate;
mod handler;
mod pacer;
mod perform;
pub mod ports;
mod seldom;
mod suspension;
pub mod sweep;

pub use census::{Census, CensusRow, InHub, Progress};
pub use clock::ServerClock;
pub use counters::{Counters, Delays};
pub use dispatch::Dispatcher;
pub use handler::{Ended, Reconciler, Settings};
pub use pacer::{HubPace, Pacer, PerMinute};
pub use suspension::{Asked, Cause, Suspension};
