//! Answers device twin requests over NATS.
//!
//! Back ends read and edit twins, call methods and schedule jobs by request and reply, through the
//! micro service `iothub-twin`: `<prefix>.twin.<verb>.<tenant>.<device>` and, for modules, the
//! module behind it; `query` and the verbs of jobs end with the tenant. So NATS permissions can
//! tell readers from editors and one tenant from another. Formats and error codes are those of
//! [`messages::twin`].
//!
//! The service knows no hub: it asks its [`Access`], reads the request, asks its [`TwinHub`], and
//! turns what comes back into a reply that shows nothing of the hub's inside. A slow hub of one
//! tenant fills only that tenant's places, and what nobody waits for any more is not begun.

mod access;
mod address;
mod admission;
mod answer;
mod audit;
mod deadline;
mod endpoint;
mod error;
mod hub;
mod service;
pub mod token;
mod work;

pub use access::{
    Access, Asked, ByMender, BySubject, ByToken, Caller, Denied, Permission, Proof, Question, Rbac,
    RoleClaim, Roles, Unknown, Verb, Verdict,
};
pub use admission::Limits;
pub use audit::NotRecorded;
pub use endpoint::Endpoint;
pub use error::TwinError;
pub use hub::{Target, TwinHub};
pub use messages::twin::ErrorCode;
pub use messages::twin::TwinDocument;
pub use messages::{AuditMessage, DeviceId, ModuleId, TenantId};
pub use service::{QUEUE_GROUP, SERVICE_NAME, StartError, TwinService, Watch};
