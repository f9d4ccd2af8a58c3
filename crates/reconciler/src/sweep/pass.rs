//! One pass over one tenant: three walks, each in pages.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use lifecycle::{DeviceId, DeviceRef, HubView, TenantId, Timestamp};

use super::brake::Brake;
use super::{
    Finding, HubList, HubRow, Known, Notebook, Notices, Registry, Report, SweepSettings, Trouble,
    judge,
};
use crate::ServerClock;
use crate::ports::{DeviceStore, PortError, PortResult, Stored, Streams};

/// Records of a page.
const PAGE: usize = 500;
/// Records read at once.
const READS: usize = 16;
/// Devices that may be noted as gone, and looks at those that are missing in one pass.
pub(super) const MOST_NOTES: usize = 10_000;

/// Compares and repairs; made for one pass or for many.
pub struct Sweeper<S, R, T, N> {
    pub(super) store: S,
    pub(super) registry: R,
    pub(super) streams: T,
    pub(super) notebook: N,
    pub(super) fresh: Box<dyn Fn() -> String + Send + Sync>,
    pub(super) clock: ServerClock,
}

/// What one pass remembers.
pub(super) struct Pass<'a, H> {
    pub(super) tenant: &'a TenantId,
    pub(super) hub: &'a H,
    pub(super) settings: &'a SweepSettings,
    pub(super) report: Report,
    pub(super) brake: Brake,
    pub(super) noted: HashMap<DeviceId, Timestamp>,
    /// Devices that something was done about: once is enough.
    pub(super) done: Devices,
    in_hub: Option<Devices>,
    in_mender: Option<Devices>,
    pub(super) looks_left: usize,
}

/// A set of devices in eight bytes each. Two that fall together hide one suspicion until the next
/// pass, which numbers them anew.
#[derive(Default)]
pub(super) struct Devices {
    seed: RandomState,
    numbers: HashSet<u64>,
}

impl Devices {
    pub(super) fn insert(&mut self, device: &DeviceId) -> bool {
        let number = self.seed.hash_one(device);
        self.numbers.insert(number)
    }

    fn contains(&self, device: &DeviceId) -> bool {
        self.numbers.contains(&self.seed.hash_one(device))
    }
}

