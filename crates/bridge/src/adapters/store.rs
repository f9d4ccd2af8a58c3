//! The store of device records and integrations that the configuration chooses.

use jetstream::{KvDevices, KvIntegrations};
use lifecycle::{DeviceId, DeviceRef, Record, TenantId, Timestamp};
use mongo::{Mongo, MongoDevices, MongoIntegrations};
use reconciler::ports::{DeviceStore, IntegrationStore, Page, PortResult, Saved, Stored};

use crate::config::{Config, ConfigError, Store, StoreKind, secret};
use crate::session::Session;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    JetStream(#[from] jetstream::Error),
    #[error("MongoDB: {0}")]
    MongoDb(#[from] mongo::Error),
}

impl StoreError {
    /// Whether `setup` has not been run yet.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::JetStream(jetstream::Error::Missing { .. })
                | Self::MongoDb(mongo::Error::Missing { .. })
        )
    }
}

/// A store as configured, not opened yet.
#[derive(Debug, Clone)]
pub(crate) enum RecordStore {
    JetStream,
    MongoDb(mongo::Options),
}

impl RecordStore {
    /// The store that `store.kind` names.
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        Self::of_kind(config.store.kind, &config.store)
    }

    /// The store of this kind, whether it is the one in use or not.
    pub(crate) fn of_kind(kind: StoreKind, store: &Store) -> Result<Self, ConfigError> {
        if kind == StoreKind::JetStream {
            return Ok(Self::JetStream);
        }
        let uri = secret("store.uri", store.uri.as_ref(), store.uri_file.as_ref())?;
        let uri = uri.ok_or_else(|| {
            ConfigError("MongoDB needs `store.uri` or `store.uri_file`".to_owned())
        })?;
        let options = mongo::Options::new(uri.expose(), store.database.as_str());
        let options = options.map_err(|error| ConfigError(format!("`store`: {error}")))?;
        Ok(Self::MongoDb(options))
    }

    /// Opens what it keeps of integrations.
    pub(crate) async fn open_integrations(
        &self,
        session: &Session,
    ) -> Result<IntegrationPort, StoreError> {
        match self {
            Self::JetStream => {
                let kept = KvIntegrations::open(&session.context, &session.names).await?;
                Ok(IntegrationPort::JetStream(Box::new(kept)))
            }
            Self::MongoDb(options) => {
                let client = Mongo::connect(options).await?;
                Ok(IntegrationPort::MongoDb(MongoIntegrations::open(&client)))
            }
        }
    }

    /// Opens what it keeps of devices.
    pub(crate) async fn open(&self, session: &Session) -> Result<StorePort, StoreError> {
        match self {
            Self::JetStream => {
                let devices = KvDevices::open(&session.context, &session.names).await?;
                Ok(StorePort::JetStream(Box::new(devices)))
            }
            Self::MongoDb(options) => {
                let client = Mongo::connect(options).await?;
                match MongoDevices::open(&client).await {
                    Ok(devices) => Ok(StorePort::MongoDb(devices, client)),
                    Err(error) => {
                        client.close().await;
                        Err(error.into())
                    }
                }
            }
        }
    }
}

/// The store of device records.
pub(crate) enum StorePort {
    JetStream(Box<KvDevices>),
    MongoDb(MongoDevices, Mongo),
}

impl StorePort {
    /// The integrations of the same store, by the same connections.
    pub(crate) async fn integrations(
        &self,
        session: &Session,
    ) -> Result<IntegrationPort, StoreError> {
        match self {
            Self::JetStream(_) => RecordStore::JetStream.open_integrations(session).await,
            Self::MongoDb(_, client) => {
                Ok(IntegrationPort::MongoDb(MongoIntegrations::open(client)))
            }
        }
    }

    /// Its server, where that is not NATS.
    pub(crate) fn server(&self) -> Option<Mongo> {
        match self {
            Self::JetStream(_) => None,
            Self::MongoDb(_, client) => Some(client.clone()),
        }
    }

