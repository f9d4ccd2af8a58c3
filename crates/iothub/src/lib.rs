//! Calls the Azure IoT Hub service API.
//!
//! Three layers, each testable without the next: [`request`] builds plain requests,
//! [`Credential`] and [`sas`] sign them, [`Hub`] sends them and sorts what comes back into
//! [`Error`]s by remedy. Around them stand the types that make wrong calls impossible to write:
//! a [`HostName`] exists only if the allow-list let it in, a [`DeviceId`] only if it is one path
//! segment, a [`Secret`] cannot be printed.
//!
//! The client knows nothing of where its orders come from, keeps no state beyond connections and
//! one token, and repeats nothing but a refused token.

mod authentication;
mod bulk;
mod client;
mod clock;
mod configuration;
mod connection_string;
mod credential;
mod device_id;
mod digital_twin;
mod document;
pub mod entra;
mod error;
mod host;
mod identity;
mod job;
mod method;
mod module;
mod options;
pub mod query;
pub mod request;
mod resolve;
pub mod sas;
mod secret;
mod statistics;
pub mod time;
mod tls;
mod token;
mod transfer;
mod transport;
mod twin;

pub use authentication::{
    Authentication, DeviceKeys, InvalidDeviceKey, InvalidThumbprint, Thumbprint,
};
pub use bulk::{BulkItem, BulkOutcome, ItemOutcome, MAX_BULK};
pub use client::Hub;
pub use configuration::{
    Configuration, ConfigurationContent, ConfigurationId, InvalidConfigurationId, NewConfiguration,
    QueryTest,
};
pub use connection_string::{
    ConnectionString, ConnectionStringError, KeyOwner, MAX_CONNECTION_STRING,
    device_connection_string,
};
pub use credential::{Credential, SharedAccess};
pub use device_id::{DeviceId, InvalidDeviceId, MAX_DEVICE_ID};
pub use digital_twin::{Command, CommandAnswer, DigitalTwin};
pub use error::{Effect, Error, Kind, Result};
pub use host::{AllowedHosts, HostError, HostName};
pub use identity::{Identity, MAX_STATUS_REASON, NewIdentity, Status};
pub use job::{InvalidJobId, Job, JobId, JobStatistics, JobStatus, JobType, NewJob};
pub use method::{MAX_METHOD_PAYLOAD, Method, MethodAnswer};
pub use module::{Module, ModuleId, NewModule};
pub use options::{Options, SetupError};
pub use query::{Continuation, ItemType, MAX_PAGE, MAX_QUERY, Page, Query, Row};
pub use request::API_VERSION;
pub use secret::Secret;
pub use statistics::DeviceStatistics;
pub use transfer::{NewTransfer, Transfer};
pub use twin::Twin;
