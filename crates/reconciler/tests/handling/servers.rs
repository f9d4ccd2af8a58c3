//! Store, hub, Mender and streams in memory, with one journal of all calls and a list of troubles.

mod ports;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifecycle::{
    DeviceRef, Done, Event, EventId, Facts, Failure, Fate, IntentId, RetryPolicy, Status, Timestamp,
};
use reconciler::ports::{DeadLetter, Payload, PortError, PortResult, Stored, Task};
use reconciler::{Counters, Ended, Reconciler, Settings};
use tokio::time::Instant;

/// When the tests begin, by the servers' clocks.
const EPOCH: i64 = 1_700_000_000_000_000;
pub(crate) const LEASE: Duration = Duration::from_secs(130);

/// What goes wrong with the next call of a kind, and how long it takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) takes: Duration,
    pub(crate) before: Option<&'static str>,
    /// The call has its effect, then fails.
    pub(crate) after: Option<&'static str>,
    /// Somebody else changes the record just before.
    pub(crate) raced: bool,
    pub(crate) failure: Option<(Failure, Fate)>,
}

#[derive(Default)]
pub(crate) struct World {
    /// Every call, in order.
    pub(crate) journal: Vec<String>,
    pub(crate) trouble: HashMap<&'static str, Vec<Trouble>>,
    pub(crate) record: Option<Stored>,
    pub(crate) not_understood: bool,
    pub(crate) identity: Option<Facts>,
    pub(crate) generation: u64,
    pub(crate) armed: Vec<(Timestamp, Option<Payload>)>,
    pub(crate) reported: Vec<Done>,
    pub(crate) dead: Vec<DeadLetter>,
    pub(crate) retried: Vec<Duration>,
    etags: u64,
}

/// All servers at once; clones share them.
#[derive(Clone)]
pub(crate) struct Servers {
    world: Arc<Mutex<World>>,
    began: Instant,
    /// What the workers have counted.
    pub(crate) counters: Arc<Counters>,
}

pub(crate) type Worker = Reconciler<Servers, Servers, Servers, Servers>;

impl Servers {
    pub(crate) fn new() -> Self {
        Self {
            world: Arc::default(),
            began: Instant::now(),
            counters: Arc::default(),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The servers' time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(EPOCH).plus(self.began.elapsed())
    }

    /// The next call of this kind meets this trouble; troubles are met in the order given.
    pub(crate) fn next(&self, call: &'static str, trouble: Trouble) {
        self.world().trouble.entry(call).or_default().push(trouble);
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.world().journal.clone()
    }

    pub(crate) fn forget(&self) {
        self.world().journal.clear();
    }

    /// How often this call was made.
    pub(crate) fn calls(&self, call: &str) -> usize {
        self.world()
            .journal
            .iter()
            .filter(|made| *made == call)
            .count()
    }

    fn enter(&self, call: &'static str) -> Trouble {
        let mut world = self.world();
        world.journal.push(call.to_owned());
        match world.trouble.get_mut(call) {
            Some(list) if !list.is_empty() => list.remove(0),
            _ => Trouble::default(),
        }
    }

    async fn meet(&self, call: &'static str) -> PortResult<Trouble> {
        let trouble = self.enter(call);
        tokio::time::sleep(trouble.takes).await;
        match trouble.before {
            Some(text) => Err(PortError::Unavailable(text.to_owned())),
            None => Ok(trouble),
        }
    }

    pub(crate) fn worker(&self) -> Worker {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let settings = Settings {
            policy: policy(),
            fresh_id: Box::new(|| IntentId(format!("x{}", NAMES.fetch_add(1, Ordering::Relaxed)))),
            jitter: Box::new(|| 0),
        };
        Reconciler::new(
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            settings,
            self.counters.clone(),
        )
    }

    /// A message with this event, published now.
    pub(crate) fn task(&self, event: &Event) -> Task<Self> {
        Task {
            about: event.about.clone(),
            event: Some(event.clone()),
            carries: Some(event.id.clone()),
            payload: bytes_of(event),
            published_at: self.now(),
            ack: self.clone(),
        }
    }

    /// The wake-up that was armed last, when it is due.
    pub(crate) async fn wake_up(&self, device: &DeviceRef, carries: Option<&Event>) -> Task<Self> {
        let (due, payload) = self.world().armed.last().cloned().expect("armed");
        tokio::time::sleep(due.since(self.now())).await;
        Task {
            about: device.clone(),
            event: None,
            carries: carries.map(|event| event.id.clone()),
            payload: payload.unwrap_or_default(),
            published_at: self.now(),
            ack: self.clone(),
        }
    }

    pub(crate) async fn handle(&self, worker: &Worker, event: &Event) -> Ended {
        worker.handle(self.task(event)).await
    }
}

pub(crate) fn policy() -> RetryPolicy {
    let s = Duration::from_secs;
    RetryPolicy {
        first: s(2),
        cap: s(60),
        in_process: s(1),
        max_age: s(3600),
        max_conflicts: 3,
        credentials: s(60),
        throttled: s(10),
        full: s(900),
        lease: LEASE,
        delivery_lease: s(60),
    }
}

pub(crate) fn event(status: Status, revision: u64) -> Event {
    Event {
        id: EventId(format!("{status}-{revision}")),
        about: DeviceRef {
            tenant: "t".parse().unwrap(),
            device: "d".parse().unwrap(),
        },
        status,
        revision: Some(revision),
        created: None,
        replay: 0,
    }
}

pub(crate) fn accepted(revision: u64) -> Event {
    event(Status::Accepted, revision)
}

pub(crate) fn rejected(revision: u64) -> Event {
    event(Status::Rejected, revision)
}

/// The original bytes of an event: not what our own encoding would be.
pub(crate) fn bytes_of(event: &Event) -> Payload {
    Payload {
        subject: "WORKFLOWS.lifecycle.device.status".into(),
        body: format!("original of {}", event.id.0).into_bytes(),
        headers: vec![("k".into(), "v".into())],
        since: None,
    }
}

pub(crate) fn failing(failure: Failure, fate: Fate) -> Trouble {
    Trouble {
        failure: Some((failure, fate)),
        ..Trouble::default()
    }
}

pub(crate) fn slow(seconds: u64) -> Trouble {
    Trouble {
        takes: Duration::from_secs(seconds),
        ..Trouble::default()
    }
}

pub(crate) fn away() -> Trouble {
    Trouble {
        before: Some("away"),
        ..Trouble::default()
    }
}
