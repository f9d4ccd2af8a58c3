//! The servers of the sweep in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifecycle::{
    Context, DeliveryReply, Device, DeviceId, DeviceRef, Done, Effect, Event, EventId, Facts,
    Failure, Input, IntegrationRef, IntentId, Mark, Outcome, ReadReply, Record, RetryPolicy,
    Status, TenantId, Timestamp, next,
};
use reconciler::PerMinute;
use reconciler::ports::{
    DeadLetter, DeviceStore, Page, Payload, PortResult, Saved, Stored, Streams,
};
use reconciler::sweep::{
    HubList, HubPage, HubRow, Known, Notebook, Notices, Registry, RegistryPage, Report, Seen,
    SweepSettings, Sweeper,
};
use tokio::time::Instant;

pub(crate) const GRACE: Duration = Duration::from_secs(300);
const EPOCH: i64 = 1_700_000_000_000_000;
/// When Mender created every device here.
pub(crate) const CREATED: Timestamp = Timestamp::from_micros(1_600_000_000_000_000);
/// When Mender created those that it has for the second time.
pub(crate) const CREATED_AGAIN: Timestamp = Timestamp::from_micros(1_650_000_000_000_000);
/// Devices of a page, so that every list has several.
const PAGE: usize = 7;

#[derive(Default)]
struct Inner {
    records: BTreeMap<DeviceId, Stored>,
    hub: BTreeMap<DeviceId, HubRow>,
    hub_fails: bool,
    mender: BTreeMap<DeviceId, Status>,
    made_again: BTreeSet<DeviceId>,
    /// What the list says in place of the truth.
    listed: BTreeMap<DeviceId, Option<Status>>,
    list_trouble: String,
    notes: BTreeMap<DeviceId, Timestamp>,
    published: Vec<Event>,
    armed: Vec<DeviceId>,
}

/// All servers; clones share them.
#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    began: Instant,
    integration: IntegrationRef,
}

fn id(device: &str) -> DeviceId {
    device.parse().unwrap()
}

fn about(device: &str) -> DeviceRef {
    DeviceRef {
        tenant: "t".parse().unwrap(),
        device: id(device),
    }
}

