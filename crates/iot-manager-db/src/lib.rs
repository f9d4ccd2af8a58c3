//! What Mender's iot-manager keeps in MongoDB, for whoever takes its place.
//!
//! Its database `iot_manager` has two collections that matter. `integrations` holds the hubs and
//! their credentials: `{_id, tenant_id, provider, description?, credentials: {type,
//! connection_string: {hostname, name, access_key: {algorithm, data}}}}`. `devices` has a row for
//! each device that was provisioned: `{_id, tenant_id, integration_ids: [...]}`. All tenants share
//! them; open-source Mender has the empty tenant. Read in `mendersoftware/mender-server`,
//! `backend/services/iot-manager` (packages `model`, `store/mongo`, `crypto`), releases 1.0 to now.
//!
//! The database may hold anything: whoever else could write to it has. So documents are read as
//! raw BSON, field by field, and each that is not understood is left out with its [`Reason`].

mod database;
mod document;
mod error;
mod integration;
mod keys;
mod row;
mod sealed;

pub use database::{Database, Options, Rows};
pub use document::Reason;
pub use error::{Error, Result};
pub use integration::{HubKey, Integration};
pub use keys::{Key, KeyError};
pub use row::Row;
pub use sealed::{Protection, Unreadable};
