//! The store of device records: compare-and-set that fails, answers from behind, or not at all.

use std::time::Duration;

use lifecycle::{DeviceRef, Record, TenantId, Timestamp};
use reconciler::ports::{DeviceStore, Page, PortResult, Saved, Stored};

use crate::brief;
use crate::mutant::Mutant;
use crate::port::{Luck, Port};
use crate::world::World;

/// Earlier versions that a copy of the store may still show.
const COPIES: usize = 4;
/// Records of a page, so that lists have several.
const PAGE: usize = 2;

impl DeviceStore for Port {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        self.call("load").await;
        let (luck, loaded) = self.world().load(device);
        self.reply().await;
        luck.answer(loaded)
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        self.save(device, record, None).await
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        self.save(device, record, Some(version)).await
    }

    async fn delete(&self, _: &DeviceRef, _: u64) -> PortResult<Saved> {
        unreachable!("neither handling a message nor a sweep deletes a record")
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        _: usize,
    ) -> PortResult<Page> {
        self.call("list").await;
        let mut world = self.world();
        let percent = world.faults.store;
        let luck = world.luck(percent, "store fails");
        luck.answer(world.page(tenant, after))
    }

    async fn count(&self, _: Option<&TenantId>) -> PortResult<u64> {
        unreachable!("neither handling a message nor a sweep counts records")
    }

    fn own_clock(&self) -> Option<Timestamp> {
        let world = self.world();
        world.own_clock.map(|_| world.store_now())
    }
}

impl Port {
    async fn save(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: Option<u64>,
    ) -> PortResult<Saved> {
        self.call("save").await;
        if self.world().is_mutant(Mutant::SavesLater) {
            return Ok(self.save_later(device, record, version));
        }
        let (luck, saved) = {
            let mut world = self.world();
            let percent = world.faults.store;
            let luck = world.luck(percent, "store fails");
            let case = world.case_of(device);
            let saved = luck.has_effect().then(|| world.save(case, record, version));
            (luck, saved)
        };
        self.reply().await;
        luck.answer(saved.unwrap_or(Saved::Lost))
    }

    fn save_later(&self, device: &DeviceRef, record: &Record, version: Option<u64>) -> Saved {
        let (port, record) = (self.clone(), record.clone());
        let case = self.world().case_of(device);
        let promised = self.world().fresh();
        tokio::spawn(self.clone().outlive(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            port.world().save_as(case, &record, version, promised);
        }));
        Saved::Version(promised)
    }

    /// Something that goes on only while its process does.
    async fn outlive(self, work: impl Future<Output = ()>) {
        self.life.live(work).await;
    }
}

impl World {
    fn load(&mut self, device: &DeviceRef) -> (Luck, Option<Stored>) {
        let percent = self.faults.store;
        let luck = self.luck(percent, "store fails");
        let case = self.case_of(device);
        let mut loaded = self.cases[case].stored.clone();
        let copies = self.cases[case].copies.len();
        if copies > 0 && self.rng.chance(self.faults.stale) {
            let copy = self.rng.below(copies);
            loaded = Some(self.cases[case].copies[copy].clone());
            self.chronicle.fault("stale read");
            self.note(|_| "loaded from a copy that is behind".to_owned());
        }
        if let Some(stored) = &mut loaded {
            self.forget_as_a_mutant(stored);
        }
        (luck, loaded)
    }

    fn forget_as_a_mutant(&self, stored: &mut Stored) {
        match self.mutant {
            Some(Mutant::ForgetsIntents) => stored.record.intents.clear(),
            Some(Mutant::ForgetsClaims) => stored.record.delivery.claim = None,
            // What the server wrote down an hour ago, for whoever's clock is an hour ahead.
            Some(Mutant::ClockAhead) => {
                let hour = 3_600_000_000;
                stored.written_at = Timestamp::from_micros(stored.written_at.as_micros() - hour);
            }
            _ => {}
        }
    }

    fn save(&mut self, case: usize, record: &Record, version: Option<u64>) -> Saved {
        let fresh = self.fresh();
        self.save_as(case, record, version, fresh)
    }

    fn save_as(&mut self, case: usize, record: &Record, version: Option<u64>, new: u64) -> Saved {
        let present = self.cases[case]
            .stored
            .as_ref()
            .map(|stored| stored.version);
        if present != version && !self.is_mutant(Mutant::SavesBlindly) {
            self.chronicle.saw("compare-and-set lost");
            return Saved::Lost;
        }
        self.note(|_| format!("stored as {new}: {}", brief::record(record)));
        self.check_stored(case, record, new);
        let stored = Stored {
            record: record.clone(),
            version: new,
            written_at: self.store_now(),
        };
        let place = &mut self.cases[case];
        if let Some(before) = place.stored.replace(stored) {
            if place.copies.len() == COPIES {
                place.copies.remove(0);
            }
            place.copies.push(before);
        }
        Saved::Version(new)
    }

    fn page(&self, tenant: Option<&TenantId>, after: Option<&str>) -> Page {
        let first = after.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut records = Vec::new();
        for (n, case) in self.cases.iter().enumerate().skip(first) {
            if tenant.is_some_and(|tenant| *tenant != case.about.tenant) {
                continue;
            }
            if records.len() == PAGE {
                let next = Some(n.to_string());
                return Page {
                    records,
                    unread: Vec::new(),
                    next,
                };
            }
            let stored = case.stored.clone();
            records.extend(stored.map(|stored| (case.about.clone(), stored)));
        }
        Page {
            records,
            unread: Vec::new(),
            next: None,
        }
    }
}