fn mark() -> Mark {
    Mark {
        integration: "i".into(),
        intent: IntentId("x".into()),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::default(),
            began: Instant::now(),
            integration: IntegrationRef {
                id: "i".into(),
                hub: "h".into(),
                generation: 1,
            },
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_micros(EPOCH).plus(self.began.elapsed())
    }

    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub(crate) async fn sweep(&self, settings: &SweepSettings) -> Report {
        let fresh = || {
            static NAMES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            let number = NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            number.to_string()
        };
        let sweeper = Sweeper::new(
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            fresh,
        );
        sweeper.observe(self.time());
        let tenant = "t".parse().unwrap();
        sweeper
            .sweep(&tenant, self, settings, &|_| {})
            .await
            .unwrap()
    }

    fn step(&self, device: Device, input: Input) -> lifecycle::Step {
        let s = Duration::from_secs;
        let policy = RetryPolicy {
            first: s(2),
            cap: s(60),
            in_process: s(1),
            max_age: s(3600),
            max_conflicts: 3,
            credentials: s(60),
            throttled: s(10),
            full: s(900),
            lease: s(130),
            delivery_lease: s(60),
        };
        let context = Context {
            now: self.time(),
            fresh: IntentId("x".into()),
            jitter: 0,
            integration: Some(&self.integration),
            policy: &policy,
        };
        next(device, input, &context)
    }

    fn store(&self, device: &str, record: Record, age: Duration) {
        let written_at = Timestamp::from_micros(
            self.time().as_micros() - i64::try_from(age.as_micros()).unwrap(),
        );
        let stored = Stored {
            record,
            version: 1,
            written_at,
        };
        self.inner().records.insert(id(device), stored);
    }

    /// A device about which Mender, record and hub agree, since an hour. Without an identity an
    /// accepted one has a foreign identity in its way.
    pub(crate) fn settled(&self, device: &str, status: Status, enabled: Option<bool>) {
        let event = Event {
            id: EventId(format!("event-{device}")),
            about: about(device),
            status,
            revision: Some(5),
            created: Some(CREATED),
            replay: 0,
        };
        let mut step = self.step(Device::unknown(), Input::Event(event));
        if let Some(record) = &mut step.device.record {
            record.intents.clear();
        }
        let facts = enabled.map(|enabled| Facts {
            generation: "g".into(),
            etag: "e".into(),
            enabled,
            mark: Some(mark()),
            keys: None,
        });
        let foreign = (status == Status::Accepted && enabled.is_none()).then(|| Facts {
            generation: "f".into(),
            etag: "f".into(),
            enabled: true,
            mark: None,
            keys: None,
        });
        let read = Input::Read(ReadReply {
            began: self.time(),
            result: Ok(facts.or(foreign)),
        });
        let mut step = self.step(step.device, read);
        if status == Status::Accepted && enabled.is_some() {
            let Effect::Deliver {
                claim, generation, ..
            } = step.effect
            else {
                panic!("{:?}", step.effect);
            };
            let reply = DeliveryReply {
                claim,
                generation,
                result: Ok("print".into()),
            };
            step = self.step(step.device, Input::Delivered(reply));
            step = self.step(step.device, Input::Tagged(Ok(())));
        }
        let step = self.step(step.device, Input::Reported);
        let record = step.device.record.unwrap();
        assert!(record.is_settled(), "{record:?}");
        self.store(device, record, Duration::from_secs(3600));
        if let Some(enabled) = enabled {
            self.hub(device, Some((enabled, true)));
        }
        if status != Status::Decommissioned {
            self.mender(device, Some(status));
        }
    }

    /// A record with a create in flight, whose wake-up is lost.
    pub(crate) fn unfinished(&self, device: &str) {
        self.settled(device, Status::Accepted, Some(true));
        let mut record = self.record(device).unwrap();
        assert!(record.doubt(&about(device), EventId("lost".into())));
        self.store(device, record, Duration::from_secs(3600));
    }

    /// A settled record whose last outcome may not be published yet, and whose wake-up is lost.
    pub(crate) fn owes_outcome(&self, device: &str) {
        let mut record = self.record(device).unwrap();
        record.outbox.extend(record.done.clone());
        self.store(device, record, Duration::from_secs(3600));
    }

    /// Every look that is under way ends, without anything found.
    pub(crate) fn finish_looks(&self) {
        let now = self.time();
        for stored in self.inner().records.values_mut() {
            if let Some(working) = stored.record.working.take() {
                stored.record.confirmed = true;
                stored.record.done = Some(Done {
                    event: working.event,
                    outcome: Outcome::Unchanged,
                    reason: None,
                });
                stored.written_at = now;
            }
        }
    }

    pub(crate) fn touch(&self, device: &str) {
        let now = self.time();
        self.inner()
            .records
            .get_mut(&id(device))
            .unwrap()
            .written_at = now;
    }

    pub(crate) fn record(&self, device: &str) -> Option<Record> {
        let inner = self.inner();
        inner
            .records
            .get(&id(device))
            .map(|stored| stored.record.clone())
    }

    /// The identity: whether it is enabled and whether it bears our mark.
    pub(crate) fn hub(&self, device: &str, identity: Option<(bool, bool)>) {
        let mut inner = self.inner();
        inner.hub.remove(&id(device));
        if let Some((enabled, marked)) = identity {
            let row = HubRow {
                device: id(device),
                enabled,
                mark: marked.then(mark),
                etag: Some("e".into()),
            };
            inner.hub.insert(id(device), row);
        }
    }

    /// Somebody makes the identity anew, with everything that it had.
    pub(crate) fn copied(&self, device: &str) {
        let mut inner = self.inner();
        let row = inner.hub.get_mut(&id(device)).expect("an identity");
        row.etag = Some("of the copy".into());
    }

    pub(crate) fn hub_fails(&self) {
        self.inner().hub_fails = true;
    }

    pub(crate) fn mender(&self, device: &str, status: Option<Status>) {
        let mut inner = self.inner();
        match status {
            None => inner.mender.remove(&id(device)),
            Some(status) => inner.mender.insert(id(device), status),
        };
    }

    /// The id is used again: this is a newer incarnation.
    pub(crate) fn mender_made_again(&self, device: &str, status: Status) {
        self.mender(device, Some(status));
        self.inner().made_again.insert(id(device));
    }

    /// The record takes an event of the newer incarnation.
    pub(crate) fn hears_of_newer(&self, device: &str, status: Status) {
        let event = Event {
            id: EventId(format!("newer-{device}")),
            about: about(device),
            status,
            revision: Some(1),
            created: Some(CREATED_AGAIN),
            replay: 0,
        };
        let loaded = Device::loaded(self.record(device).unwrap(), CREATED);
        let step = self.step(loaded, Input::Event(event));
        let record = step.device.record.unwrap();
        self.store(device, record, Duration::from_secs(3600));
    }

    /// The list says this, whatever is true.
    pub(crate) fn listed(&self, device: &str, status: Option<Status>) {
        self.inner().listed.insert(id(device), status);
    }

    pub(crate) fn list_trouble(&self, trouble: &str) {
        trouble.clone_into(&mut self.inner().list_trouble);
    }

    pub(crate) fn published(&self) -> Vec<Event> {
        self.inner().published.clone()
    }

    pub(crate) fn armed(&self) -> Vec<String> {
        self.inner().armed.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn notes(&self) -> Vec<DeviceId> {
        self.inner().notes.keys().cloned().collect()
    }
}

impl DeviceStore for World {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        Ok(self.inner().records.get(&device.device).cloned())
    }

    async fn create(&self, _: &DeviceRef, _: &Record) -> PortResult<Saved> {
        unreachable!("the sweep makes no records")
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        let written_at = self.time();
        let mut inner = self.inner();
        let stored = inner.records.get_mut(&device.device).unwrap();
        if stored.version != version {
            return Ok(Saved::Lost);
        }
        *stored = Stored {
            record: record.clone(),
            version: version + 1,
            written_at,
        };
        Ok(Saved::Version(version + 1))
    }

    async fn delete(&self, _: &DeviceRef, _: u64) -> PortResult<Saved> {
        unreachable!("the sweep deletes no records")
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        _: usize,
    ) -> PortResult<Page> {
        let inner = self.inner();
        let after = after.unwrap_or_default();
        let all = inner.records.iter().filter(|(id, _)| id.as_str() > after);
        let page: Vec<_> = all.take(PAGE + 1).collect();
        let next = (page.len() > PAGE).then(|| page[PAGE - 1].0.to_string());
        let whose = |device: &DeviceId| DeviceRef {
            tenant: tenant.unwrap().clone(),
            device: device.clone(),
        };
        let records = page.into_iter().take(PAGE);
        Ok(Page {
            records: records
                .map(|(id, stored)| (whose(id), stored.clone()))
                .collect(),
            unread: Vec::new(),
            next,
        })
    }

    async fn count(&self, _: Option<&TenantId>) -> PortResult<u64> {
        unreachable!("the sweep counts as it goes")
    }
}

