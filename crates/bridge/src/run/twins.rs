//! The twin service beside the worker.
//!
//! It shares nothing with the lifecycle work that it could use up: it has a connection to NATS of
//! its own, connections to the hubs and to the store of its own, a pace of its own, and a bounded
//! number of requests. If it cannot start, the lifecycle work goes on and it tries again.

use std::sync::Arc;
use std::time::Duration;

use mongo::Mongo;
use tokio_util::sync::CancellationToken;
use twin::TwinService;

use super::readiness::Readiness;
use super::waiting::until_there;
use crate::adapters::{HubFactory, Integrations, RecordStore, TwinPort};
use crate::config::Config;
use crate::keys::SealingKeys;
use crate::session::Session;

/// What the worker waits for here.
pub(super) const TWINS: &str = "the twin service";

/// What the service is made of.
pub(super) struct Twins {
    config: Config,
    keys: Arc<SealingKeys>,
    factory: Arc<HubFactory>,
    records: RecordStore,
}

impl Twins {
    pub(super) fn new(
        config: &Config,
        keys: Arc<SealingKeys>,
        factory: Arc<HubFactory>,
        records: RecordStore,
    ) -> Self {
        Self {
            config: config.clone(),
            keys,
            factory,
            records,
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
        let (client, prefix) = (session.client.clone(), session.names.prefix());
        Ok((TwinService::start(client, prefix, port).await?, server))
    }
}
