//! The sweep, wired: for the worker's timer and for the commands that use its parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jetstream::{KvSweeps, Lease, NatsStreams, TURN, Turn};
use lifecycle::{TenantId, Timestamp};
use reconciler::ports::{Hubs as _, IntegrationStore as _};
use reconciler::sweep::{Report, SweepSettings, Sweeper};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapters::{
    HubFactory, HubPort, IntegrationPort, Integrations, MenderPort, RecordStore, StorePort,
};
use crate::config::Config;
use crate::integration::Integration;
use crate::keys::SealingKeys;
use crate::session::Session;

/// How often a turn is renewed while a pass runs.
const RENEW_EVERY: Duration = TURN.checked_div(3).expect("3 is not 0");

/// Everything that a pass needs, opened.
pub(crate) struct Sweeping {
    pub(crate) sweeper: Sweeper<StorePort, MenderPort, NatsStreams, KvSweeps>,
    pub(crate) streams: NatsStreams,
    pub(crate) mender: MenderPort,
    hubs: Integrations,
    integrations: IntegrationPort,
    kept: KvSweeps,
    settings: SweepSettings,
    mongo: Option<mongo::Mongo>,
}

/// What to sweep, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct How {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) include_unrecorded: bool,
    /// Not if the last pass of any replica began less than this ago.
    pub(crate) every: Duration,
}

/// What became of a pass.
pub(crate) enum Pass {
    Done(BTreeMap<TenantId, Report>),
    /// Another replica is sweeping.
    Taken,
    NotDue(Duration),
    /// Told to stop, or the turn was lost.
    Stopped,
}

/// Hears of each page of a tenant.
pub(crate) type Progress<'a> = &'a (dyn Fn(&TenantId, &Report) + Sync);

impl Sweeping {
    pub(crate) async fn open(config: &Config, session: &Session) -> anyhow::Result<Box<Self>> {
        let (context, names) = (&session.context, &session.names);
        let keys = Arc::new(SealingKeys::from_config(&config.secrets).await?);
        let factory = Arc::new(HubFactory::from_config(config)?);
        let mender = MenderPort::from_config(&config.mender)?;
        let streams = NatsStreams::open(context, names).await?;
        let kept = KvSweeps::open(context, names).await?;
        let notes = KvSweeps::open(context, names).await?;
        let devices = RecordStore::from_config(config)?.open(session).await?;
        let integrations = devices.integrations(session).await?;
        let mongo = devices.server();
        let fresh = || Uuid::new_v4().simple().to_string();
        let sweeper = Sweeper::new(devices, mender.clone(), streams.clone(), notes, fresh);
        sweeper.observe(kept.server_time().await?);
        Ok(Box::new(Self {
            sweeper,
            streams,
            mender,
            hubs: Integrations::new(integrations.clone(), keys, factory),
            integrations,
            kept,
            settings: settings(config),
            mongo,
        }))
    }

    /// Ends its connections.
    pub(crate) async fn close(self: Box<Self>) {
        if let Some(mongo) = self.mongo {
            mongo.close().await;
        }
    }

    /// The tenant's hub, if it has one.
    pub(crate) async fn hub(&self, tenant: &TenantId) -> anyhow::Result<Option<HubPort>> {
        Ok(self.hubs.hub(tenant).await?)
    }

    /// One pass over all tenants that have an integration, or over one.
    pub(crate) async fn pass(
        &self,
        how: &How,
        stop: &CancellationToken,
        progress: Progress<'_>,
    ) -> anyhow::Result<Pass> {
        // Looking needs no turn.
        if how.dry_run {
            self.sweeper.observe(self.kept.server_time().await?);
            return Ok(Pass::Done(self.tenants(how, progress).await?));
        }
        let holder = Uuid::new_v4().simple().to_string();
        let mut lease = match self.kept.take_turn(&holder, how.every).await? {
            Turn::Mine(lease) => lease,
            Turn::Taken { .. } => return Ok(Pass::Taken),
            Turn::NotDue(wait) => return Ok(Pass::NotDue(wait)),
        };
        self.sweeper.observe(lease.began);
        let ended = tokio::select! {
            ended = self.tenants(how, progress) => Some(ended),
            () = self.keep(&mut lease) => None,
            () = stop.cancelled() => None,
        };
        if let Err(error) = self.kept.finish(lease).await {
            tracing::warn!(%error, "the turn to sweep ends by itself");
        }
        ended.map_or(Ok(Pass::Stopped), |reports| Ok(Pass::Done(reports?)))
    }

    /// Renews the turn; ends when it is lost.
    async fn keep(&self, lease: &mut Lease) {
        let mut unheard = Duration::ZERO;
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.kept.renew(lease).await {
                Ok(true) => unheard = Duration::ZERO,
                Ok(false) => return,
                Err(error) => {
                    unheard += RENEW_EVERY;
                    tracing::warn!(%error, "failed to renew the turn to sweep");
                    if unheard >= TURN {
                        return;
                    }
                }
            }
        }
    }

    async fn tenants(
        &self,
        how: &How,
        progress: Progress<'_>,
    ) -> anyhow::Result<BTreeMap<TenantId, Report>> {
        let tenants = match &how.tenant {
            Some(tenant) => vec![tenant.clone()],
            None => self.integrations.list().await?,
        };
        let mut reports = BTreeMap::new();
        for tenant in tenants {
            // One tenant's trouble is not the others'.
            match self.tenant(&tenant, how, progress).await {
                Ok(Some(report)) => drop(reports.insert(tenant, report)),
                Ok(None) => {}
                Err(error) if how.tenant.is_some() => return Err(error),
                Err(error) => {
                    tracing::warn!(%tenant, error = format!("{error:#}"), "tenant not swept");
                }
            }
        }
        Ok(reports)
    }

    async fn tenant(
        &self,
        tenant: &TenantId,
        how: &How,
        progress: Progress<'_>,
    ) -> anyhow::Result<Option<Report>> {
        let Some((bytes, _)) = self.integrations.load(tenant).await? else {
            anyhow::ensure!(
                how.tenant.is_none(),
                "tenant {:?} has no integration",
                tenant.as_str()
            );
            return Ok(None);
        };
        let since = Integration::from_bytes(tenant, &bytes)?.clear.since_us;
        let Some(hub) = self.hub(tenant).await? else {
            return Ok(None);
        };
        let mut settings = SweepSettings {
            dry_run: how.dry_run,
            force: how.force,
            integrated_since: Some(Timestamp::from_micros(since)),
            ..self.settings.clone()
        };
        settings.adopt_unrecorded |= how.include_unrecorded;
        let told = |report: &Report| progress(tenant, report);
        let report = self.sweeper.sweep(tenant, &hub, &settings, &told).await?;
        if !how.dry_run {
            let result = serde_json::to_value(&report)?;
            self.kept.save_result(tenant, &result).await?;
        }
        Ok(Some(report))
    }
}

fn settings(config: &Config) -> SweepSettings {
    let sweep = &config.sweep;
    SweepSettings {
        grace: Duration::from_secs(sweep.grace_s),
        lease: config.hub.lease(),
        max_change_permille: sweep.max_change_permille(),
        adopt_unrecorded: sweep.adopt_unrecorded,
        ..SweepSettings::default()
    }
}