    /// Ends its connections.
    pub(crate) async fn close(self) {
        if let Some(client) = self.server() {
            client.close().await;
        }
    }
}

/// Records read at once.
const PAGE: usize = 500;
/// Devices left behind that are named.
const NAMED: usize = 20;

/// Identities that stay in a hub.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) count: usize,
    /// The first of them.
    pub(crate) first: Vec<DeviceId>,
}

impl Left {
    /// `: a, b and 7 more`.
    pub(crate) fn named(&self) -> String {
        let names: Vec<_> = self.first.iter().map(DeviceId::as_str).collect();
        match (self.count, self.count - names.len()) {
            (0, _) => String::new(),
            (_, 0) => format!(": {}", names.join(", ")),
            (_, more) => format!(": {} and {more} more", names.join(", ")),
        }
    }
}

/// Identities of ours in `hub`, as far as the records know.
pub(crate) async fn identities_left(
    devices: &StorePort,
    tenant: &TenantId,
    hub: &str,
) -> PortResult<Left> {
    let mut left = Left::default();
    let mut after: Option<String> = None;
    loop {
        let page = devices.list(Some(tenant), after.as_deref(), PAGE).await?;
        let ours = page.records.iter().filter(|(_, stored)| {
            stored.record.integration.hub == hub && stored.record.may_have_identity()
        });
        for (device, _) in ours {
            left.count += 1;
            if left.first.len() < NAMED {
                left.first.push(device.device.clone());
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(left);
        }
    }
}

/// Hands a call on to whichever store it is.
macro_rules! delegate {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        match $self {
            StorePort::JetStream(devices) => devices.$call($($argument),*).await,
            StorePort::MongoDb(devices, _) => devices.$call($($argument),*).await,
        }
    };
}

impl DeviceStore for StorePort {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        delegate!(self.load(device))
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        delegate!(self.create(device, record))
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        delegate!(self.compare_and_set(device, record, version))
    }

    async fn delete(&self, device: &DeviceRef, version: u64) -> PortResult<Saved> {
        delegate!(self.delete(device, version))
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Page> {
        delegate!(self.list(tenant, after, limit))
    }

    async fn count(&self, tenant: Option<&TenantId>) -> PortResult<u64> {
        delegate!(self.count(tenant))
    }

    fn own_clock(&self) -> Option<Timestamp> {
        match self {
            Self::JetStream(devices) => devices.own_clock(),
            Self::MongoDb(devices, _) => devices.own_clock(),
        }
    }
}

/// The store of integrations. Cheap to clone; its connections end with the last clone.
#[derive(Clone)]
pub(crate) enum IntegrationPort {
    JetStream(Box<KvIntegrations>),
    MongoDb(MongoIntegrations),
}

impl IntegrationPort {
    /// Opens the store that is configured.
    pub(crate) async fn open(config: &Config, session: &Session) -> anyhow::Result<Self> {
        let store = RecordStore::from_config(config)?;
        Ok(store.open_integrations(session).await?)
    }
}

/// Hands a call on to whichever store it is.
macro_rules! delegate_integration {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        match $self {
            IntegrationPort::JetStream(kept) => kept.$call($($argument),*).await,
            IntegrationPort::MongoDb(kept) => kept.$call($($argument),*).await,
        }
    };
}

impl IntegrationStore for IntegrationPort {
    async fn load(&self, tenant: &TenantId) -> PortResult<Option<(Vec<u8>, u64)>> {
        delegate_integration!(self.load(tenant))
    }

    async fn save(
        &self,
        tenant: &TenantId,
        sealed: &[u8],
        version: Option<u64>,
    ) -> PortResult<Saved> {
        delegate_integration!(self.save(tenant, sealed, version))
    }

    async fn remove(&self, tenant: &TenantId, version: u64) -> PortResult<Saved> {
        delegate_integration!(self.remove(tenant, version))
    }

    async fn list(&self) -> PortResult<Vec<TenantId>> {
        delegate_integration!(self.list())
    }
}
