//! Tenants' integrations, as Mender's web UI sets them.

use std::time::Duration;

use http_api::masked;
use http_api::ports::{self, HubKey, Removal, Unavailable};
use iothub::Secret;
use lifecycle::TenantId;
use reconciler::ports::{IntegrationStore as _, Saved};
use uuid::Uuid;

use super::{IotManagerPort, Opened, away, logged};
use crate::adapters::hubs::until_workers_know;
use crate::adapters::store::identities_left;
use crate::commands::permissions;
use crate::integration::{Integration, Login, NewIntegration, id_of};

/// How often a change is tried against others' changes.
const TRIES: usize = 5;
/// How long a name is looked up.
const LOOKUP: Duration = Duration::from_secs(3);

impl ports::Integrations for IotManagerPort {
    fn id(&self, tenant: &TenantId) -> Uuid {
        id_of(tenant)
    }

    fn trusts(&self, host: &str) -> bool {
        self.0.factory.trusts(host)
    }

    async fn resolves(&self, host: &str) -> bool {
        if !self.0.settings.lookup_hosts {
            return true;
        }
        let address = if host
            .rsplit(']')
            .next()
            .is_some_and(|rest| rest.contains(':'))
        {
            host.to_owned()
        } else {
            format!("{host}:443")
        };
        match tokio::time::timeout(LOOKUP, tokio::net::lookup_host(address)).await {
            Ok(Err(error)) => !is_unknown(&error.to_string()),
            Ok(Ok(_)) | Err(_) => true,
        }
    }

    async fn integration(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<ports::Integration>, Unavailable> {
        let found = self.load(self.opened()?, tenant).await?;
        let Some((integration, _)) = found else {
            return Ok(None);
        };
        let opened = self.0.keys.open(&integration).await;
        let secret = opened.map_err(|error| logged(&error, "the credential cannot be opened"))?;
        let clear = integration.clear;
        let connection_string = match &clear.login {
            Login::SharedAccess { policy } => masked(&clear.hub, policy, secret.expose()),
            // No connection string, and none that could be saved.
            other => format!("HostName={};Login={other}", clear.hub),
        };
        Ok(Some(ports::Integration {
            id: id_of(tenant),
            description: clear.description,
            connection_string,
        }))
    }

    async fn create(
        &self,
        tenant: &TenantId,
        description: String,
        key: HubKey,
    ) -> Result<bool, Unavailable> {
        let opened = self.opened()?;
        if self.load(opened, tenant).await?.is_some() {
            return Ok(false);
        }
        let sealed = self.seal(tenant, description, &key, None)?;
        let saved = save(opened, &sealed, None).await?;
        if saved {
            self.is_set(sealed, key).await;
        }
        Ok(saved)
    }

    async fn set_key(&self, tenant: &TenantId, key: HubKey) -> Result<bool, Unavailable> {
        let opened = self.opened()?;
        for _ in 0..TRIES {
            let Some((before, version)) = self.load(opened, tenant).await? else {
                return Ok(false);
            };
            let description = before.clear.description.clone();
            let sealed = self.seal(tenant, description, &key, Some(&before))?;
            if save(opened, &sealed, Some(version)).await? {
                self.is_set(sealed, key).await;
                return Ok(true);
            }
        }
        Err(away("the integration is being changed by others"))
    }

    async fn remove(&self, tenant: &TenantId) -> Result<Removal, Unavailable> {
        let opened = self.opened()?;
        for _ in 0..TRIES {
            let Some((before, version)) = self.load(opened, tenant).await? else {
                return Ok(Removal::Missing);
            };
            let left = identities_left(&opened.records, tenant, &before.clear.hub).await;
            let left = left.map_err(|error| logged(&error, "the records cannot be read"))?;
            if left.count > 0 {
                return Ok(Removal::InUse);
            }
            if removed(opened, tenant, version).await? {
                until_workers_know().await;
                return Ok(Removal::Removed);
            }
        }
        Err(away("the integration is being changed by others"))
    }
}

impl IotManagerPort {
    async fn load(
        &self,
        opened: &Opened,
        tenant: &TenantId,
    ) -> Result<Option<(Integration, u64)>, Unavailable> {
        let stored = opened.integrations.load(tenant).await;
        let stored = stored.map_err(|error| logged(&error, "the integration cannot be read"))?;
        let Some((bytes, version)) = stored else {
            return Ok(None);
        };
        let integration = Integration::from_bytes(tenant, &bytes);
        let integration =
            integration.map_err(|error| logged(&error, "the integration cannot be understood"))?;
        Ok(Some((integration, version)))
    }

