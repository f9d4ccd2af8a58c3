//! The twin service beside the worker.
//!
//! It shares nothing with the lifecycle work that it could use up: it has a connection to NATS of
//! its own, connections to the hubs and to the store of its own, a pace of its own, and a bounded
//! number of requests. If it cannot start, the lifecycle work goes on and it tries again.

use std::sync::Arc;
use std::time::Duration;

use jetstream::NatsStreams;
use mongo::Mongo;
use tokio_util::sync::CancellationToken;
use twin::{Limits, TwinService};

use super::readiness::{Need, Readiness};
use super::waiting::until_there;
use crate::adapters::{HubFactory, Integrations, RecordStore, Recorded, TwinAccess, TwinPort};
use crate::config::Config;
use crate::keys::SealingKeys;
use crate::session::Session;

/// What the worker waits for here.
pub(super) const TWINS: Need = Need::new("the twin service", "twins");

/// What the service is made of.
pub(super) struct Twins {
    config: Config,
    keys: Arc<SealingKeys>,
    factory: Arc<HubFactory>,
    records: RecordStore,
    access: Arc<TwinAccess>,
}

impl Twins {
    pub(super) fn new(
        config: &Config,
        keys: Arc<SealingKeys>,
        factory: Arc<HubFactory>,
        records: RecordStore,
        access: Arc<TwinAccess>,
    ) -> Self {
        Self {
            config: config.clone(),
            keys,
            factory,
            records,
            access,
        }
    }

    /// Answers twin requests until the worker is told to stop.
    pub(super) async fn run(
        self,
        session: Session,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) {
        let opened = until_there(TWINS, readiness, stop, async || self.open(&session).await);
        let Some((service, server)) = opened.await else {
            return;
        };
        stop.cancelled().await;
        service.stop().await;
        if let Some(server) = server {
            server.close().await;
        }
    }

    async fn open(&self, session: &Session) -> anyhow::Result<(TwinService, Option<Mongo>)> {
        session.connected()?;
        let records = Arc::new(self.records.open(session).await?);
        let store = records.integrations(session).await?;
        let server = records.server();
        let integrations =
            Integrations::new(store, Arc::clone(&self.keys), Arc::clone(&self.factory));
        let throttled = Duration::from_millis(self.config.hub.throttle_wait_ms);
        let port = TwinPort::new(integrations, records, throttled);
        let streams = NatsStreams::open(&session.context, &session.names).await?;
        let access = Recorded::new(Arc::clone(&self.access), streams);
        let (client, prefix) = (session.client.clone(), session.names.prefix());
        let watch = crate::observe::requests().twin_watch();
        let service =
            TwinService::start_with(client, prefix, port, access, Limits::default(), watch).await?;
        Ok((service, server))
    }
}
