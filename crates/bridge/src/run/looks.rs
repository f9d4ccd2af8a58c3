//! Looks from time to time whether what the worker needs is still there.

use std::sync::Arc;
use std::time::Duration;

use iothub::Kind;
use lifecycle::TenantId;
use mongo::Mongo;
use reconciler::ports::{Hubs as _, IntegrationStore as _};
use tokio_util::sync::CancellationToken;

use super::ops::Told;
use super::readiness::Readiness;
use super::{HUB, MENDER, NATS, RECORDS};
use crate::adapters::{IntegrationPort, Integrations, MenderPort, RecordStore};
use crate::observe;
use crate::session::Session;

/// How often servers are looked at again.
const EVERY: Duration = Duration::from_secs(5);
/// The same for hubs: a look costs a part of what the smallest one allows, 100 a minute.
const HUBS_EVERY: Duration = Duration::from_secs(30);
/// What a look at hubs may take.
const HUBS_WITHIN: Duration = Duration::from_secs(60);
/// A device that no hub has: asking for it shows that the hub answers.
const PROBE: &str = "mender-iothub-probe";

/// What is looked at.
pub(super) struct Looks {
    pub(super) session: Session,
    pub(super) records: RecordStore,
    /// The server of the records, where that is not NATS.
    pub(super) mongo: Option<Mongo>,
    pub(super) mender: MenderPort,
    pub(super) hubs: KnownHubs,
    pub(super) told: Arc<Told>,
}

/// The hubs of all tenants.
#[derive(Clone)]
pub(super) struct KnownHubs {
    pub(super) tenants: IntegrationPort,
    pub(super) integrations: Integrations,
}

impl Looks {
    /// Looks until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let servers = async {
            loop {
                tokio::time::sleep(EVERY).await;
                self.look_at_servers().await;
            }
        };
        let hubs = async {
            loop {
                tokio::time::sleep(HUBS_EVERY).await;
                self.look_at_hubs().await;
            }
        };
        tokio::select! {
            () = async { tokio::join!(servers, hubs).0 } => {}
            () = stop.cancelled() => {}
        }
    }

    fn readiness(&self) -> &Readiness {
        self.told.readiness()
    }

    async fn look_at_servers(&self) {
        let connected = self.session.connected();
        self.readiness().report(NATS, connected.map_err(in_words));
        let store = match &self.mongo {
            Some(mongo) => mongo.check().await.map_err(in_words),
            None => self
                .records
                .open(&self.session)
                .await
                .map_err(in_words)
                .map(drop),
        };
        self.readiness().report(RECORDS, store);
        let healthy = self.mender.is_healthy().await;
        self.readiness().report(MENDER, healthy.map_err(in_words));
    }

    /// Asks only where nobody has been answered anyway. A hub that refuses a credential has answered, and is
    /// to be left alone.
    async fn look_at_hubs(&self) {
        let worker = self.told.worker();
        let refused = worker.is_some_and(|worker| !worker.suspensions().is_empty());
        if refused || observe::requests().a_hub_answered_within(HUBS_EVERY) {
            self.readiness().report(HUB, Ok(()));
            return;
        }
        // Without the store nothing is known of hubs, and the store is a line of its own.
        let Ok(tenants) = self.hubs.tenants.list().await else {
            return;
        };
        let answered = tokio::time::timeout(HUBS_WITHIN, self.hubs.any_of(&tenants)).await;
        let within = HUBS_WITHIN.as_secs();
        let answered = answered.unwrap_or_else(|_| Err(format!("none answers within {within} s")));
        self.readiness().report(HUB, answered);
    }
}

impl KnownHubs {
    /// Whether at least one tenant's hub answers, be it with a refusal: one tenant's trouble must not
    /// keep the others waiting. Without any integration there is nothing to wait for.
    pub(super) async fn any_answers(&self) -> Result<(), String> {
        let tenants = self.tenants.list().await.map_err(in_words)?;
        self.any_of(&tenants).await
    }

    async fn any_of(&self, tenants: &[TenantId]) -> Result<(), String> {
        let mut trouble = Ok(());
        for tenant in tenants {
            match self.answers(tenant).await {
                Ok(None) => {}
                Ok(Some(())) => return Ok(()),
                Err(why) => trouble = Err(why),
            }
        }
        trouble
    }

    /// `None` if the tenant has no hub.
    async fn answers(&self, tenant: &TenantId) -> Result<Option<()>, String> {
        let Some(hub) = self.integrations.hub(tenant).await.map_err(in_words)? else {
            return Ok(None);
        };
        let probe = PROBE
            .parse()
            .map_err(|error: iothub::InvalidDeviceId| in_words(error))?;
        match hub.client.device(&probe).await {
            Err(error) if error.kind() == Kind::Transient && error.status().is_none() => {
                Err(format!("{}: {error}", hub.integration.hub))
            }
            Ok(_) | Err(_) => Ok(Some(())),
        }
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
