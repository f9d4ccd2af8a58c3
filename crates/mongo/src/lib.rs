//! Device records and integrations in MongoDB, for those who run one anyway.
//!
//! Everything the reconciler relies on is in each single command: the filter names the version
//! that is replaced, the server stamps the time, and a majority holds the write in its journals
//! before it counts. So a command may be repeated by the driver, lost on the way, or answered by
//! a server that lags, and the worst that follows is a lost compare-and-set.

mod connect;
mod devices;
mod document;
mod error;
mod integrations;
mod setup;
mod versions;

pub use connect::{Mongo, Options};
pub use devices::MongoDevices;
pub use error::{Error, Result};
pub use integrations::MongoIntegrations;
pub use setup::Change;