    fn seal(
        &self,
        tenant: &TenantId,
        description: String,
        key: &HubKey,
        before: Option<&Integration>,
    ) -> Result<Integration, Unavailable> {
        let same_hub = before.filter(|before| before.clear.hub == key.host);
        let settings = &self.0.settings;
        let new = NewIntegration {
            tenant,
            hub: key.host.clone(),
            login: Login::SharedAccess {
                policy: key.policy.clone(),
            },
            tier: same_hub.map_or(settings.tier, |before| before.clear.tier),
            units: same_hub.map_or(settings.units, |before| before.clear.units),
            description,
            credential: &Secret::from(key.key.as_str()),
        };
        let sealed = Integration::seal(new, before, &self.0.keys.ring());
        sealed.map_err(|error| logged(&error, "the credential cannot be sealed"))
    }

    /// Waits until no worker uses what was there before, and tries the credential meanwhile and
    /// after: the web UI does not wait for a hub that may not be there.
    async fn is_set(&self, integration: Integration, key: HubKey) {
        let shared = self.clone();
        tokio::spawn(async move { shared.try_out(&integration, &key).await });
        until_workers_know().await;
    }

    async fn try_out(&self, integration: &Integration, key: &HubKey) {
        let (tenant, login) = (&integration.tenant, &integration.clear.login);
        let secret = Secret::from(key.key.as_str());
        let tried = match self.0.factory.connect(&key.host, login, &secret) {
            Ok(hub) => permissions::check(&hub, login).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => {
                tracing::info!(%tenant, hub = key.host, "the new credential was tried: it is good");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(%tenant, hub = key.host, error, "the new credential was tried: {error}");
            }
        }
    }

    pub(super) async fn drop_integration(
        &self,
        opened: &Opened,
        tenant: &TenantId,
    ) -> Result<(), Unavailable> {
        let load = async || {
            let stored = opened.integrations.load(tenant).await;
            stored.map_err(|error| logged(&error, "the integration cannot be read"))
        };
        for _ in 0..TRIES {
            match load().await? {
                None => return Ok(()),
                Some((_, version)) if removed(opened, tenant, version).await? => {
                    until_workers_know().await;
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        Err(away("the integration is being changed by others"))
    }
}

async fn save(
    opened: &Opened,
    integration: &Integration,
    version: Option<u64>,
) -> Result<bool, Unavailable> {
    let (tenant, bytes) = (&integration.tenant, integration.to_bytes());
    let saved = opened.integrations.save(tenant, &bytes, version).await;
    let saved = saved.map_err(|error| logged(&error, "the integration cannot be saved"))?;
    Ok(saved != Saved::Lost)
}

async fn removed(opened: &Opened, tenant: &TenantId, version: u64) -> Result<bool, Unavailable> {
    let removed = opened.integrations.remove(tenant, version).await;
    let removed = removed.map_err(|error| logged(&error, "the integration cannot be removed"))?;
    Ok(removed != Saved::Lost)
}

/// Whether the resolver says that there is no such name, as those of glibc, musl and macOS do, and
/// not just that it cannot tell.
fn is_unknown(error: &str) -> bool {
    [
        "Name or service not known",
        "No address associated",
        "Name does not resolve",
        "nodename nor servname",
    ]
    .iter()
    .any(|text| error.contains(text))
}
