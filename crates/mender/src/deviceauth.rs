//! The deviceauth service: what Mender holds of a device.
//!
//! "Not there" leads to deletions, so it is believed only from a list that answers exactly the
//! question asked, or from a 404 in Mender's own words. Everything else that lacks the device is
//! an error.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::error::{Error, Result, Service};
use crate::options::{Options, SetupError};
use crate::page::next_page;
use crate::path;
use crate::transport::{Call, Transport};

/// Longest page that deviceauth gives.
pub const MAX_PER_PAGE: u32 = 500;
/// One device with all its auth sets, each with a public key and identity data.
const MAX_DEVICE: usize = 1024 * 1024;
/// A page of them.
const MAX_PAGE: usize = 32 * 1024 * 1024;

/// A device as deviceauth holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// Its id, the same in the hub.
    pub id: String,
    /// `accepted`, `preauthorized`, `pending`, `rejected` or `noauth`, in newer versions perhaps
    /// others.
    pub status: String,
    /// Whether it is being removed.
    #[serde(default)]
    pub decommissioning: bool,
    /// When this incarnation came to be, RFC 3339, as it was written.
    #[serde(default)]
    pub created_ts: Option<String>,
}

/// Some devices of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The devices, each once.
    pub devices: Vec<Device>,
    /// The page to ask for next; none after the last one.
    pub next: Option<u32>,
}

/// The deviceauth service of one Mender server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Deviceauth(Transport);

impl Deviceauth {
    /// A client for the service at `base_url`. Connects to nothing yet.
    pub fn new(base_url: &str, options: Options) -> std::result::Result<Self, SetupError> {
        Transport::new(Service::Deviceauth, base_url, options).map(Self)
    }

    /// The device, or `None` if Mender says that it has none of this id.
    ///
    /// An answer that holds anything else than this device is [`Error::Malformed`].
    pub async fn status(&self, tenant: &str, device: &str) -> Result<Option<Device>> {
        let call = by_id(tenant, device)?;
        let answer = self.0.send(call, StatusCode::OK, MAX_DEVICE).await?;
        let mut devices = self.devices(&answer.body)?;
        if devices.len() > 1 || devices.iter().any(|found| found.id != device) {
            return Err(self.0.malformed("other devices than the one asked for"));
        }
        Ok(devices.pop())
    }

    /// The status alone, or `None` if Mender does not know the device.
    ///
    /// Tells nothing of a decommissioning that is under way; [`Deviceauth::status`] does.
    pub async fn device_status(&self, tenant: &str, device: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }
        let path = path::of_device(Service::Deviceauth, tenant, "/devices", device, "/status")?;
        let sent = self.0.send(Call::get(path), StatusCode::OK, MAX_DEVICE);
        let answer = match sent.await {
            Err(Error::NotFound { .. }) => return Ok(None),
            answer => answer?,
        };
        let status: Status = serde_json::from_slice(&answer.body)
            .map_err(|_| self.0.malformed("no status in it"))?;
        Ok(Some(status.status))
    }

    /// One page of a tenant's devices, counted from 1, with at most [`MAX_PER_PAGE`] of them.
    ///
    /// The list moves while it is read: a device may be missing from all pages although it is
    /// there. Before anything is deleted, [`Deviceauth::status`] must have said `None`.
    pub async fn devices_page(
        &self,
        tenant: &str,
        page: u32,
        per_page: u32,
        status: Option<&str>,
    ) -> Result<Page> {
        let call = page_of(tenant, page, per_page, status)?;
        let answer = self.0.send(call, StatusCode::OK, MAX_PAGE).await?;
        let next = next_page(&answer.headers, page).map_err(|reason| self.0.malformed(reason))?;
        let devices = self.devices(&answer.body)?;
        Ok(Page { devices, next })
    }

    /// Whether the service and its storage work.
    pub async fn health(&self) -> Result<()> {
        let call = Call::get(format!("{}/health", Service::Deviceauth.api()));
        let sent = self.0.send(call, StatusCode::NO_CONTENT, MAX_DEVICE).await;
        sent.map(drop)
    }

    fn devices(&self, body: &[u8]) -> Result<Vec<Device>> {
        serde_json::from_slice(body).map_err(|_| self.0.malformed("no list of devices"))
    }
}

fn by_id(tenant: &str, device: &str) -> Result<Call> {
    // Nothing but an id goes into the query: without one the answer would be everybody.
    if device.is_empty() {
        return Err(Error::Refused {
            service: Service::Deviceauth,
            status: None,
            reason: "the device id is empty".to_owned(),
        });
    }
    let path = path::of_tenant(Service::Deviceauth, tenant, "/devices")?;
    let query = format!("id={}", path::encode(device));
    Ok(Call {
        query,
        ..Call::get(path)
    })
}

fn page_of(tenant: &str, page: u32, per_page: u32, status: Option<&str>) -> Result<Call> {
    let path = path::of_tenant(Service::Deviceauth, tenant, "/devices")?;
    let mut query = format!("page={page}&per_page={per_page}");
    if let Some(status) = status {
        query.push_str("&status=");
        query.push_str(&path::encode(status));
    }
    Ok(Call {
        query,
        ..Call::get(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_is_asked_for_by_the_list() {
        let call = by_id("", "a&id=b").expect("a call");
        assert_eq!(call.path, "/api/internal/v1/devauth/tenants//devices");
        assert_eq!(call.query, "id=a%26id%3Db");
    }

    #[test]
    fn nobody_is_not_everybody() {
        assert!(by_id("t", "").is_err());
    }

    #[test]
    fn a_page_may_be_of_one_status() {
        let call = page_of("t", 2, 500, Some("accepted")).expect("a call");
        assert_eq!(call.path, "/api/internal/v1/devauth/tenants/t/devices");
        assert_eq!(call.query, "page=2&per_page=500&status=accepted");
    }
}
