//! The workflows server: which definitions it uses.

use reqwest::StatusCode;
use serde_json::Value;

use crate::error::{Result, Service};
use crate::options::{Options, SetupError};
use crate::transport::{Call, Transport};

/// All definitions of a Mender server take some hundred kilobytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The workflows server of one Mender server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Workflows(Transport);

impl Workflows {
    /// A client for the server at `base_url`. Connects to nothing yet.
    pub fn new(base_url: &str, options: Options) -> std::result::Result<Self, SetupError> {
        Transport::new(Service::Workflows, base_url, options).map(Self)
    }

    /// The definitions that it uses, as they are in its database
    /// (mender-server, `backend/services/workflows`, `GET /api/v1/metadata/workflows`).
    pub async fn definitions(&self) -> Result<Vec<Value>> {
        let call = Call::get(format!("{}/metadata/workflows", Service::Workflows.api()));
        let answer = self.0.send(call, StatusCode::OK, MAX_BODY).await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.0.malformed("no list of definitions"))
    }
}
