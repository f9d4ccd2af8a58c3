//! Speaks the wire formats of events, outcomes, dead letters and twins.
//!
//! What arrives here was written by somebody else: it may be of another version, damaged or
//! hostile. So every parser takes bytes, bounds them first, and either returns the types of
//! `lifecycle` or a [`Malformed`] whose reason is in words of ours and never repeats the input:
//! reasons end up in logs, headers and dead letters.
//!
//! The contract with everyone else is `schemas/` at the root of the repository; a test holds the
//! two together. Nothing here does I/O.

mod event;
pub mod header;
mod json;
mod malformed;
mod mender;
mod outcome;
mod strict;
mod time;
pub mod twin;

pub use event::{device_of, parse_event, to_body};
pub use lifecycle::{DeviceId, DeviceRef, TenantId};
pub use malformed::{BadDevice, Malformed};
pub use mender::{MAX_DEVICES, MenderDevice, MenderMessage, parse_mender};
pub use outcome::OutcomeMessage;

/// The longest body that is read, in bytes: the default `max_payload` of nats-server.
pub const MAX_BODY: usize = 1024 * 1024;
