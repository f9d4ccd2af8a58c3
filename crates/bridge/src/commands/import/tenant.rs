//! One tenant: its hub, the rows of its devices, and the identities without one.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use iot_manager_db::{Database, HubKey, Row};
use iothub::Secret;
use lifecycle::{DeviceId, DeviceRef, HubView, TenantId};
use reconciler::ports::{DeviceStore as _, IntegrationStore as _, PortError, Saved, Stored};
use reconciler::sweep::{Registry as _, Seen};

use super::device::{self, Fate};
use super::patience::Pace;
use super::report::{OfTenant, Why, stored as words_of};
use super::tags;
use crate::adapters::{HubFactory, HubPort, IntegrationPort, StorePort, until_workers_know};
use crate::config::Config;
use crate::integration::{Integration, Login, NewIntegration};
use crate::keys::SealingKeys;
use crate::print;
use crate::sweeping::Sweeping;

/// Rows worked on at once.
const PAGE: usize = 100;
/// Devices looked at, in the store, in Mender and in the hub, at the same time.
const AT_ONCE: usize = 8;
/// Begins the names of looks, so that they are known in the log of outcomes.
pub(super) const LOOK: &str = "import-";

/// Everything that an import needs.
pub(super) struct Importer<'a> {
    pub(super) config: &'a Config,
    pub(super) database: &'a Database,
    pub(super) keys: &'a SealingKeys,
    pub(super) factory: &'a HubFactory,
    pub(super) devices: &'a StorePort,
    pub(super) integrations: &'a IntegrationPort,
    pub(super) sweeping: &'a Sweeping,
    pub(super) dry_run: bool,
}

/// One tenant's hub while its devices are imported.
pub(super) struct Place<'a> {
    pub(super) importer: &'a Importer<'a>,
    pub(super) tenant: &'a TenantId,
    pub(super) key: &'a HubKey,
    pub(super) hub: HubPort,
    pub(super) pace: Pace,
    /// The integration to save; none where there is one already.
    new: Option<Integration>,
}

impl Importer<'_> {
    /// Imports a tenant; what goes wrong is in the report.
    pub(super) async fn tenant(&self, tenant: &TenantId, key: &HubKey) -> OfTenant {
        let mut report = OfTenant {
            hub: key.host.clone(),
            credential: words_of(key.protection),
            integration: "not imported",
            ..OfTenant::default()
        };
        if let Err(error) = self.try_tenant(tenant, key, &mut report).await {
            report.troubles.push(format!("{error:#}"));
        }
        report
    }

    /// The integration comes after the records: without it nothing is done about any device. What
    /// is to be put right comes last, since that needs it.
    async fn try_tenant(
        &self,
        tenant: &TenantId,
        key: &HubKey,
        report: &mut OfTenant,
    ) -> anyhow::Result<()> {
        let place = self.place(tenant, key).await?;
        let to_put_right = place.rows(report).await?;
        place.without_row(report).await?;
        report.integration = place.save().await?;
        if self.dry_run {
            return Ok(());
        }
        for device in to_put_right {
            place.attend(device).await?;
        }
        Ok(())
    }

    async fn place<'a>(
        &'a self,
        tenant: &'a TenantId,
        key: &'a HubKey,
    ) -> anyhow::Result<Place<'a>> {
        let login = Login::SharedAccess {
            policy: key.policy.clone(),
        };
        let secret = Secret::from(key.key.as_str());
        let client = self.factory.connect(&key.host, &login, &secret);
        let client = client.context("hosts beyond Azure's own go into `hub.allowed_hosts`")?;
        let host = client.host().as_str().to_owned();
        let there = self.there(tenant, &host).await?;
        let is_new = there.is_none();
        let (client, integration) = if let Some(there) = there {
            (self.factory.open(&there, self.keys).await?, there)
        } else {
            let settings = &self.config.iot_manager;
            let new = NewIntegration {
                tenant,
                hub: host,
                login,
                tier: settings.tier,
                units: settings.units,
                description: key.description.clone(),
                credential: &secret,
            };
            (client, Integration::seal(new, None, &self.keys.ring())?)
        };
        let clear = &integration.clear;
        let hub = HubPort {
            client,
            integration: integration.reference(),
            allowed_per_minute: clear.tier.allowed_per_minute(clear.units),
            tier: clear.tier,
            units: clear.units,
        };
        let throttled = Duration::from_millis(self.config.hub.throttle_wait_ms);
        Ok(Place {
            importer: self,
            tenant,
            key,
            pace: Pace::new(hub.allowed_per_minute, throttled),
            hub,
            new: is_new.then_some(integration),
        })
    }

    /// The tenant's integration here, which must be of the same hub.
    async fn there(&self, tenant: &TenantId, host: &str) -> anyhow::Result<Option<Integration>> {
        let Some((bytes, _)) = self.integrations.load(tenant).await? else {
            return Ok(None);
        };
        let there = Integration::from_bytes(tenant, &bytes)?;
        ensure!(
            there.clear.hub == host,
            "the tenant has an integration with another hub here already, {}: remove that first, if iot-manager's is \
             the right one",
            there.clear.hub
        );
        Ok(Some(there))
    }
}

