//! The commands beside `run`, one module each.

mod adopt;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod device;
pub(crate) mod dlq;
pub(crate) mod doctor;
mod given;
pub(crate) mod import;
pub(crate) mod integration;
mod integration_set;
pub(crate) mod iot_manager;
mod lines;
pub(crate) mod migrate;
pub(crate) mod outcomes;
pub(crate) mod permissions;
mod resync;
mod retry;
pub(crate) mod secrets;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod twin;
pub(crate) mod webhook;
