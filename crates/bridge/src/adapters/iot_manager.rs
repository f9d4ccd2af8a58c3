//! iot-manager's HTTP APIs over our streams, stores and hubs.
//!
//! The sockets are there before the servers are. Until [`IotManagerPort::open`] has found them, and
//! whenever they are away, whoever asks is told so at once.

mod integrations;
mod twins;
mod users;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_api::ports::{EventLog, Intake, Logged, Unavailable};
use jetstream::{NatsStreams, Outcomes};
use lifecycle::{Event, TenantId};
use mongo::Mongo;
use reconciler::ports::{DeviceStore as _, PortError};
use reconciler::sweep::Notices as _;

use super::access::TwinAccess;
use super::hubs::{HubFactory, Integrations};
use super::store::{IntegrationPort, RecordStore, StorePort};
use super::twins::TwinPort;
use crate::config::{Config, ConfigError, IotManager, Trust};
use crate::keys::SealingKeys;
use crate::session::Session;

/// Records read at once.
const PAGE: usize = 500;

/// The world as the HTTP APIs see it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IotManagerPort(Arc<Shared>);

struct Shared {
    settings: IotManager,
    /// Pause after a 429 of a hub that names no time.
    throttled: Duration,
    keys: Arc<SealingKeys>,
    factory: Arc<HubFactory>,
    access: Arc<TwinAccess>,
    opened: OnceLock<Opened>,
}

/// What needs the servers.
struct Opened {
    session: Session,
    streams: NatsStreams,
    outcomes: Outcomes,
    integrations: IntegrationPort,
    records: Arc<StorePort>,
    twins: TwinPort,
}

impl IotManagerPort {
    pub(crate) fn new(
        config: &Config,
        keys: Arc<SealingKeys>,
        factory: Arc<HubFactory>,
        access: Arc<TwinAccess>,
    ) -> Result<Self, ConfigError> {
        let settings = config.iot_manager.clone();
        let verifies = settings.management_trust == Trust::Verify;
        if verifies && matches!(*access, TwinAccess::Subject(_)) {
            return Err(ConfigError(
                "`iot_manager.management_trust` is \"verify\", which needs `twin.authorization` \
                 \"jwt\" or \"mender\": it says how"
                    .to_owned(),
            ));
        }
        Ok(Self(Arc::new(Shared {
            settings,
            throttled: Duration::from_millis(config.hub.throttle_wait_ms),
            keys,
            factory,
            access,
            opened: OnceLock::new(),
        })))
    }

    /// Opens what is needed; returns the records' server where that is not NATS.
    pub(crate) async fn open(
        &self,
        session: &Session,
        store: &RecordStore,
    ) -> anyhow::Result<Option<Mongo>> {
        session.connected()?;
        let records = Arc::new(store.open(session).await?);
        let server = records.server();
        let integrations = records.integrations(session).await?;
        let (keys, factory) = (Arc::clone(&self.0.keys), Arc::clone(&self.0.factory));
        let hubs = Integrations::new(integrations.clone(), keys, factory);
        let opened = Opened {
            session: session.clone(),
            streams: NatsStreams::open(&session.context, &session.names).await?,
            outcomes: Outcomes::open(&session.context, &session.names).await?,
            integrations,
            twins: TwinPort::new(hubs, Arc::clone(&records), self.0.throttled),
            records,
        };
        // Nobody else opens it.
        let _ = self.0.opened.set(opened);
        Ok(server)
    }

    fn opened(&self) -> Result<&Opened, Unavailable> {
        let opened = self.0.opened.get();
        let opened = opened.ok_or_else(|| away("the service is starting"))?;
        let connected = opened.session.connected();
        connected.map_err(|_| away("the message broker is away"))?;
        Ok(opened)
    }
}

impl Intake for IotManagerPort {
    async fn store(&self, event: Event) -> Result<(), Unavailable> {
        let stored = self.opened()?.streams.publish(&event).await;
        stored.map_err(|error| logged(&error, "the event cannot be stored"))
    }

    async fn health(&self) -> Result<(), Unavailable> {
        let checked = self.opened()?.streams.check_events().await;
        checked.map_err(|error| logged(&error, "the message broker does not answer"))
    }

    async fn forget(&self, tenant: &TenantId) -> Result<(), Unavailable> {
        let opened = self.opened()?;
        self.drop_integration(opened, tenant).await?;
        drop_records(opened, tenant)
            .await
            .map_err(|error| logged(&error, "the records of devices cannot be removed"))?;
        let forgotten = opened.streams.forget_outcomes(tenant).await;
        forgotten.map_err(|error| logged(&error, "the events cannot be forgotten"))?;
        tracing::info!(%tenant, "a tenant was deleted; its identities stay in the hub");
        Ok(())
    }
}

impl EventLog for IotManagerPort {
    async fn newest(&self, tenant: &TenantId, most: usize) -> Result<Vec<Logged>, Unavailable> {
        let newest = self.opened()?.outcomes.newest(tenant, most).await;
        let newest = newest.map_err(|error| logged(&error, "the events cannot be read"))?;
        let newest = newest.into_iter().map(|reported| Logged {
            time: reported.at,
            outcome: reported.outcome,
        });
        Ok(newest.collect())
    }
}

async fn drop_records(opened: &Opened, tenant: &TenantId) -> Result<(), PortError> {
    loop {
        let page = opened.records.list(Some(tenant), None, PAGE).await?;
        for (device, stored) in &page.records {
            // A record that was changed meanwhile is on the next page.
            opened.records.delete(device, stored.version).await?;
        }
        if page.records.is_empty() {
            return Ok(());
        }
    }
}

fn away(text: &str) -> Unavailable {
    Unavailable(text.to_owned())
}

/// Why is for the log, that it is for the caller.
fn logged(error: &dyn std::fmt::Display, text: &str) -> Unavailable {
    tracing::warn!(%error, "{text}: {error}");
    away(text)
}
