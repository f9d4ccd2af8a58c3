//! Calls the Azure IoT Hub service API.
//!
//! This is the back end's side of a hub: who may connect, what devices should do, what they say of
//! themselves. Everything goes over HTTPS in version `2021-04-12` of the API.
//!
//! # The first call
//!
//! A [`Hub`] is made of a host, a credential and limits. The host passes an allow-list, because
//! every request to it carries a token.
//!
//! ```no_run
//! use iothub::{ConnectionString, Hub, Kind, NewIdentity, Options, Status};
//!
//! # async fn example(text: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let connection: ConnectionString = text.parse()?;
//! let hub = Hub::new(connection.host().parse()?, connection.credential()?, Options::default())?;
//!
//! let id = "dev-1".parse()?;
//! let mut identity = match hub.device(&id).await {
//!     Err(error) if error.kind() == Kind::NotFound => {
//!         hub.create_device(&NewIdentity::new(id)).await?
//!     }
//!     found => found?,
//! };
//! identity.set_status(Status::Disabled);
//! hub.update_device(&identity).await?; // only if nobody changed it meanwhile
//! # Ok(())
//! # }
//! ```
//!
//! # All operations
//!
//! Every method of [`Hub`] has an example. The permission is that of a shared access policy; a
//! hub refuses a policy without it with 401, never 403.
//!
//! | operation | method of [`Hub`] | request | permission |
//! | --- | --- | --- | --- |
//! | read, list devices | [`device`](Hub::device), [`devices`](Hub::devices) | `GET /devices/{id}`, `GET /devices` | Registry Read |
//! | create, update a device | [`create_device`](Hub::create_device), [`update_device`](Hub::update_device) | `PUT /devices/{id}` | Registry Write |
//! | delete a device | [`delete_device`](Hub::delete_device) | `DELETE /devices/{id}` | Registry Write |
//! | put a device behind a gateway | [`set_parent`](Hub::set_parent) | two reads, one update | both |
//! | read, list modules | [`module`](Hub::module), [`modules`](Hub::modules) | `GET /devices/{id}/modules/{mid}`, `GET /devices/{id}/modules` | Registry Read |
//! | create, update a module | [`create_module`](Hub::create_module), [`update_module`](Hub::update_module) | `PUT /devices/{id}/modules/{mid}` | Registry Write |
//! | delete a module | [`delete_module`](Hub::delete_module) | `DELETE /devices/{id}/modules/{mid}` | Registry Write |
//! | change up to 100 at once | [`bulk`](Hub::bulk) | `POST /devices` | Registry Write |
//! | count devices | [`device_statistics`](Hub::device_statistics) | `GET /statistics/devices` | Registry Read (?) |
//! | count connected devices | [`connected_devices`](Hub::connected_devices) | `GET /statistics/service` | Service Connect (?) |
//! | read a twin | [`twin`](Hub::twin), [`module_twin`](Hub::module_twin) | `GET /twins/{id}`, `GET /twins/{id}/modules/{mid}` | Service Connect |
//! | merge into a twin | [`patch_twin`](Hub::patch_twin), [`patch_module_twin`](Hub::patch_module_twin) | `PATCH /twins/{id}`, `PATCH /twins/{id}/modules/{mid}` | Service Connect |
//! | replace a twin | [`replace_twin`](Hub::replace_twin), [`replace_module_twin`](Hub::replace_module_twin) | `PUT /twins/{id}`, `PUT /twins/{id}/modules/{mid}` | Service Connect |
//! | query | [`query`](Hub::query), [`query_twins`](Hub::query_twins), [`query_page`](Hub::query_page) | `POST /devices/query` | Service Connect |
//! | call a direct method | [`call_method`](Hub::call_method), [`call_module_method`](Hub::call_module_method) | `POST /twins/{deviceId}/methods`, `POST /twins/{deviceId}/modules/{moduleId}/methods` | Service Connect |
//! | throw waiting messages away | [`purge_messages`](Hub::purge_messages) | `DELETE /devices/{id}/commands` | Service Connect |
//! | schedule a job | [`create_job`](Hub::create_job) | `PUT /jobs/v2/{id}` | Service Connect (?) |
//! | read, list jobs | [`job`](Hub::job), [`jobs`](Hub::jobs) | `GET /jobs/v2/{id}`, `GET /jobs/v2/query` | Service Connect (?) |
//! | cancel a job | [`cancel_job`](Hub::cancel_job) | `POST /jobs/v2/{id}/cancel` | Service Connect (?) |
//! | start an import or export | [`create_transfer`](Hub::create_transfer) | `POST /jobs/create` | Registry Write (?) |
//! | read, list imports and exports | [`transfer`](Hub::transfer), [`transfers`](Hub::transfers) | `GET /jobs/{id}`, `GET /jobs` | Registry Write (?) |
//! | cancel an import or export | [`cancel_transfer`](Hub::cancel_transfer) | `DELETE /jobs/{id}` | Registry Write (?) |
//! | read, list configurations | [`configuration`](Hub::configuration), [`configurations`](Hub::configurations) | `GET /configurations/{id}`, `GET /configurations` | Registry Read (?) |
//! | create, update a configuration | [`create_configuration`](Hub::create_configuration), [`update_configuration`](Hub::update_configuration) | `PUT /configurations/{id}` | Registry Write (?) |
//! | delete a configuration | [`delete_configuration`](Hub::delete_configuration) | `DELETE /configurations/{id}` | Registry Write (?) |
//! | test a condition and queries | [`test_queries`](Hub::test_queries) | `POST /configurations/testQueries` | ? |
//! | set the modules of an Edge device | [`apply_content`](Hub::apply_content) | `POST /devices/{id}/applyConfigurationContent` | ? |
//! | read a digital twin | [`digital_twin`](Hub::digital_twin) | `GET /digitaltwins/{id}` | Service Connect |
//! | patch a digital twin | [`patch_digital_twin`](Hub::patch_digital_twin) | `PATCH /digitaltwins/{id}` | Service Connect |
//! | call a command | [`call_command`](Hub::call_command) | `POST /digitaltwins/{id}/commands/{commandName}`, `POST /digitaltwins/{id}/components/{componentPath}/commands/{commandName}` | Service Connect |
//!
//! Not offered: feedback on messages (`GET /messages/serviceBound/feedback`,
//! `DELETE /messages/serviceBound/feedback/{lockToken}`,
//! `POST /messages/serviceBound/feedback/{lockToken}/abandon`), because the messages it is about
//! can be sent by AMQP only, and whoever has AMQP gets the feedback there.
//!
//! # Nothing is lost, nothing is overwritten
//!
//! The API replaces where one would expect it to edit: an update without the keys makes new ones
//! and locks the device out. So [`Identity`], [`Module`] and [`Configuration`] hold the object as the
//! hub sent it, fields this crate has never heard of included, and go back whole. Every update and
//! delete names the version it means (`If-Match`); a create never replaces anything. Where Azure
//! knows an unconditional form, it is either missing here or says so in its name
//! ([`BulkItem::delete_any_version`]).
//!
//! # Errors
//!
//! An [`Error`] answers two questions. Its [`Kind`] says what has to happen before the call can
//! succeed; its [`Effect`] says whether the hub may have done, or may still do, what was asked. An
//! answer that is about another device than the one asked for is not believed.
//!
//! | [`Kind`] | remedy |
//! | --- | --- |
//! | `NotFound`, `AlreadyExists`, `PreconditionFailed` | read again, decide again |
//! | `Unauthorized` | another credential or role; the same one was tried with a fresh token |
//! | `Throttled` | wait: the hub seldom says how long, 10 to 60 s are right |
//! | `QuotaExceeded`, `HubFull` | wait for long, or for somebody who pays |
//! | `NotAvailable` | not on this hub or device, or not now; asking again is no remedy |
//! | `Invalid` | another request; refused by the hub, or here before it was sent |
//! | `Transient` | the same request later |
//! | `Malformed` | look at the hub; the answer says nothing |
//!
//! The client repeats nothing but a request whose token was refused, once, and requests for the
//! tokens of managed identities. All else is for the caller, who knows what has happened meanwhile.
//! Azure throttles by answering late, so the time limit ([`Options::request_timeout`]) should not
//! be shorter than its 60 s.
//!
//! # Credentials
//!
//! [`Credential::SharedAccess`] signs tokens with the key of a policy ([`sas`]), for half an hour
//! each, by the hub's clock as far as it is known. [`Credential::Entra`] gets them from Microsoft
//! Entra ID ([`entra`]): with a client secret, a certificate, a federated token or a managed
//! identity. Either way one token is shared by all requests, renewed ahead of time by one of them,
//! and replaced when the hub refuses it. Keys and tokens are in no `Debug`, error or log; what
//! holds them is overwritten when it is dropped.
//!
//! # Units
//!
//! Times are [`std::time::Duration`]s and [`std::time::SystemTime`]s; where the API counts in
//! seconds, they are rounded up. Sizes are bytes, lengths of texts are characters. ETags are without
//! quotes everywhere. JSON numbers keep all their digits.
//!
//! # What nobody has confirmed
//!
//! Microsoft's description leaves gaps. Where no recording fills one, this crate does what works
//! in either case:
//!
//! - Permissions with `(?)` above are the likely ones.
//! - The error code of a bulk item may be a name or a number; both are read. Items that the hub does
//!   not list are taken for carried out, also in a call that failed in others.
//! - The list of scheduled jobs may be an array or an object; both are read.
//! - Pages of queries may have up to 100 or 1000 rows; whatever comes is taken, and the end is where
//!   the hub sends no continuation.
//! - A full hub may be 403 or 413; the names of both are known and sorted by remedy.
//! - Whether Entra's missing roles are 401 or 403: both are [`Kind::Unauthorized`].
//! - What null keys do in an update with [`Authentication::GeneratedKeys`] (new keys, as in a create).
//! - The endpoint of App Service's managed identities is written after its documentation.
//!
//! # How it is built
//!
//! Three layers, each testable without the next: [`request`] builds plain requests,
//! [`Credential`] signs them, [`Hub`] sends them and sorts what comes back. Around them stand the
//! types that make wrong calls impossible to write: a [`HostName`] exists only if the allow-list let
//! it in, a [`DeviceId`] only if it is one path segment, a [`Secret`] cannot be printed. All readers
//! (`from_json`, `from_str`, [`Error::from_answer`]) take any bytes without a panic.
//!
//! The client knows nothing of where its orders come from and keeps no state beyond connections and
//! one token.

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
pub mod sas;
mod secret;
mod statistics;
pub mod time;
mod token;
mod transfer;
mod transport;
mod twin;
mod watch;

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
pub use watch::{Ended, Watch, operation};

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
