//! Answers device twin requests over NATS.
//!
//! Back ends read and edit twins by request and reply, through the micro service `iothub-twin`:
//! `<prefix>.twin.get.<tenant>.<device>` and `<prefix>.twin.set.<tenant>.<device>`, so that NATS
//! permissions can tell readers from editors and one tenant from another. Formats and error codes
//! are those of [`messages::twin`].
//!
//! The service knows no hub: it reads the request, asks its [`Access`] and then its [`TwinHub`],
//! and turns what comes back into a reply that shows nothing of the hub's inside. A slow hub of
//! one tenant fills only that tenant's places.

mod access;
mod admission;
mod answer;
mod hub;
mod service;
pub mod token;

pub use access::{
    Access, Asked, ByMender, BySubject, ByToken, Caller, Denied, Permission, Proof, Question, Rbac,
    RoleClaim, Roles, Unknown, Verb, Verdict,
};
pub use admission::Limits;
pub use hub::{TwinError, TwinHub};
pub use messages::twin::TwinDocument;
pub use messages::{DeviceId, ModuleId, TenantId};
pub use service::{QUEUE_GROUP, SERVICE_NAME, StartError, TwinService};
