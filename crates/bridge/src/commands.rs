//! The commands beside `run`, one module each.

pub(crate) mod device;
pub(crate) mod dlq;
pub(crate) mod integration;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod twin;