impl Place<'_> {
    /// Imports all rows; the devices that are to be put right.
    async fn rows(&self, report: &mut OfTenant) -> anyhow::Result<Vec<DeviceRef>> {
        let (mut rows, count) = self.importer.database.rows_of(self.tenant).await?;
        let bar = print::progress("importing devices", count);
        let mut to_put_right = Vec::new();
        loop {
            let page = rows.next(PAGE).await?;
            if page.is_empty() {
                bar.finish_and_clear();
                return Ok(to_put_right);
            }
            let read = page.len() as u64;
            self.page(page, report, &mut to_put_right).await?;
            bar.inc(read);
        }
    }

    async fn page(
        &self,
        rows: Vec<Row>,
        report: &mut OfTenant,
        to_put_right: &mut Vec<DeviceRef>,
    ) -> anyhow::Result<()> {
        let devices = self.of_this_integration(rows, report);
        let loaded = stream::iter(devices.into_iter().map(|device| self.load(device)));
        let loaded: Vec<_> = loaded.buffered(AT_ONCE).try_collect().await?;
        let mut open = Vec::new();
        for (device, stored) in loaded {
            match stored {
                Ok(stored) => match self.known(stored.as_ref()) {
                    Known::New => open.push((device, stored)),
                    Known::Ours {
                        to_put_right: right,
                    } => {
                        report.devices.there += 1;
                        to_put_right.extend(right.then(|| self.about(&device)));
                    }
                    Known::InWork => report.devices.left_out.add(Why::InWork, device.as_str()),
                },
                Err(_) => report.devices.left_out.add(Why::InWork, device.as_str()),
            }
        }
        let ids: Vec<DeviceId> = open.iter().map(|(device, _)| device.clone()).collect();
        let tags = tags::of_devices(&self.hub, &self.pace, &ids).await;
        let tags = tags.with_context(|| format!("hub {}", self.hub.integration.hub))?;
        let fates = open.into_iter().map(|(device, stored)| {
            let tagged = tags.get(device.as_str()).copied();
            async move { (device::import(self, &device, stored, tagged).await, device) }
        });
        let mut fates = stream::iter(fates).buffer_unordered(AT_ONCE);
        while let Some((fate, device)) = fates.next().await {
            let counts = &mut report.devices;
            match fate? {
                Fate::Imported { in_step } => {
                    counts.imported += 1;
                    if !in_step {
                        counts.to_put_right += 1;
                        to_put_right.push(self.about(&device));
                    }
                }
                Fate::There => counts.there += 1,
                Fate::LeftOut(why) => counts.left_out.add(why, device.as_str()),
            }
        }
        Ok(())
    }

    /// The rows that are understood and are of this integration; the others are left out.
    fn of_this_integration(&self, rows: Vec<Row>, report: &mut OfTenant) -> Vec<DeviceId> {
        let mut devices = Vec::new();
        let left_out = &mut report.devices.left_out;
        for row in rows {
            match row.device {
                Ok((device, integration)) if integration == self.key.id => devices.push(device),
                Ok(_) => left_out.add(Why::OtherIntegration, row.name),
                Err(reason) => left_out.add(Why::from(&reason), row.name),
            }
        }
        devices
    }

    async fn load(
        &self,
        device: DeviceId,
    ) -> anyhow::Result<(DeviceId, Result<Option<Stored>, String>)> {
        match self.importer.devices.load(&self.about(&device)).await {
            Ok(stored) => Ok((device, Ok(stored))),
            Err(PortError::NotUnderstood(why)) => Ok((device, Err(why))),
            Err(error) => Err(error.into()),
        }
    }

    /// What a record that is there already means for an import.
    pub(super) fn known(&self, stored: Option<&Stored>) -> Known {
        let Some(stored) = stored else {
            return Known::New;
        };
        let record = &stored.record;
        let (of, ours) = (&record.integration, &self.hub.integration);
        let is_ours = (&of.id, &of.hub) == (&ours.id, &ours.hub);
        match &record.hub {
            HubView::Foreign if is_ours && record.is_settled() => Known::New,
            HubView::Ours { .. } | HubView::Absent if is_ours => {
                let working = record.working.as_ref();
                let looks = |id: &str| id.starts_with(LOOK);
                let to_put_right = working.is_some_and(|working| looks(&working.event.id.0));
                Known::Ours { to_put_right }
            }
            _ => Known::InWork,
        }
    }

    /// Lists the identities that bear iot-manager's tag, have no row, and are not ours.
    async fn without_row(&self, report: &mut OfTenant) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = tags::tagged(&self.hub, &self.pace, after.as_ref()).await;
            let (devices, next) =
                page.with_context(|| format!("hub {}", self.hub.integration.hub))?;
            let database = self.importer.database;
            let with_row = database.with_row(self.tenant, &devices).await?;
            for device in devices {
                if with_row.contains(device.as_str()) {
                    continue;
                }
                let (device, stored) = self.load(device).await?;
                let stored = stored.ok().flatten();
                if matches!(self.known(stored.as_ref()), Known::New) {
                    report.adoptable.add_id(&device);
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Saves the integration, unless somebody has set the same hub meanwhile.
    async fn save(&self) -> anyhow::Result<&'static str> {
        let Some(new) = &self.new else {
            return Ok("there already");
        };
        if self.importer.dry_run {
            return Ok("would be imported");
        }
        let integrations = self.importer.integrations;
        if integrations
            .save(self.tenant, &new.to_bytes(), None)
            .await?
            != Saved::Lost
        {
            until_workers_know().await;
            return Ok("imported");
        }
        if self
            .importer
            .there(self.tenant, &new.clear.hub)
            .await?
            .is_some()
        {
            return Ok("there already");
        }
        bail!("somebody else is changing the integration just now")
    }

    /// Has the worker look at a device that is not as Mender wants it.
    async fn attend(&self, about: DeviceRef) -> anyhow::Result<()> {
        let sweeping = self.importer.sweeping;
        match sweeping.mender.look(&about).await? {
            Seen::Known(known) => Ok(sweeping.sweeper.attend(&about, &known, LOOK).await?),
            Seen::Gone => Ok(()),
        }
    }

    pub(super) fn about(&self, device: &DeviceId) -> DeviceRef {
        DeviceRef {
            tenant: self.tenant.clone(),
            device: device.clone(),
        }
    }
}

/// What a record that is there already means for an import.
pub(super) enum Known {
    /// It may be imported: there is none, or one of an identity that was taken for foreign.
    New,
    /// Ours, by an earlier import, by an event, or by adoption.
    Ours {
        /// An import left it to be put right.
        to_put_right: bool,
    },
    /// Something is open, or it is about another hub.
    InWork,
}
