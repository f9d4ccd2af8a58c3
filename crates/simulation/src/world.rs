//! The state of all servers in one run, and the clock by which they go.
//!
//! Everything happens on one thread, under tokio's paused clock, and every choice comes from one
//! generator: a run depends on its seed alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::{DeviceRef, IntegrationRef, Mark, RetryPolicy, TenantId, Timestamp};
use reconciler::PerMinute;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::case::Case;
use crate::chronicle::Chronicle;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::profile::{Faults, Profile, Scale};
use crate::queue::Queue;
use crate::rng::Rng;
use crate::script::Script;

/// When runs begin, by the servers' clocks.
const EPOCH: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// More calls than this for each event, and work has no end.
const CALLS_FOR_AN_EVENT: u64 = 2_000;

/// Why a hub does not serve for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Refuses,
    Silent,
    Broken,
    Unauthorized,
    Full,
    Busy,
}

/// One tenant and its two hubs, of which one is in use.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) integration: Option<IntegrationRef>,
    pub(crate) changes: u64,
    pub(crate) since: Timestamp,
    pub(crate) allowed: PerMinute,
    pub(crate) trouble: [Option<(Trouble, Instant)>; 2],
    /// For each process and credential: when it was refused, and what was asked since.
    pub(crate) refused: BTreeMap<(u64, u64), (Instant, usize)>,
}

/// All servers.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) scale: Scale,
    pub(crate) faults: Faults,
    pub(crate) policy: RetryPolicy,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) cases: Vec<Case>,
    pub(crate) queue: Queue,
    pub(crate) ledger: Ledger,
    pub(crate) chronicle: Chronicle,
    /// Requests and deliveries under way, and messages in work.
    pub(crate) under_way: usize,
    /// Whether records have a clock of their own: how far it is ahead, in microseconds.
    pub(crate) own_clock: Option<i64>,
    /// How far the servers' clocks have jumped, in microseconds.
    pub(crate) jumped: i64,
    /// No messages are handed out.
    pub(crate) closed: bool,
    began: Instant,
    calls: u64,
    count: u64,
}

/// A handle of all servers; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Servers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    arrived: Notify,
}

impl Servers {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Shared {
            world: Mutex::new(world),
            arrived: Notify::new(),
        }))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when there may be work.
    pub(crate) fn arrived(&self) -> &Notify {
        &self.0.arrived
    }
}

impl World {
    /// A world as it is before anything has happened. Call it inside of a runtime.
    pub(crate) fn new(seed: u64, profile: Profile, mutant: Option<Mutant>, telling: bool) -> Self {
        let mut rng = Rng::new(seed);
        let scale = profile.scale(&mut rng);
        let faults = profile.faults(&mut rng);
        let policy = profile.policy(&mut rng);
        let own_clock = rng.chance(25).then(|| {
            let hour = 3_600_000_000;
            i64::try_from(rng.below(2 * hour)).expect("hours fit") - 3_600_000_000
        });
        let mut world = Self {
            tenants: (0..scale.tenants).map(|n| tenant(n, &mut rng)).collect(),
            cases: Vec::new(),
            rng,
            scale,
            faults,
            policy,
            mutant,
            queue: Queue::default(),
            ledger: Ledger::default(),
            chronicle: Chronicle::new(telling),
            under_way: 0,
            own_clock,
            jumped: 0,
            closed: false,
            began: Instant::now(),
            calls: 0,
            count: 0,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        for tenant in 0..self.scale.tenants {
            for n in 0..self.scale.devices {
                let about = DeviceRef {
                    tenant: self.tenants[tenant].id.clone(),
                    // Two tenants may use one id.
                    device: format!("d{n}").parse().expect("a device id"),
                };
                let mut script = Script::random(&mut self.rng, &about, self.scale.changes);
                if self.faults.rollbacks + self.faults.lost_event > 0 {
                    script.start_anyway();
                }
                self.cases.push(Case::new(about, tenant, script));
                if self.rng.chance(12) {
                    let case = self.cases.len() - 1;
                    let hub = self.rng.below(2);
                    // Somebody else's, and perhaps another installation's of ours.
                    let mark = Mark::parse("mender:other:x1").filter(|_| self.rng.chance(50));
                    self.place_by_hand(case, hub, mark);
                    self.chronicle.fault("foreign identity");
                }
            }
        }
    }

    /// Time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The time by the clock that stamps messages.
    pub(crate) fn now(&self) -> Timestamp {
        let micros = EPOCH.plus(self.elapsed()).as_micros();
        Timestamp::from_micros(micros + self.jumped)
    }

    /// The time by the clock that stamps records.
    pub(crate) fn store_now(&self) -> Timestamp {
        let ahead = self.own_clock.unwrap_or(0);
        Timestamp::from_micros(self.now().as_micros() + ahead)
    }

    pub(crate) fn case_of(&self, about: &DeviceRef) -> usize {
        let found = self.cases.iter().position(|case| case.about == *about);
        found.expect("only devices of this run are asked for")
    }

    /// A number never used before.
    pub(crate) const fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(crate) fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A port was called. Where work has no end, or something broke, nothing goes on.
    pub(crate) fn called(&mut self, what: &'static str, who: u64) -> bool {
        self.calls += 1;
        let most = CALLS_FOR_AN_EVENT * (100 + self.ledger.published());
        if self.calls > most && self.scale.outage.is_none() {
            self.require(false, "L1, L8: work has no end");
        }
        self.chronicle.stamp(self.micros(), what, who);
        self.chronicle.violation.is_none()
    }

    /// How long a call takes on its way; `None` is at once.
    pub(crate) fn latency(&mut self) -> Option<Duration> {
        if self.rng.chance(self.faults.slow) {
            self.chronicle.fault("slow call");
            return Some(self.rng.time(self.policy.lease));
        }
        match self.rng.below(10) {
            0..=4 => None,
            5..=6 => Some(Duration::ZERO),
            7..=8 => Some(self.rng.time(Duration::from_millis(20))),
            _ => Some(self.rng.time(Duration::from_millis(400))),
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm(&mut self) {
        self.faults = Faults::default();
        for tenant in &mut self.tenants {
            tenant.trouble = [None, None];
        }
    }

    pub(crate) fn require(&mut self, holds: bool, what: &str) {
        if !holds && self.chronicle.violation.is_none() {
            self.note(|_| format!("VIOLATION: {what}"));
            self.chronicle.violation = Some(what.to_owned());
        }
    }

    /// Tells what happens, if anybody listens.
    pub(crate) fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.chronicle.is_telling() {
            let line = what(self);
            let micros = self.micros();
            self.chronicle.tell(micros, &line);
        }
    }
}

fn tenant(n: usize, rng: &mut Rng) -> Tenant {
    Tenant {
        id: format!("t{n}").parse().expect("a tenant id"),
        integration: Some(IntegrationRef {
            id: format!("i{n}"),
            hub: hub_name(n, 0),
            generation: 1,
        }),
        changes: 1,
        since: Timestamp::from_micros(0),
        allowed: *rng.pick(&[None, Some(100), Some(5000)]),
        trouble: [None, None],
        refused: BTreeMap::new(),
    }
}

/// Name of one of a tenant's two hubs.
pub(crate) fn hub_name(tenant: usize, hub: usize) -> String {
    format!("hub-{tenant}-{hub}")
}

/// Which of a tenant's two hubs has this name.
pub(crate) fn hub_number(name: &str) -> usize {
    usize::from(name.ends_with("-1"))
}
