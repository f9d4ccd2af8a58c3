//! The inventory service: which group a device is in.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::error::{Error, Result, Service};
use crate::options::{Options, SetupError};
use crate::path;
use crate::transport::{Call, Transport};

const MAX_BODY: usize = 64 * 1024;

/// The inventory service of one Mender server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Inventory(Transport);

impl Inventory {
    /// A client for the service at `base_url`. Connects to nothing yet.
    pub fn new(base_url: &str, options: Options) -> std::result::Result<Self, SetupError> {
        Transport::new(Service::Inventory, base_url, options).map(Self)
    }

    /// Whether the service, with its database, is well.
    pub async fn health(&self) -> Result<()> {
        let call = Call::get(format!("{}/health", Service::Inventory.api()));
        self.0.send(call, StatusCode::NO_CONTENT, 0).await.map(drop)
    }

    /// The static groups that the device is in (Mender knows at most one); none also if there is
    /// no such device.
    pub async fn groups(&self, tenant: &str, device: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Groups {
            groups: Option<Vec<String>>,
        }
        let path = path::of_device(Service::Inventory, tenant, "/devices", device, "/groups")?;
        let answer = match self.0.send(Call::get(path), StatusCode::OK, MAX_BODY).await {
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let read: Groups = serde_json::from_slice(&answer.body)
            .map_err(|_| self.0.malformed("no groups in it"))?;
        Ok(read.groups.unwrap_or_default())
    }
}
