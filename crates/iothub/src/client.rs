//! The operations of a hub.
//!
//! Each is a request from [`crate::request`], sent once, and an answer that is believed only if it
//! is about the device that was asked for.

mod bulk;
mod configurations;
mod digital_twins;
mod jobs;
mod methods;
mod modules;
mod queries;
mod registry;

use std::sync::Arc;

use serde_json::Value;

use crate::credential::Credential;
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::host::HostName;
use crate::identity::{Identity, NewIdentity};
use crate::options::{Options, SetupError};
use crate::request;
use crate::transport::Transport;
use crate::twin::Twin;

/// One hub. Clones share connections and token.
///
/// ```no_run
/// use iothub::{ConnectionString, DeviceId, Hub, Options};
///
/// # async fn example(text: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let connection: ConnectionString = text.parse()?;
/// let hub = Hub::new(connection.host().parse()?, connection.credential()?, Options::default())?;
/// let id: DeviceId = "dev-1".parse()?;
/// println!("{:?}", hub.device(&id).await?.status());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hub(pub(crate) Arc<Transport>);

/// # One hub
impl Hub {
    /// A client for the hub at `host`. Connects to nothing yet.
    ///
    /// Redirects are not followed and proxies not used: both would lead around the checks of names
    /// and addresses.
    pub fn new(
        host: HostName,
        credential: Credential,
        options: Options,
    ) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Transport::new(host, credential, options)?)))
    }

    /// How far the hub's clock is ahead of this machine's, in seconds, as its last answer told; 0
    /// before the first. Tokens are made by the hub's clock, so a difference does no harm here.
    #[must_use]
    pub fn clock_offset_s(&self) -> i64 {
        self.0.clock_offset()
    }

    /// The hub's host.
    #[must_use]
    pub fn host(&self) -> &HostName {
        self.0.host()
    }
}

/// # Devices
///
/// Microsoft's page: [Understand the identity registry](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry).
impl Hub {
    /// Reads an identity, with its keys. [`crate::Kind::NotFound`] if there is none.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let identity = hub.device(&"dev-1".parse()?).await?;
    /// println!("{:?} {:?}", identity.status(), identity.status_reason());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn device(&self, id: &DeviceId) -> Result<Identity> {
        let answer = self.0.send(request::device(self.host(), id)?).await?;
        identity(id, &answer.body)
    }

    /// Creates an identity, or fails with [`crate::Kind::AlreadyExists`]. Never changes one.
    ///
    /// ```no_run
    /// use iothub::{NewIdentity, Status};
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = NewIdentity { status: Status::Disabled, ..NewIdentity::new("dev-1".parse()?) };
    /// let created = hub.create_device(&new).await?;
    /// assert!(created.primary_key().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_device(&self, new: &NewIdentity) -> Result<Identity> {
        let answer = self
            .0
            .send(request::create_device(self.host(), new)?)
            .await?;
        identity(&new.device_id, &answer.body)
    }

    /// Sends an identity back as it was read and changed, or fails with
    /// [`crate::Kind::PreconditionFailed`] if somebody else changed it meanwhile.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut identity = hub.device(&"dev-1".parse()?).await?;
    /// identity.set_status(iothub::Status::Disabled);
    /// let updated = hub.update_device(&identity).await?;
    /// assert_ne!(updated.etag(), identity.etag());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_device(&self, identity_read: &Identity) -> Result<Identity> {
        let answer = self
            .0
            .send(request::update_device(self.host(), identity_read)?)
            .await?;
        identity(identity_read.device_id(), &answer.body)
    }

    /// Deletes an identity, its twin and its modules, if it still has this version (without quotes).
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let identity = hub.device(&"dev-1".parse()?).await?;
    /// hub.delete_device(identity.device_id(), identity.etag().ok_or("no etag")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_device(&self, id: &DeviceId, etag: &str) -> Result<()> {
        self.0
            .send(request::delete_device(self.host(), id, etag)?)
            .await
            .map(drop)
    }
}

/// # Twins of devices
///
/// Microsoft's page: [Understand and use device twins](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins).
///
/// Tags may have 8 KiB, desired and reported properties 32 KiB each, in at most 10 levels, keys
/// without `.`, `$`, `#` and blanks, strings of 4096 bytes and integers of 53 bits. More is
/// [`crate::Kind::Invalid`]. Hubs of the Basic tier have no twins: [`crate::Kind::NotAvailable`].
impl Hub {
    /// Reads a twin. [`crate::Kind::NotFound`] if there is no such device.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let twin = hub.twin(&"dev-1".parse()?).await?.without_metadata();
    /// println!("{} {}", twin.desired(), twin.reported());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn twin(&self, id: &DeviceId) -> Result<Twin> {
        let answer = self.0.send(request::twin(self.host(), id)?).await?;
        twin(id, &answer.body)
    }

    /// Merges tags and desired properties into a twin; null removes a key. With an `etag`, only if
    /// the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let patch = serde_json::json!({"tags": {"site": "north", "old": null}});
    /// hub.patch_twin(&"dev-1".parse()?, &patch, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn patch_twin(
        &self,
        id: &DeviceId,
        patch: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let answer = self
            .0
            .send(request::patch_twin(self.host(), id, patch, etag)?)
            .await?;
        twin(id, &answer.body)
    }

    /// Replaces tags and desired properties: what `edited` leaves out is gone, also the tags. With
    /// an `etag`, only if the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let id = "dev-1".parse()?;
    /// let read = hub.twin(&id).await?;
    /// let edited = serde_json::json!({"tags": read.tags(), "properties": {"desired": {"interval": 5}}});
    /// hub.replace_twin(&id, &edited, read.etag()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn replace_twin(
        &self,
        id: &DeviceId,
        edited: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let answer = self
            .0
            .send(request::replace_twin(self.host(), id, edited, etag)?)
            .await?;
        twin(id, &answer.body)
    }
}

fn identity(asked: &DeviceId, body: &[u8]) -> Result<Identity> {
    let identity = Identity::from_json(body)?;
    if identity.device_id() == asked {
        Ok(identity)
    } else {
        Err(another_device())
    }
}

fn twin(asked: &DeviceId, body: &[u8]) -> Result<Twin> {
    let twin = Twin::from_json(body)?;
    if twin.device_id() == asked.as_str() {
        Ok(twin)
    } else {
        Err(another_device())
    }
}

pub(crate) fn another_device() -> Error {
    Error::malformed("the answer is about another device")
}
