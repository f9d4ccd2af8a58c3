//! Calls Mender's internal HTTP services.
//!
//! A client for each service: [`Deviceconfig`] hands a configuration to a device, [`Deviceauth`]
//! tells what Mender holds of a device, [`Useradm`] what a user may do, [`Inventory`] in which group
//! a device is. All build their URLs from parts (the
//! tenant of the open-source server is an *empty* path segment, which must survive), send once,
//! follow no redirect, and sort what comes back into [`Error`]s by what to do next.
//!
//! The services trust their network, so there are no credentials here. There are two secrets: the
//! connection string, which goes into one request body and nowhere else, and the token of the user
//! that useradm is asked about.
//!
//! Repeating, pacing and remembering what was delivered are the caller's work.
//!
//! The TLS stack comes without a built-in provider: the process installs one for rustls before it
//! makes the first client, else [`SetupError::NoTlsProvider`] says so.

mod base_url;
mod deviceauth;
mod deviceconfig;
mod error;
mod inventory;
mod options;
mod page;
mod path;
mod transport;
mod useradm;
mod watch;
mod workflows;

pub use base_url::BaseUrlError;
pub use deviceauth::{Device, Deviceauth, MAX_PER_PAGE, Page};
pub use deviceconfig::{CONNECTION_STRING_KEY, DeploymentId, Deviceconfig, MAX_VALUE};
pub use error::{Error, Result, Service};
pub use inventory::Inventory;
pub use options::{Options, SetupError};
pub use useradm::{Judged, Useradm};
pub use watch::Watch;
pub use workflows::Workflows;
