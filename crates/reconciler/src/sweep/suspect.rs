//! What a suspicion becomes after a fresh look.

use lifecycle::{DeviceRef, Event, EventId, Failure, Record, Status, Timestamp, Wanted};

use super::brake::Repair;
use super::pass::{MOST_NOTES, Pass, Sweeper};
use super::{Finding, HubList, Known, Notebook, Notices, Registry, Seen, Trouble, judge};
use crate::ports::{DeviceStore, PortResult, Streams};

impl<S, R, T, N> Sweeper<S, R, T, N>
where
    S: DeviceStore,
    R: Registry,
    T: Streams + Notices,
    N: Notebook,
{
    /// An identity with our mark and no record: the store was lost, or the identity survived its
    /// record. Mender says what becomes of it.
    pub(super) async fn meet_orphan<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
    ) -> PortResult<()> {
        match self.look(pass, about).await {
            None => Ok(()),
            Some(Seen::Gone) => self.meet_gone(pass, about, None).await,
            Some(Seen::Known(known)) if known.decommissioning => Ok(()),
            Some(Seen::Known(known)) => {
                pass.report.found(Finding::Orphan, &about.device);
                let event = self.event(about, known.status, None, known.created);
                self.tell(pass, event).await
            }
        }
    }

    /// A device in Mender's list without a record.
    pub(super) async fn meet_unrecorded<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        known: &Known,
    ) -> PortResult<()> {
        if !known.status.creates() || known.decommissioning {
            return Ok(());
        }
        let (since, created) = (pass.settings.integrated_since, known.created);
        let ours = matches!((since, created), (Some(since), Some(created)) if created > since);
        if !ours && !pass.settings.adopt_unrecorded {
            pass.report.found(Finding::BeforeIntegration, &about.device);
            return Ok(());
        }
        let Some(Seen::Known(now)) = self.look(pass, about).await else {
            return Ok(());
        };
        if !now.status.creates() || now.decommissioning {
            return Ok(());
        }
        pass.report.found(Finding::Unrecorded, &about.device);
        let event = self.event(about, now.status, None, now.created);
        self.tell(pass, event).await
    }

    /// A device in Mender's list with a record: do they agree?
    pub(super) async fn meet_known<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        known: &Known,
        stored: &crate::ports::Stored,
    ) -> PortResult<()> {
        let record = &stored.record;
        let ours = judge::is_of(record, pass.hub.integration());
        if !ours || self.is_fresh(pass, stored) {
            return Ok(());
        }
        if judge::correction(record, known, about, self.name()).is_none() {
            return Ok(());
        }
        let Some(Seen::Known(now)) = self.look(pass, about).await else {
            return Ok(());
        };
        let Some(event) = judge::correction(record, &now, about, self.name()) else {
            return Ok(());
        };
        pass.report.found(Finding::LostEvent, &about.device);
        self.tell(pass, event).await
    }

    /// A record whose device is missing in a complete list of Mender's.
    pub(super) async fn meet_missing<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        record: &Record,
    ) -> PortResult<()> {
        if pass.looks_left == 0 {
            return Ok(());
        }
        pass.looks_left -= 1;
        match self.look(pass, about).await {
            Some(Seen::Gone) => self.meet_gone(pass, about, record.key.incarnation).await,
            Some(Seen::Known(_)) => self.is_there(pass, about).await,
            None => Ok(()),
        }
    }

    /// Mender does not have the device: noted the first time, believed the second.
    async fn meet_gone<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        created: Option<Timestamp>,
    ) -> PortResult<()> {
        let noted = pass.noted.get(&about.device).copied();
        let long_ago = noted.is_some_and(|at| self.clock.now().since(at) >= pass.settings.grace);
        if long_ago {
            pass.report.found(Finding::LostDecommission, &about.device);
            let event = self.event(about, Status::Decommissioned, None, created);
            return self.tell(pass, event).await;
        }
        pass.report.found(Finding::Vanished, &about.device);
        if noted.is_none() && !pass.settings.dry_run && pass.noted.len() < MOST_NOTES {
            self.notebook.note(about).await?;
            pass.noted.insert(about.device.clone(), self.clock.now());
        }
        Ok(())
    }

    /// Mender has the device: what was noted is void.
    pub(super) async fn is_there<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
    ) -> PortResult<()> {
        if pass.noted.contains_key(&about.device) && !pass.settings.dry_run {
            self.notebook.forget(about).await?;
            pass.noted.remove(&about.device);
        }
        Ok(())
    }

    /// The hub's query contradicts a settled record. A record may be older than what Mender says
    /// now, so Mender is asked before anything is put back to it.
    pub(super) async fn suspect<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        record: &Record,
    ) -> PortResult<()> {
        if record.status != Status::Decommissioned {
            match self.look(pass, about).await {
                None => return Ok(()),
                Some(Seen::Gone) => {
                    return self.meet_gone(pass, about, record.key.incarnation).await;
                }
                Some(Seen::Known(known)) => {
                    if let Some(event) = judge::correction(record, &known, about, self.name()) {
                        pass.report.found(Finding::LostEvent, &about.device);
                        return self.tell(pass, event).await;
                    }
                }
            }
        }
        pass.report.found(Finding::Drift, &about.device);
        let repair = Repair::Doubt(about.clone(), "sweep-".to_owned());
        self.hand_over(pass, &about.clone(), repair, record.wanted())
            .await
    }

    pub(super) async fn look_at_tombstone<H: HubList>(
        &self,
        pass: &mut Pass<'_, H>,
        about: &DeviceRef,
        name: &str,
    ) -> PortResult<()> {
        pass.report.found(Finding::Tombstone, &about.device);
        let repair = Repair::Doubt(about.clone(), name.to_owned());
        // Looking is routine, and there is hardly ever something to delete: no reason to brake.
        self.hand_over(pass, about, repair, Wanted::Enabled).await
    }

    /// A fresh look at one device; `None`, and told once, if Mender does not answer.
    async fn look<H: HubList>(&self, pass: &mut Pass<'_, H>, about: &DeviceRef) -> Option<Seen> {
        match self.registry.look(about).await {
            Ok(seen) => Some(seen),
            Err(failure) => {
                tell_once(&mut pass.report.troubles, &failure);
                None
            }
        }
    }

    pub(super) fn name(&self) -> EventId {
        EventId(format!("sweep-{}", (self.fresh)()))
    }

    pub(super) fn event(
        &self,
        about: &DeviceRef,
        status: Status,
        revision: Option<u64>,
        created: Option<Timestamp>,
    ) -> Event {
        Event {
            id: self.name(),
            about: about.clone(),
            status,
            revision,
            created,
            replay: 0,
        }
    }
}

fn tell_once(troubles: &mut Vec<Trouble>, failure: &Failure) {
    if !troubles
        .iter()
        .any(|trouble| matches!(trouble, Trouble::Mender(_)))
    {
        troubles.push(Trouble::Mender(failure.to_string()));
    }
}
