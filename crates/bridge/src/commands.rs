//! The commands beside `run`, one module each.

mod adopt;
pub(crate) mod config;
pub(crate) mod device;
mod device_list;
pub(crate) mod dlq;
mod given;
pub(crate) mod integration;
mod integration_set;
pub(crate) mod migrate;
pub(crate) mod outcomes;
mod permissions;
mod resync;
pub(crate) mod secrets;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod twin;
pub(crate) mod webhook;
