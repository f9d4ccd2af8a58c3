//! Handing what was found to the worker: as an event, a doubt or a wake-up, one for a device.

use std::time::Duration;

use lifecycle::{DeviceRef, Event, EventId, Record, Status, Wanted, Wish};

use super::brake::Repair;
use super::pass::{Pass, Sweeper};
use super::{Finding, HubList, Known, Notebook, Notices, Registry, judge};
use crate::ports::{DeviceStore, PortResult, Saved, Streams};

/// Distance between two repairs where the hub's allowance is not known.
const UNPACED: Duration = Duration::from_millis(20);
/// Requests to the hub that a repair takes, roughly, times the share of the pace that is left to
/// events: the sweep uses a quarter.
const COST: u32 = 3 * 4;

impl<S, R, T, N> Sweeper<S, R, T, N>
where
    S: DeviceStore,
    R: Registry,
    T: Streams + Notices,
    N: Notebook,
{
    pub(super) async fn wake<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        record: &Record,
    ) -> PortResult<()> {
        pass.report.found(Finding::Stalled, &about.device);
        if !pass.done.insert(&about.device) {
            return Ok(());
        }
        pass.report.repaired += 1;
        if pass.settings.dry_run {
            return Ok(());
        }
        tokio::time::sleep(between_repairs(pass.hub)).await;
        self.arm(about, record).await
    }

    pub(super) async fn tell<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        event: Event,
    ) -> PortResult<()> {
        let (about, wanted) = (event.about.clone(), event.status.wanted());
        self.hand_over(pass, &about, Repair::Tell(event), wanted)
            .await
    }

    pub(super) async fn hand_over<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        repair: Repair,
        wanted: Wanted,
    ) -> PortResult<()> {
        if !pass.done.insert(&about.device) {
            return Ok(());
        }
        if judge::takes_away(wanted) {
            pass.brake.hold(repair);
            return Ok(());
        }
        self.repair(pass, repair).await
    }

    /// At the end of a pass: what was held back is done now, if it is not too much.
    pub(super) async fn release<H: HubList>(&self, pass: &mut Pass<'_, H>) -> PortResult<()> {
        let brake = std::mem::take(&mut pass.brake);
        let report = &pass.report;
        let fleet = report.records.max(report.in_mender);
        let settings = pass.settings;
        let repairs = if settings.force {
            brake.force()
        } else {
            match brake.release(
                fleet,
                settings.max_change_permille,
                settings.max_change_least,
            ) {
                Ok(repairs) => repairs,
                Err(too_many) => {
                    tracing::error!(
                        tenant = %pass.tenant, devices = too_many, fleet,
                        "the sweep would disable or delete too many devices and did nothing of it; \
                         if that is right: `mender-iothub sweep --force`"
                    );
                    pass.report.held_back = too_many as u64;
                    return Ok(());
                }
            }
        };
        for repair in repairs {
            self.repair(pass, repair).await?;
        }
        Ok(())
    }

    async fn repair<H: HubList>(&self, pass: &mut Pass<'_, H>, repair: Repair) -> PortResult<()> {
        pass.report.repaired += 1;
        if pass.settings.dry_run {
            return Ok(());
        }
        tokio::time::sleep(between_repairs(pass.hub)).await;
        match repair {
            Repair::Tell(event) => {
                self.streams.publish(&event).await?;
                if event.status == Status::Decommissioned {
                    self.notebook.forget(&event.about).await?;
                }
                Ok(())
            }
            Repair::Doubt(about, name) => {
                let look = EventId(format!("{name}{}", (self.fresh)()));
                self.change(&about, |record| record.doubt(&about, look))
                    .await
                    .map(drop)
            }
        }
    }

    /// Makes sure that the worker looks at a device of which Mender says so much now: what an
    /// operator's command does. `name` begins the name of the event or look.
    pub async fn attend(&self, about: &DeviceRef, known: &Known, name: &str) -> PortResult<()> {
        let id = EventId(format!("{name}{}", (self.fresh)()));
        let Some(stored) = self.load(about).await? else {
            let event = Event {
                id,
                ..self.event(about, known.status, None, known.created)
            };
            return self.streams.publish(&event).await;
        };
        if let Some(event) = judge::correction(&stored.record, known, about, id.clone()) {
            return self.streams.publish(&event).await;
        }
        if self.change(about, |record| record.doubt(about, id)).await? {
            return Ok(());
        }
        self.arm(about, &stored.record).await
    }

    /// Has the connection string delivered once more, or a key changed. False if the record is not
    /// settled, or there is none.
    pub async fn grant(&self, wish: Wish, about: &DeviceRef, name: &str) -> PortResult<bool> {
        let id = EventId(format!("{name}{}", (self.fresh)()));
        self.change(about, |record| record.grant(wish, about, id))
            .await
    }

    /// Changes a record and wakes its worker. Whoever else changes it meanwhile looks anyway.
    async fn change(
        &self,
        about: &DeviceRef,
        change: impl FnOnce(&mut Record) -> bool,
    ) -> PortResult<bool> {
        let Some(stored) = self.load(about).await? else {
            return Ok(false);
        };
        let mut record = stored.record;
        if !change(&mut record) {
            return Ok(false);
        }
        let saved = self
            .store
            .compare_and_set(about, &record, stored.version)
            .await?;
        if saved == Saved::Lost {
            return Ok(false);
        }
        self.arm(about, &record).await?;
        Ok(true)
    }

    /// A wake-up that is due at once, with the event that the record owes.
    async fn arm(&self, about: &DeviceRef, record: &Record) -> PortResult<()> {
        let owed = record.working.as_ref();
        let payload = owed.map(|working| self.streams.payload(&working.event));
        self.streams
            .arm(about, self.clock.now(), payload.as_ref())
            .await
    }
}

fn between_repairs<H: HubList>(hub: &H) -> Duration {
    hub.allowed_per_minute().map_or(UNPACED, |allowed| {
        Duration::from_secs(60) * COST / allowed.max(1)
    })
}