impl<S, R, T, N> Sweeper<S, R, T, N>
where
    S: DeviceStore,
    R: Registry,
    T: Streams + Notices,
    N: Notebook,
{
    /// A sweeper over these ports. `fresh` makes names that were never used before.
    pub fn new(
        store: S,
        registry: R,
        streams: T,
        notebook: N,
        fresh: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            registry,
            streams,
            notebook,
            fresh: Box::new(fresh),
            clock: ServerClock::new(),
        }
    }

    /// Takes note of a time that the server of the streams wrote down before now.
    pub fn observe(&self, stamp: Timestamp) {
        self.clock.observe(stamp);
    }

    /// One pass over one tenant. `progress` hears of each page. May be dropped at any point: the
    /// next pass finds what is left.
    ///
    /// The error is that of a store that cannot be read; trouble with the other two is told in the
    /// report, and nothing is concluded from it.
    pub async fn sweep<H: HubList>(
        &self,
        tenant: &TenantId,
        hub: &H,
        settings: &SweepSettings,
        progress: &(dyn Fn(&Report) + Sync),
    ) -> PortResult<Report> {
        let noted = self.notebook.noted(tenant, MOST_NOTES).await?;
        let mut pass = Pass {
            tenant,
            hub,
            settings,
            report: Report {
                dry_run: settings.dry_run,
                ..Report::default()
            },
            brake: Brake::default(),
            noted: noted.into_iter().collect(),
            done: Devices::default(),
            in_hub: None,
            in_mender: None,
            looks_left: MOST_NOTES,
        };
        self.walk_hub(&mut pass, progress).await?;
        self.walk_mender(&mut pass, progress).await?;
        self.walk_records(&mut pass, progress).await?;
        self.release(&mut pass).await?;
        Ok(pass.report)
    }

    /// The present by the clock that stamps the records.
    pub(super) fn now(&self) -> Timestamp {
        self.store.own_clock().unwrap_or_else(|| self.clock.now())
    }

    pub(super) async fn load(&self, about: &DeviceRef) -> PortResult<Option<Stored>> {
        let stored = self.store.load(about).await?;
        if let (Some(stored), None) = (&stored, self.store.own_clock()) {
            self.clock.observe(stored.written_at);
        }
        Ok(stored)
    }

    /// Each device with its record, in order. What cannot be understood is left out.
    async fn with_records<D: Send>(
        &self,
        tenant: &TenantId,
        devices: Vec<(DeviceId, D)>,
    ) -> PortResult<Vec<(DeviceRef, D, Option<Stored>)>> {
        let read = |(device, shown): (DeviceId, D)| async move {
            let about = DeviceRef {
                tenant: tenant.clone(),
                device,
            };
            match self.load(&about).await {
                Ok(stored) => Ok(Some((about, shown, stored))),
                Err(PortError::NotUnderstood(why)) => {
                    tracing::warn!(device = %about.device, why, "the sweep skips a record");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let read: Vec<_> = stream::iter(devices.into_iter().map(read))
            .buffered(READS)
            .try_collect()
            .await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn walk_hub<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        progress: &(dyn Fn(&Report) + Sync),
    ) -> PortResult<()> {
        let mut seen = Devices::default();
        let mut after = None;
        let between = between_queries(pass.hub.allowed_per_minute());
        loop {
            let page = match pass.hub.page(after.as_deref()).await {
                Ok(page) => page,
                Err(failure) => {
                    pass.report.troubles.push(Trouble::Hub(failure.to_string()));
                    return Ok(());
                }
            };
            let rows: Vec<(DeviceId, HubRow)> = page
                .rows
                .into_iter()
                .filter(|row| seen.insert(&row.device))
                .map(|row| (row.device.clone(), row))
                .collect();
            pass.report.in_hub += rows.len() as u64;
            for (about, row, stored) in self.with_records(pass.tenant, rows).await? {
                self.meet_row(pass, &about, &row, stored.as_ref()).await?;
            }
            progress(&pass.report);
            after = page.next;
            if after.is_none() {
                pass.in_hub = Some(seen);
                return Ok(());
            }
            tokio::time::sleep(between).await;
        }
    }

    async fn meet_row<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        row: &HubRow,
        stored: Option<&Stored>,
    ) -> PortResult<()> {
        let integration = pass.hub.integration();
        let Some(stored) = stored else {
            let marked = row
                .mark
                .as_ref()
                .is_some_and(|mark| mark.integration == integration.id);
            return if marked {
                self.meet_orphan(pass, about).await
            } else {
                Ok(())
            };
        };
        let record = &stored.record;
        // A record that still owes outcomes is stalled first: nobody may doubt it.
        let at_rest = record.is_settled() && record.outbox.is_empty();
        let settled = at_rest && judge::is_of(record, integration);
        if !settled || self.is_fresh(pass, stored) {
            return Ok(());
        }
        if judge::contradicts(row, record) {
            return self.suspect(pass, about, record).await;
        }
        if record.hub == HubView::Foreign && record.status.creates() {
            pass.report.found(Finding::Foreign, &about.device);
        }
        Ok(())
    }

    async fn walk_mender<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        progress: &(dyn Fn(&Report) + Sync),
    ) -> PortResult<()> {
        let mut seen = Devices::default();
        let mut number = 1;
        loop {
            let page = match self.registry.page(pass.tenant, number).await {
                Ok(page) => page,
                Err(failure) => {
                    pass.report
                        .troubles
                        .push(Trouble::Mender(failure.to_string()));
                    return Ok(());
                }
            };
            let devices: Vec<(DeviceId, Known)> = page
                .devices
                .into_iter()
                .filter(|(device, _)| seen.insert(device))
                .collect();
            pass.report.in_mender += devices.len() as u64;
            for (about, known, stored) in self.with_records(pass.tenant, devices).await? {
                self.is_there(pass, &about).await?;
                match stored {
                    None => self.meet_unrecorded(pass, &about, &known).await?,
                    Some(stored) => self.meet_known(pass, &about, &known, &stored).await?,
                }
            }
            progress(&pass.report);
            let Some(next) = page.next else {
                pass.in_mender = Some(seen);
                return Ok(());
            };
            number = next;
        }
    }

    async fn walk_records<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        progress: &(dyn Fn(&Report) + Sync),
    ) -> PortResult<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .list(Some(pass.tenant), after.as_deref(), PAGE)
                .await?;
            for (about, stored) in &page.records {
                pass.report.records += 1;
                pass.report.census.count(&stored.record);
                pass.report.open_intents += stored.record.intents.len() as u64;
                self.meet_record(pass, about, stored).await?;
            }
            progress(&pass.report);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn meet_record<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        stored: &Stored,
    ) -> PortResult<()> {
        let (record, device) = (&stored.record, &about.device);
        if !judge::is_of(record, pass.hub.integration()) {
            pass.report.found(Finding::OtherHub, device);
            return Ok(());
        }
        if record.parked.is_some() && record.working.is_none() {
            pass.report.found(Finding::GivenUp, device);
        }
        if self.is_fresh(pass, stored) {
            return Ok(());
        }
        if judge::is_stalled(record, self.now(), pass.settings.grace) {
            return self.wake(pass, about, record).await;
        }
        let age = self.now().since(stored.written_at);
        if let Some(name) = judge::due_tombstone(record, age, pass.settings.lease) {
            return self.look_at_tombstone(pass, about, name).await;
        }
        let missing = |set: &Option<Devices>| set.as_ref().is_some_and(|set| !set.contains(device));
        let open = record.status != lifecycle::Status::Decommissioned;
        if open && missing(&pass.in_mender) {
            return self.meet_missing(pass, about, record).await;
        }
        if record.is_settled() && judge::should_be_listed(record) && missing(&pass.in_hub) {
            return self.suspect(pass, about, record).await;
        }
        Ok(())
    }

    /// Whether a record was changed so lately that what concerns it may still be under way.
    pub(super) fn is_fresh<H>(&self, pass: &Pass<'_, H>, stored: &Stored) -> bool {
        self.now().since(stored.written_at) < pass.settings.grace
    }
}

/// Queries have a meter of their own: a fifth of the registry's allowance, of which a quarter is
/// left to others.
fn between_queries(allowed: crate::PerMinute) -> std::time::Duration {
    allowed.map_or(std::time::Duration::ZERO, |allowed| {
        std::time::Duration::from_secs(400) / allowed.max(1)
    })
}
