//! Twins, for the twin service.

use iothub::Kind;
use reconciler::ports::{Hubs as _, PortError};
use serde_json::{Value, json};
use twin::{DeviceId, TenantId, TwinDocument, TwinError, TwinHub};

use super::hub::HubPort;
use super::hubs::Integrations;

/// How often an edit without an ETag of the caller is tried against others' edits.
const TRIES: usize = 4;

/// The tenants' hubs as the twin service sees them.
pub(crate) struct TwinPort {
    integrations: Integrations,
}

impl TwinPort {
    pub(crate) fn new(integrations: Integrations) -> Self {
        Self { integrations }
    }

    async fn hub(&self, tenant: &TenantId) -> Result<HubPort, TwinError> {
        match self.integrations.hub(tenant).await {
            Ok(Some(hub)) => Ok(hub),
            Ok(None) => Err(TwinError::NoIntegration),
            Err(PortError::Unavailable(_) | PortError::NotUnderstood(_)) => {
                Err(TwinError::HubUnavailable)
            }
        }
    }
}

impl TwinHub for TwinPort {
    async fn get(&self, tenant: &TenantId, device: &DeviceId) -> Result<TwinDocument, TwinError> {
        let hub = self.hub(tenant).await?;
        let id = hub_id(device)?;
        let found = hub.client.twin(&id).await.map_err(|error| of_hub(&error))?;
        Ok(document(&found))
    }

    async fn set(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        desired: Value,
        etag: Option<String>,
    ) -> Result<TwinDocument, TwinError> {
        let hub = self.hub(tenant).await?;
        let id = hub_id(device)?;
        for _ in 0..TRIES {
            let found = hub.client.twin(&id).await.map_err(|error| of_hub(&error))?;
            let live = found.etag().map(str::to_owned);
            if etag.is_some() && etag != live {
                return Err(TwinError::Conflict { etag: live });
            }
            // A replacement without tags would remove them.
            let edited = json!({"tags": found.tags(), "properties": {"desired": desired}});
            match hub.client.replace_twin(&id, &edited, live.as_deref()).await {
                Ok(after) => return Ok(document(&after)),
                Err(error) if error.kind() == Kind::PreconditionFailed => {}
                Err(error) => return Err(of_hub(&error)),
            }
        }
        Err(TwinError::Conflict { etag: None })
    }
}

fn hub_id(device: &DeviceId) -> Result<iothub::DeviceId, TwinError> {
    let parsed = device.as_str().parse();
    parsed.map_err(|error: iothub::InvalidDeviceId| TwinError::Invalid(error.to_string()))
}

fn document(found: &iothub::Twin) -> TwinDocument {
    TwinDocument {
        desired: found.desired().clone(),
        reported: found.reported().clone(),
        tags: found.tags().clone(),
        etag: found.etag().unwrap_or_default().to_owned(),
        version: found.version().unwrap_or_default(),
    }
}

fn of_hub(error: &iothub::Error) -> TwinError {
    match error.kind() {
        Kind::NotFound => TwinError::NotFound,
        Kind::AlreadyExists | Kind::PreconditionFailed => TwinError::Conflict { etag: None },
        Kind::Throttled { .. } => TwinError::Throttled,
        Kind::Invalid => TwinError::Invalid("the hub does not take this twin".to_owned()),
        Kind::Unauthorized | Kind::QuotaExceeded | Kind::HubFull | Kind::NotAvailable => {
            TwinError::HubRefused
        }
        Kind::Transient
            if error.effect() == iothub::Effect::Unknown && error.status().is_none() =>
        {
            TwinError::TimedOut
        }
        Kind::Transient | Kind::Malformed => TwinError::HubUnavailable,
    }
}
