//! Integrations, and webhooks, in a key-value bucket each, as opaque bytes.
//!
//! What is in them is sealed before it comes here, and this module would not know a credential
//! from noise. Unlike device records they are watched, so a removal leaves a marker that the
//! watchers see.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    kv::{Entry, Operation, Store, Watch},
};
use bytes::Bytes;
use futures::StreamExt as _;
use lifecycle::{TenantId, decode_token};
use reconciler::ports::{IntegrationStore, PortResult, Saved};

use crate::{Error, Names, Result, keys::Keys, open, publish::publish_after};

/// Keys read at once.
const PAGE: usize = 1_000;
/// Pause before a watch that ended is opened again.
const REOPEN: Duration = Duration::from_secs(2);
const OPERATION: &str = "KV-Operation";

/// A change of one tenant's integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntegrationChange {
    /// It was saved, or was there when the watch began.
    Saved {
        /// The tenant.
        tenant: TenantId,
        /// What was saved.
        sealed: Bytes,
        /// Version for the next save or removal.
        version: u64,
    },
    /// It was removed.
    Removed(TenantId),
}

/// The store of integrations, in a bucket of JetStream.
#[derive(Debug, Clone)]
pub struct KvIntegrations {
    context: Context,
    bucket: String,
    store: Store,
}

impl KvIntegrations {
    /// Opens the bucket that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        Self::of_bucket(context, names.integration_bucket()).await
    }

    /// The webhooks, which are kept in the same way: something sealed for each tenant.
    pub async fn open_webhooks(context: &Context, names: &Names) -> Result<Self> {
        Self::of_bucket(context, names.webhook_bucket()).await
    }

    async fn of_bucket(context: &Context, bucket: String) -> Result<Self> {
        Ok(Self {
            context: context.clone(),
            store: open::bucket(context, &bucket).await?,
            bucket,
        })
    }

    /// Watches all integrations, beginning with those that are there.
    #[must_use]
    pub fn watch(&self) -> IntegrationWatch {
        IntegrationWatch {
            store: self.store.clone(),
            watch: None,
        }
    }

    async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let entry = self.store.entry(key).await;
        entry.map_err(|error| Error::unavailable("failed to read an integration", &error))
    }

    async fn put(&self, key: &str, body: Bytes, last: u64) -> Result<Saved> {
        self.send(key, async_nats::HeaderMap::new(), body, last)
            .await
    }

    async fn send(
        &self,
        key: &str,
        headers: async_nats::HeaderMap,
        body: Bytes,
        last: u64,
    ) -> Result<Saved> {
        let subject = format!("{}{key}", self.store.prefix);
        let sent = publish_after(&self.context, &subject, headers, body, last).await?;
        Ok(sent.map_or(Saved::Lost, Saved::Version))
    }
}

impl IntegrationStore for KvIntegrations {
    async fn load(&self, tenant: &TenantId) -> PortResult<Option<(Vec<u8>, u64)>> {
        let entry = self.entry(&tenant.to_token()).await?.filter(is_value);
        Ok(entry.map(|entry| (entry.value.to_vec(), entry.revision)))
    }

    async fn save(
        &self,
        tenant: &TenantId,
        sealed: &[u8],
        version: Option<u64>,
    ) -> PortResult<Saved> {
        let key = tenant.to_token();
        let sealed = Bytes::copy_from_slice(sealed);
        let saved = self.put(&key, sealed.clone(), version.unwrap_or(0)).await?;
        if saved != Saved::Lost || version.is_some() {
            return Ok(saved);
        }
        match self.entry(&key).await? {
            Some(entry) if !is_value(&entry) => Ok(self.put(&key, sealed, entry.revision).await?),
            _ => Ok(Saved::Lost),
        }
    }

    async fn remove(&self, tenant: &TenantId, version: u64) -> PortResult<Saved> {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(OPERATION, "DEL");
        let key = tenant.to_token();
        Ok(self.send(&key, headers, Bytes::new(), version).await?)
    }

    async fn list(&self) -> PortResult<Vec<TenantId>> {
        let keys = Keys::new(self.context.clone(), &self.bucket);
        let mut tenants = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = keys.page(">", after.as_deref(), PAGE).await?;
            for key in &page.keys {
                // The key of a removed one stays.
                let entry = self.entry(key).await?.filter(is_value);
                tenants.extend(entry.as_ref().and_then(tenant));
            }
            if !page.more {
                return Ok(tenants);
            }
            after = page.keys.last().cloned();
        }
    }
}

/// A watch that never ends: when the server is away it begins anew once it is back, and then
/// tells the present state of every integration again, removed ones included.
pub struct IntegrationWatch {
    store: Store,
    watch: Option<Watch>,
}

impl std::fmt::Debug for IntegrationWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntegrationWatch").finish_non_exhaustive()
    }
}

impl IntegrationWatch {
    /// The next change. May be dropped before it is done; nothing is lost then.
    pub async fn next(&mut self) -> IntegrationChange {
        loop {
            let Some(watch) = &mut self.watch else {
                match self.store.watch_with_history(">").await {
                    Ok(watch) => self.watch = Some(watch),
                    Err(error) => {
                        tracing::debug!(%error, "failed to watch the integrations");
                        tokio::time::sleep(REOPEN).await;
                    }
                }
                continue;
            };
            match watch.next().await {
                Some(Ok(entry)) => {
                    if let Some(change) = change(entry) {
                        return change;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the watch of the integrations begins anew");
                    self.watch = None;
                    tokio::time::sleep(REOPEN).await;
                }
                None => self.watch = None,
            }
        }
    }
}

fn tenant(entry: &Entry) -> Option<TenantId> {
    let tenant = decode_token(&entry.key)
        .ok()
        .and_then(|tenant| tenant.parse().ok());
    if tenant.is_none() {
        tracing::warn!(
            entry.key,
            "a key in the bucket of integrations is not a tenant's"
        );
    }
    tenant
}

fn is_value(entry: &Entry) -> bool {
    entry.operation == Operation::Put
}

fn change(entry: Entry) -> Option<IntegrationChange> {
    let tenant = tenant(&entry)?;
    Some(if is_value(&entry) {
        IntegrationChange::Saved {
            tenant,
            sealed: entry.value,
            version: entry.revision,
        }
    } else {
        IntegrationChange::Removed(tenant)
    })
}
