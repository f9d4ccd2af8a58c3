//! The Mender server, for the reconciler.

use std::time::Duration;

use iothub::{AllowedHosts, DeviceId, Identity, device_connection_string};
use lifecycle::{DeviceRef, Failure, Fate, IntegrationRef, KeySlot, MenderView};
use mender::{Deviceauth, Deviceconfig};
use reconciler::ports::Mender;

use super::keys::fingerprint;
use crate::config::{self, ConfigError};
use crate::observe;

/// Clients of Mender's services.
#[derive(Clone)]
pub(crate) struct MenderPort {
    pub(super) deviceauth: Deviceauth,
    pub(super) deviceconfig: Deviceconfig,
}

impl MenderPort {
    pub(crate) fn from_config(config: &config::Mender) -> Result<Self, ConfigError> {
        let options = options(config);
        let bad =
            |key: &str, error: &dyn std::fmt::Display| ConfigError(format!("`{key}`: {error}"));
        Ok(Self {
            deviceauth: Deviceauth::new(&config.deviceauth_url, options.clone())
                .map_err(|error| bad("mender.deviceauth_url", &error))?,
            deviceconfig: Deviceconfig::new(&config.deviceconfig_url, options)
                .map_err(|error| bad("mender.deviceconfig_url", &error))?,
        })
    }

    /// Whether deviceconfig answers.
    pub(crate) async fn is_healthy(&self) -> Result<(), mender::Error> {
        self.deviceconfig.health().await
    }
}

/// The limits of all clients of Mender's services.
pub(super) fn options(config: &config::Mender) -> mender::Options {
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let usual = mender::Options::default();
    mender::Options {
        timeout,
        connect_timeout: usual.connect_timeout.min(timeout),
        watch: Some(observe::requests().clone()),
    }
}

impl Mender for MenderPort {
    type Identity = Identity;

    async fn deliver(
        &self,
        device: &DeviceRef,
        integration: &IntegrationRef,
        identity: &Identity,
        key: KeySlot,
    ) -> Result<String, (Failure, Fate)> {
        let refused = |text: String| (Failure::Permanent(text), Fate::Done);
        let key = match key {
            KeySlot::Primary => identity.primary_key(),
            KeySlot::Secondary => identity.secondary_key(),
        };
        let Some(key) = key else {
            return Err(refused(
                "the identity has no symmetric key to deliver".to_owned(),
            ));
        };
        let id: DeviceId = device
            .device
            .as_str()
            .parse()
            .map_err(|error: iothub::InvalidDeviceId| refused(error.to_string()))?;
        // The integration's host passed the allow-list of the configuration when its client was made.
        let host = AllowedHosts::new([&integration.hub])
            .and_then(|allowed| allowed.check(&integration.hub))
            .map_err(|error| refused(error.to_string()))?;
        let text = device_connection_string(&host, &id, &key)
            .map_err(|error| refused(error.to_string()))?;
        let (tenant, name) = (device.tenant.as_str(), device.device.as_str());
        self.deviceconfig
            .set_connection_string(tenant, name, text.expose())
            .await
            .map_err(|error| of_mender(&error))?;
        self.deviceconfig
            .deploy(tenant, name)
            .await
            .map_err(|error| of_mender(&error))?;
        Ok(fingerprint(&key))
    }

    async fn view(&self, device: &DeviceRef) -> Result<MenderView, Failure> {
        let (tenant, name) = (device.tenant.as_str(), device.device.as_str());
        let found = self.deviceauth.status(tenant, name).await;
        match found.map_err(|error| of_mender(&error).0)? {
            None => Ok(MenderView::Absent),
            Some(device) if device.decommissioning => Ok(MenderView::Decommissioning),
            Some(device) => {
                device.status.parse().map(MenderView::Known).map_err(|_| {
                    Failure::Transient("deviceauth tells an unknown status".to_owned())
                })
            }
        }
    }
}

/// What a failed call of a Mender service asks for.
pub(super) fn of_mender(error: &mender::Error) -> (Failure, Fate) {
    let text = error.to_string();
    let failure = match error {
        mender::Error::Refused { .. } => Failure::Permanent(text),
        mender::Error::Throttled { retry_after, .. } => Failure::Throttled { wait: *retry_after },
        // Mender may not know the device yet, or not any more: an event will tell.
        mender::Error::NotFound { .. }
        | mender::Error::NotStarted
        | mender::Error::Malformed { .. }
        | mender::Error::Transient { .. } => Failure::Transient(text),
    };
    let fate = if error.effect_unknown() {
        Fate::Unknown
    } else {
        Fate::Done
    };
    (failure, fate)
}
