//! Calls Mender's internal HTTP services.
//!
//! Two clients, one for each service: [`Deviceconfig`] hands a configuration to a device,
//! [`Deviceauth`] tells what Mender holds of a device. Both build their URLs from parts (the
//! tenant of the open-source server is an *empty* path segment, which must survive), send once,
//! follow no redirect, and sort what comes back into [`Error`]s by what to do next.
//!
//! The services trust their network, so there are no credentials here. There is one secret, the
//! connection string: it goes into one request body and nowhere else.
//!
//! Repeating, pacing and remembering what was delivered are the caller's work.
//!
//! The TLS stack comes without a built-in provider: the process installs one for rustls before it
//! makes the first client, else [`SetupError::NoTlsProvider`] says so.

mod base_url;
mod deviceauth;
mod deviceconfig;
mod error;
mod options;
mod page;
mod path;
mod transport;

pub use base_url::BaseUrlError;
pub use deviceauth::{Device, Deviceauth, MAX_PER_PAGE, Page};
pub use deviceconfig::{CONNECTION_STRING_KEY, DeploymentId, Deviceconfig, MAX_VALUE};
pub use error::{Error, Result, Service};
pub use options::{Options, SetupError};
