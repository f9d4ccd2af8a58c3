//! Adapters: each joins one crate that knows a server to the ports that know none.

mod access;
mod entra;
mod failure;
mod health;
mod hub;
mod hubs;
mod iot_manager;
mod keys;
mod lists;
mod mender;
mod receivers;
mod store;
mod twins;

pub(crate) use access::{Recorded, TwinAccess};
pub(crate) use failure::of_hub as failure_of_hub;
pub(crate) use health::{ServiceHealth, definitions, services};
pub(crate) use hub::HubPort;
pub(crate) use hubs::{HubFactory, Integrations, Stored, stored, until_workers_know};
pub(crate) use iot_manager::IotManagerPort;
pub(crate) use mender::MenderPort;
pub(crate) use receivers::{Receiver, Receivers};
pub(crate) use store::{IntegrationPort, RecordStore, StoreError, StorePort, identities_left};
pub(crate) use twins::TwinPort;
