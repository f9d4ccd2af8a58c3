//! From a tenant to its hub.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iothub::{AllowedHosts, ConnectionString, Options, Secret};
use lifecycle::TenantId;
use reconciler::ports::{Hubs, IntegrationStore as _, PortError, PortResult};
use tokio::time::Instant;

use super::hub::HubPort;
use super::store::IntegrationPort;
use crate::config::{self, ConfigError};
use crate::integration::Integration;
use crate::seal::SealingKey;

/// How long a stored integration is trusted before it is looked up again.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(1);

/// Makes clients of hubs.
pub(crate) struct HubFactory {
    allowed: AllowedHosts,
    options: Options,
}

impl HubFactory {
    pub(crate) fn from_config(hub: &config::Hub) -> Result<Self, ConfigError> {
        let allowed = AllowedHosts::new(&hub.allowed_hosts.0)
            .map_err(|error| ConfigError(format!("`hub.allowed_hosts`: {error}")))?;
        let extra_root_pem = match &hub.ca_file {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                ConfigError(format!("`hub.ca_file` {}: {error}", path.display()))
            })?),
        };
        let options = Options {
            request_timeout: hub.request_timeout(),
            connect_timeout: hub.request_timeout().min(Duration::from_secs(10)),
            extra_root_pem,
            ..Options::default()
        };
        Ok(Self { allowed, options })
    }

    /// A client of the hub that a policy's connection string names.
    pub(crate) fn connect(&self, connection_string: &Secret) -> anyhow::Result<iothub::Hub> {
        let parsed: ConnectionString = connection_string.expose().parse()?;
        let host = self.allowed.check(parsed.host())?;
        Ok(iothub::Hub::new(
            host,
            parsed.credential()?,
            self.options.clone(),
        )?)
    }
}

/// A tenant's hub; `None` where the tenant has no integration.
type Found = Option<HubPort>;

/// What was found for a tenant, and when.
struct Cached {
    at: Instant,
    revision: Option<u64>,
    hub: Found,
}

/// The integrations of all tenants, and the clients made of them.
#[derive(Clone)]
pub(crate) struct Integrations {
    store: IntegrationPort,
    key: Arc<SealingKey>,
    factory: Arc<HubFactory>,
    cache: Arc<Mutex<HashMap<TenantId, Cached>>>,
}

impl Integrations {
    pub(crate) fn new(
        store: IntegrationPort,
        key: Arc<SealingKey>,
        factory: Arc<HubFactory>,
    ) -> Self {
        Self {
            store,
            key,
            factory,
            cache: Arc::default(),
        }
    }

    fn cached(&self, tenant: &TenantId) -> Option<Found> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = cache
            .get(tenant)
            .filter(|entry| entry.at.elapsed() < FRESH_FOR)?;
        Some(entry.hub.clone())
    }

    /// The client made for this revision, if it still is the present one.
    fn unchanged(&self, tenant: &TenantId, revision: Option<u64>) -> Option<Found> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = cache
            .get_mut(tenant)
            .filter(|entry| entry.revision == revision)?;
        entry.at = Instant::now();
        Some(entry.hub.clone())
    }

    fn make(&self, tenant: &TenantId, bytes: &[u8]) -> anyhow::Result<HubPort> {
        let integration = Integration::from_bytes(tenant, bytes)?;
        let client = self.factory.connect(&integration.open(&self.key)?)?;
        Ok(HubPort {
            client,
            allowed_per_minute: integration.tier.allowed_per_minute(integration.units),
            integration: integration.reference(),
            tier: integration.tier,
            units: integration.units,
        })
    }
}

impl Hubs for Integrations {
    type Hub = HubPort;

    async fn hub(&self, tenant: &TenantId) -> PortResult<Option<HubPort>> {
        if let Some(hub) = self.cached(tenant) {
            return Ok(hub);
        }
        let stored = self.store.load(tenant).await?;
        let revision = stored.as_ref().map(|(_, revision)| *revision);
        if let Some(hub) = self.unchanged(tenant, revision) {
            return Ok(hub);
        }
        let hub = match stored {
            None => None,
            Some((bytes, _)) => Some(self.make(tenant, &bytes).map_err(|error| {
                PortError::NotUnderstood(format!("integration of tenant {tenant:?}: {error}"))
            })?),
        };
        let entry = Cached {
            at: Instant::now(),
            revision,
            hub: hub.clone(),
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(tenant.clone(), entry);
        Ok(hub)
    }
}
