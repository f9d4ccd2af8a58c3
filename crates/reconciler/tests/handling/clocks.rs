//! A store with a clock of its own: leases end by it, wake-ups come by the clock of the streams.

use std::time::Duration;

use lifecycle::{DeviceRef, Failure, Fate, IntentId, Record, TenantId, Timestamp};
use reconciler::ports::{DeviceStore, Page, PortResult, Saved, Stored};
use reconciler::{Reconciler, Settings};

use crate::servers::{LEASE, Servers, accepted, failing, policy, rejected};

/// The store of these servers, its clock wrong by so many microseconds.
struct Skewed(Servers, i64);

impl Skewed {
    fn shifted(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_micros(time.as_micros() + self.1)
    }
}

impl DeviceStore for Skewed {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        let stored = self.0.load(device).await?;
        Ok(stored.map(|stored| Stored {
            written_at: self.shifted(stored.written_at),
            ..stored
        }))
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        self.0.create(device, record).await
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        self.0.compare_and_set(device, record, version).await
    }

    async fn delete(&self, device: &DeviceRef, version: u64) -> PortResult<Saved> {
        self.0.delete(device, version).await
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Page> {
        self.0.list(tenant, after, limit).await
    }

    async fn count(&self, tenant: Option<&TenantId>) -> PortResult<u64> {
        self.0.count(tenant).await
    }

    fn own_clock(&self) -> Option<Timestamp> {
        Some(self.shifted(self.0.now()))
    }
}

fn worker(servers: &Servers, hours: i64) -> Reconciler<Skewed, Servers, Servers, Servers> {
    let settings = Settings {
        policy: policy(),
        fresh_id: Box::new(|| IntentId(fresh_name())),
        jitter: Box::new(|| 0),
    };
    Reconciler::new(
        Skewed(servers.clone(), hours * 3_600_000_000),
        servers.clone(),
        servers.clone(),
        servers.clone(),
        settings,
        servers.counters.clone(),
    )
}

fn fresh_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NAMES: AtomicU64 = AtomicU64::new(0);
    format!("c{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// A create whose fate nobody knows must be waited for, then the event ends.
async fn the_lease_is_waited_out(hours: i64) {
    let servers = Servers::new();
    let worker = worker(&servers, hours);
    let unknown = failing(Failure::Transient("cut off".into()), Fate::Unknown);
    servers.next("hub create", unknown);
    let began = tokio::time::Instant::now();
    worker.handle(servers.task(&accepted(1))).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let event = rejected(2);
    worker.handle(servers.task(&event)).await;
    let mut wake_ups = 0;
    while servers.world().reported.last().map(|done| &done.event.id) != Some(&event.id) {
        let (due, _) = servers.world().armed.last().cloned().expect("armed");
        let wait = due.since(servers.now());
        assert!(wait <= LEASE, "asleep for {wait:?}, {hours} hours off");
        wake_ups += 1;
        assert!(wake_ups < 5, "woken again and again, {hours} hours off");
        let wake_up = servers.wake_up(&event.about, Some(&event)).await;
        worker.handle(wake_up).await;
    }
    let waited = began.elapsed();
    assert!(waited >= LEASE, "only {waited:?}, {hours} hours off");
    assert!(waited < LEASE * 2, "{waited:?}, {hours} hours off");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_neither_early_nor_late_whatever_the_stores_clock_shows() {
    for hours in [-1, 0, 1] {
        the_lease_is_waited_out(hours).await;
    }
}
