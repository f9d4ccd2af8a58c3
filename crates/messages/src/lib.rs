//! Speaks the wire formats of events, outcomes, dead letters and twins.
//!
//! What arrives here was written by somebody else: it may be of another version, damaged or
//! hostile. So every parser takes bytes, bounds them first, and either returns the types of
//! `lifecycle` or a [`Malformed`] whose reason is in words of ours and never repeats the input:
//! reasons end up in logs, headers and dead letters.
//!
//! The contract with everyone else is `schemas/` at the root of the repository; a test holds the
//! two together. Nothing here does I/O.
//!
//! ```
//! let id = lifecycle::EventId("IOTHUB_EVENTS-17".to_owned());
//! let body = br#"{"status":"accepted","revision":7}"#;
//! let event = messages::parse_event(id.clone(), "=", "dev=2E1", body, 0)?;
//! assert_eq!(event.about.device.as_str(), "dev.1");
//!
//! let wrong = br#"{"status":"accepted","tenant_id":"somebody else"}"#;
//! let refused = messages::parse_event(id, "=", "dev=2E1", wrong, 0).unwrap_err();
//! assert_eq!(refused.reason, "tenant in the body contradicts the subject");
//! # Ok::<(), messages::Malformed>(())
//! ```

mod audit;
mod event;
pub mod header;
mod json;
mod malformed;
mod mender;
mod module_id;
pub mod ops;
mod outcome;
mod strict;
mod time;
pub mod twin;
mod webhook;
mod worker_status;

pub use audit::{AuditCaller, AuditEdit, AuditKind, AuditMessage, AuditOutcome};
pub use event::{device_of, parse_event, to_body};
pub use lifecycle::{DeviceId, DeviceRef, TenantId, decode_token};
pub use malformed::{BadDevice, Malformed};
pub use mender::{MAX_DEVICES, MenderDevice, MenderMessage, parse_mender};
pub use module_id::ModuleId;
pub use outcome::OutcomeMessage;
pub use webhook::WebhookMessage;
pub use worker_status::{HubStatus, MAX_TOLD, SuspendedStatus, WaitingFor, WorkerStatus};

/// Reads a whole JSON value of unknown origin: short, shallow, no key twice in one object and none
/// that begins with `$`. Numbers keep their digits.
pub fn strict_value(body: &[u8]) -> Result<serde_json::Value, Malformed> {
    strict::value(json::checked(body)?).map_err(|_| Malformed::because("not plain JSON"))
}

/// Reads a time of Mender's (RFC 3339), cut to milliseconds. `None` is Go's zero time, which says
/// that the sender does not know.
pub fn created_time(text: &str) -> Result<Option<lifecycle::Timestamp>, Malformed> {
    time::parse(text).ok_or(Malformed::because("not an RFC 3339 time"))
}

/// Writes a time as RFC 3339 with milliseconds; `None` outside of the years that it can write.
#[must_use]
pub fn rfc3339(time: lifecycle::Timestamp) -> Option<String> {
    time::format(time)
}

/// The longest body that is read, in bytes: the default `max_payload` of nats-server.
pub const MAX_BODY: usize = 1024 * 1024;
