//! The commands beside `run`, one module each.

pub(crate) mod device;
mod device_list;
pub(crate) mod dlq;
pub(crate) mod integration;
mod integration_set;
pub(crate) mod migrate;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod twin;