impl HubList for World {
    fn integration(&self) -> &IntegrationRef {
        &self.integration
    }

    fn allowed_per_minute(&self) -> PerMinute {
        None
    }

    async fn page(&self, after: Option<&[u8]>) -> Result<HubPage, Failure> {
        let inner = self.inner();
        if inner.hub_fails {
            return Err(Failure::Transient("down".into()));
        }
        let from: usize = after.map_or(0, |at| String::from_utf8_lossy(at).parse().unwrap());
        let rows = inner.hub.values().skip(from).take(PAGE).cloned().collect();
        let more = inner.hub.len() > from + PAGE;
        Ok(HubPage {
            rows,
            next: more.then(|| (from + PAGE).to_string().into_bytes()),
        })
    }
}

impl World {
    fn known(made_again: &BTreeSet<DeviceId>, device: &DeviceId, status: Status) -> Known {
        let again = made_again.contains(device);
        Known {
            status,
            created: Some(if again { CREATED_AGAIN } else { CREATED }),
            decommissioning: false,
        }
    }
}

impl Registry for World {
    async fn page(&self, _: &TenantId, page: u32) -> Result<RegistryPage, Failure> {
        let inner = self.inner();
        let down = Err(Failure::Transient("down".into()));
        match inner.list_trouble.as_str() {
            "empty" => return Ok(RegistryPage::default()),
            "fails" => return down,
            "half" if page > 1 => return down,
            _ => {}
        }
        let mut listed = inner.mender.clone();
        for (id, status) in &inner.listed {
            match status {
                Some(status) => listed.insert(id.clone(), *status),
                None => listed.remove(id),
            };
        }
        let from = (page as usize - 1) * PAGE;
        let devices = listed.iter().skip(from).take(PAGE);
        Ok(RegistryPage {
            devices: devices
                .map(|(id, status)| (id.clone(), Self::known(&inner.made_again, id, *status)))
                .collect(),
            next: (listed.len() > from + PAGE).then_some(page + 1),
        })
    }

    async fn look(&self, device: &DeviceRef) -> Result<Seen, Failure> {
        let (inner, id) = (self.inner(), &device.device);
        let known = |status: &Status| Self::known(&inner.made_again, id, *status);
        Ok(inner
            .mender
            .get(id)
            .map_or(Seen::Gone, |status| Seen::Known(known(status))))
    }
}

impl Streams for World {
    async fn arm(&self, device: &DeviceRef, _: Timestamp, _: Option<&Payload>) -> PortResult<()> {
        self.inner().armed.push(device.device.clone());
        Ok(())
    }

    fn payload(&self, _: &Event) -> Payload {
        Payload::default()
    }

    async fn dead_letter(&self, _: &DeadLetter) -> PortResult<()> {
        unreachable!("the sweep writes no dead letters")
    }

    async fn report(&self, _: &[Done]) -> PortResult<()> {
        unreachable!("the sweep reports no outcomes")
    }
}

impl Notices for World {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        self.inner().published.push(event.clone());
        Ok(())
    }
}

impl Notebook for World {
    async fn noted(&self, _: &TenantId, most: usize) -> PortResult<Vec<(DeviceId, Timestamp)>> {
        let inner = self.inner();
        let notes = inner.notes.iter().take(most);
        Ok(notes.map(|(id, at)| (id.clone(), *at)).collect())
    }

    async fn note(&self, device: &DeviceRef) -> PortResult<()> {
        let now = self.time();
        self.inner()
            .notes
            .entry(device.device.clone())
            .or_insert(now);
        Ok(())
    }

    async fn forget(&self, device: &DeviceRef) -> PortResult<()> {
        self.inner().notes.remove(&device.device);
        Ok(())
    }
}
