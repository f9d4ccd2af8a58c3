//! Drives the lifecycle core: loads, decides, saves, performs, acknowledges.
//!
//! The reconciler knows what must happen around every decision, and nothing about the servers
//! it happens on: those are behind the ports in [`ports`].

pub mod ports;
