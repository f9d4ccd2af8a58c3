//! From a tenant to its hub.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iothub::{AllowedHosts, Options, Secret};
use lifecycle::TenantId;
use reconciler::ports::{Hubs, IntegrationStore as _, PortError, PortResult};
use tokio::time::Instant;

use super::entra::Issuers;
use super::hub::HubPort;
use super::store::IntegrationPort;
use crate::config::{Config, ConfigError};
use crate::integration::{Clear, Integration, IntegrationError, Login};
use crate::keys::SealingKeys;
use crate::observe;

/// How long a stored integration is trusted before it is looked up again.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How old it is when it is looked up again without anybody waiting for that.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// Workers look at the integration again before each change, but not more often than this: after
/// the wait none of them begins a change with the one before.
pub(crate) async fn until_workers_know() {
    tokio::time::sleep(FRESH_FOR + Duration::from_millis(200)).await;
}

/// Makes clients of hubs.
pub(crate) struct HubFactory {
    allowed: AllowedHosts,
    options: Options,
    issuers: Issuers,
}

impl HubFactory {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let hub = &config.hub;
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
            watch: Some(observe::requests().clone()),
            ..Options::default()
        };
        Ok(Self {
            allowed,
            options,
            issuers: Issuers::from_config(&config.entra)?,
        })
    }

    /// Whether the allow-list lets a host in.
    pub(crate) fn trusts(&self, host: &str) -> bool {
        self.allowed.check(host).is_ok()
    }

    /// A client of the hub at `host`, if the allow-list lets that in.
    pub(crate) fn connect(
        &self,
        host: &str,
        login: &Login,
        secret: &Secret,
    ) -> anyhow::Result<iothub::Hub> {
        let host = self.allowed.check(host)?;
        let options = self.options.clone();
        let credential = self
            .issuers
            .credential(&host, login, secret, options.clone())?;
        Ok(iothub::Hub::new(host, credential, options)?)
    }

    /// A client of an integration's hub.
    pub(crate) async fn open(
        &self,
        integration: &Integration,
        keys: &SealingKeys,
    ) -> anyhow::Result<iothub::Hub> {
        let secret = keys.open(integration).await?;
        let clear = &integration.clear;
        self.connect(&clear.hub, &clear.login, &secret)
    }
}

/// An integration in the store.
pub(crate) struct Stored {
    pub(crate) tenant: TenantId,
    pub(crate) integration: Result<Integration, IntegrationError>,
}

/// All integrations in the store.
pub(crate) async fn stored(store: &IntegrationPort) -> PortResult<Vec<Stored>> {
    let mut found = Vec::new();
    for tenant in store.list().await? {
        if let Some((bytes, _)) = store.load(&tenant).await? {
            let integration = Integration::from_bytes(&tenant, &bytes);
            found.push(Stored {
                tenant,
                integration,
            });
        }
    }
    Ok(found)
}

/// A tenant's hub; `None` where the tenant has no integration.
type Found = Option<HubPort>;

/// What was found for a tenant, and when it was asked for.
struct Cached {
    at: Instant,
    revision: Option<u64>,
    hub: Found,
    /// Somebody is looking it up again.
    looking: bool,
}

/// The integrations of all tenants, and the clients made of them.
#[derive(Clone)]
pub(crate) struct Integrations {
    store: IntegrationPort,
    keys: Arc<SealingKeys>,
    factory: Arc<HubFactory>,
    cache: Arc<Mutex<HashMap<TenantId, Cached>>>,
}

impl Integrations {
    pub(crate) fn new(
        store: IntegrationPort,
        keys: Arc<SealingKeys>,
        factory: Arc<HubFactory>,
    ) -> Self {
        Self {
            store,
            keys,
            factory,
            cache: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Cached>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known and still trusted. Whoever is told first that it ages has it looked up again,
    /// beside the work, so that of a tenant that is busy nobody waits for that.
    fn cached(&self, tenant: &TenantId) -> Option<Found> {
        let mut cache = self.lock();
        let entry = cache.get_mut(tenant)?;
        let age = entry.at.elapsed();
        if age >= FRESH_FOR {
            return None;
        }
        if age >= LOOK_AFTER && !std::mem::replace(&mut entry.looking, true) {
            let (this, tenant) = (self.clone(), tenant.clone());
            tokio::spawn(async move {
                if let Err(error) = this.look_up(&tenant).await {
                    tracing::debug!(%tenant, %error, "an integration is not known for much longer");
                }
            });
        }
        Some(entry.hub.clone())
    }

    /// The client made for this revision, if it still is the present one.
    fn unchanged(&self, tenant: &TenantId, revision: Option<u64>, asked: Instant) -> Option<Found> {
        let mut cache = self.lock();
        let entry = cache
            .get_mut(tenant)
            .filter(|entry| entry.revision == revision)?;
        entry.at = entry.at.max(asked);
        entry.looking = false;
        Some(entry.hub.clone())
    }

    /// Asks the store.
    async fn look_up(&self, tenant: &TenantId) -> PortResult<Found> {
        let asked = Instant::now();
        let stored = self.store.load(tenant).await?;
        let revision = stored.as_ref().map(|(_, revision)| *revision);
        if let Some(hub) = self.unchanged(tenant, revision, asked) {
            return Ok(hub);
        }
        let hub = match stored {
            None => None,
            Some((bytes, _)) => Some(self.make(tenant, &bytes).await.map_err(|error| {
                PortError::NotUnderstood(format!("integration of tenant {tenant:?}: {error}"))
            })?),
        };
        let found = Cached {
            at: asked,
            revision,
            hub: hub.clone(),
            looking: false,
        };
        let mut cache = self.lock();
        // Of two who looked at once, whoever asked later knows better.
        if cache.get(tenant).is_none_or(|known| known.at <= asked) {
            cache.insert(tenant.clone(), found);
        }
        Ok(hub)
    }

    async fn make(&self, tenant: &TenantId, bytes: &[u8]) -> anyhow::Result<HubPort> {
        let integration = Integration::from_bytes(tenant, bytes)?;
        let Clear { tier, units, .. } = integration.clear;
        Ok(HubPort {
            client: self.factory.open(&integration, &self.keys).await?,
            allowed_per_minute: tier.allowed_per_minute(units),
            integration: integration.reference(),
            tier,
            units,
        })
    }
}

impl Hubs for Integrations {
    type Hub = HubPort;

    async fn hub(&self, tenant: &TenantId) -> PortResult<Option<HubPort>> {
        match self.cached(tenant) {
            Some(hub) => Ok(hub),
            None => self.look_up(tenant).await,
        }
    }
}
