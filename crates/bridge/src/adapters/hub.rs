//! One tenant's hub, for the reconciler.

use iothub::{DeviceId, Identity, Kind, NewIdentity, Status};
use lifecycle::{DeviceRef, Facts, Failure, Fate, HubWrite, IntegrationRef, Mark};
use reconciler::ports::{Hub, Seen};
use serde_json::{Value, json};

use super::failure::of_hub;
use super::keys;
use crate::integration::Tier;

/// The tag that tells people that Mender looks after the twin's device.
const TAG: &str = "mender";

/// A hub as the present integration reaches it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HubPort {
    pub(crate) client: iothub::Hub,
    pub(crate) integration: IntegrationRef,
    pub(crate) allowed_per_minute: Option<u32>,
    pub(crate) tier: Tier,
    pub(crate) units: u32,
}

type WriteResult = Result<Option<Seen<Identity>>, (Failure, Fate)>;

impl Hub for HubPort {
    type Identity = Identity;

    fn integration(&self) -> &IntegrationRef {
        &self.integration
    }

    fn allowed_per_minute(&self) -> Option<u32> {
        self.allowed_per_minute
    }

    async fn read(&self, device: &DeviceRef) -> Result<Option<Seen<Identity>>, Failure> {
        let id = device_id(device).map_err(|(failure, _)| failure)?;
        match self.client.device(&id).await {
            Ok(identity) => seen(identity).map(Some),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(of_hub(&error).0),
        }
    }

    async fn write(
        &self,
        device: &DeviceRef,
        request: &HubWrite,
        held: Option<&Identity>,
    ) -> WriteResult {
        let id = device_id(device)?;
        match request {
            HubWrite::Create { mark, .. } => self.create(id, mark).await,
            HubWrite::Update { etag, enable, .. } => {
                let mut identity = at_hand(etag, held)?.clone();
                identity.set_status(if *enable {
                    Status::Enabled
                } else {
                    Status::Disabled
                });
                self.replied(self.client.update_device(&identity).await)
            }
            HubWrite::Keys { etag, change, .. } => {
                let identity = keys::changed(at_hand(etag, held)?, *change)
                    .map_err(|error| (Failure::Permanent(error.to_string()), Fate::Done))?;
                self.replied(self.client.update_device(&identity).await)
            }
            HubWrite::Delete { etag, .. } => match self.client.delete_device(&id, etag).await {
                Ok(()) => Ok(None),
                Err(error) if error.kind() == Kind::NotFound => Ok(None),
                Err(error) => Err(of_hub(&error)),
            },
        }
    }

    async fn tag(&self, device: &DeviceRef, etag: &str) -> Result<(), Failure> {
        let id = device_id(device).map_err(|(failure, _)| failure)?;
        let twin = match self.client.twin(&id).await {
            Ok(twin) => twin,
            // Hubs of the Basic tier have no twins, so there is nothing to tag.
            Err(error) if error.kind() == Kind::NotAvailable => return Ok(()),
            Err(error) => return Err(of_hub(&error).0),
        };
        if twin.device_etag().is_some_and(|live| live != etag) {
            return Err(Failure::Conflict);
        }
        if twin.tags().get(TAG) == Some(&Value::Bool(true)) {
            return Ok(());
        }
        let patch = json!({"tags": {TAG: true}});
        let tagged = self.client.patch_twin(&id, &patch, twin.etag()).await;
        tagged.map(drop).map_err(|error| of_hub(&error).0)
    }
}

impl HubPort {
    async fn create(&self, device_id: DeviceId, mark: &Mark) -> WriteResult {
        let new = NewIdentity {
            status: Status::Enabled,
            status_reason: Some(mark.to_string()),
            ..NewIdentity::new(device_id)
        };
        self.replied(self.client.create_device(&new).await)
    }

    fn replied(&self, result: iothub::Result<Identity>) -> WriteResult {
        match result {
            // An answer without generation or ETag took effect all the same: look again.
            Ok(identity) => seen(identity)
                .map(Some)
                .map_err(|failure| (failure, Fate::Done)),
            Err(error) => {
                tracing::debug!(hub = self.integration.hub, %error, "hub request failed");
                Err(of_hub(&error))
            }
        }
    }
}

/// The identity that a request is to change, if it is still the one of this ETag.
fn at_hand<'a>(etag: &str, held: Option<&'a Identity>) -> Result<&'a Identity, (Failure, Fate)> {
    held.filter(|identity| identity.etag() == Some(etag))
        .ok_or((Failure::Conflict, Fate::Done))
}

/// The id as the hub's client wants it. Its rules are ours but for what we refuse besides.
fn device_id(device: &DeviceRef) -> Result<DeviceId, (Failure, Fate)> {
    device
        .device
        .as_str()
        .parse()
        .map_err(|error: iothub::InvalidDeviceId| {
            (Failure::Permanent(error.to_string()), Fate::Done)
        })
}

fn seen(identity: Identity) -> Result<Seen<Identity>, Failure> {
    let (Some(generation), Some(etag)) = (identity.generation_id(), identity.etag()) else {
        return Err(Failure::Transient(
            "an identity without generation or ETag".to_owned(),
        ));
    };
    let facts = Facts {
        generation: generation.to_owned(),
        etag: etag.to_owned(),
        enabled: identity.status() == Some(Status::Enabled),
        mark: identity.status_reason().and_then(Mark::parse),
        keys: keys::fingerprints(&identity),
    };
    Ok(Seen { facts, identity })
}
