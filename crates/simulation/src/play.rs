//! The course of one run: first things happen and go wrong, then everything comes to rest.

use std::sync::Arc;
use std::time::Duration;

use reconciler::ports::Hubs as _;
use reconciler::sweep::{SweepSettings, Sweeper};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::life::Life;
use crate::port::Port;
use crate::worker::{Place, inhabit};
use crate::world::{Servers, Trouble, World};

/// What changed within this time is left alone by the sweep.
const GRACE: Duration = Duration::from_secs(300);
/// Work that takes longer than this, in simulated time, has no end.
const LONGEST_REST: Duration = Duration::from_secs(48 * 3600);

/// A sweep that takes longer than this is given up.
const LONGEST_SWEEP: Duration = Duration::from_secs(6 * 3600);

/// Something that happens at a time.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Emit(usize),
    Trouble(usize, Trouble, Duration),
    Edit(usize),
    Move(usize),
    Leave(usize),
    RollBack,
    Jump,
    Sweep,
    Replay,
}

/// A run, and the processes in it.
pub(crate) struct Play {
    servers: Servers,
    places: Vec<Arc<Place>>,
}

impl Play {
    pub(crate) fn begin(servers: &Servers) -> Self {
        let workers = servers.world().scale.workers;
        let places: Vec<Arc<Place>> = (0..workers).map(|_| Arc::default()).collect();
        for place in &places {
            tokio::spawn(inhabit(servers.clone(), Arc::clone(place)));
        }
        Self {
            servers: servers.clone(),
            places,
        }
    }

    /// Plays it to its end, or to the first violation.
    pub(crate) async fn play(&self) -> Result<(), String> {
        self.trouble().await?;
        self.calm().await;
        self.finish_emitting().await?;
        self.rest().await?;
        self.servers.world().check_without_sweep();
        for _ in 0..2 {
            self.replay_all();
            self.rest().await?;
        }
        self.sweep_until_quiet().await?;
        self.servers.world().check_at_rest();
        self.verdict()?;
        self.drift().await?;
        self.verdict()
    }

    fn verdict(&self) -> Result<(), String> {
        let violation = self.servers.world().chronicle.violation.clone();
        violation.map_or(Ok(()), Err)
    }

    /// Everything that happens while things go wrong.
    async fn trouble(&self) -> Result<(), String> {
        let began = Instant::now();
        let deeds = self.servers.world().deeds();
        for (at, deed) in deeds {
            sleep_until(began + at).await;
            self.verdict()?;
            self.perform(deed).await;
            self.servers.world().check_accounts();
        }
        let span = self.servers.world().scale.span;
        sleep_until(began + span).await;
        self.verdict()
    }

    async fn perform(&self, deed: Deed) {
        match deed {
            Deed::Emit(case) => {
                if self.servers.world().emit(case) {
                    self.servers.arrived().notify_waiters();
                }
            }
            Deed::Trouble(tenant, trouble, time) => {
                self.servers.world().trouble(tenant, trouble, time);
            }
            Deed::Edit(case) => self.servers.world().edit_by_hand(case),
            Deed::Move(tenant) => self.servers.world().change_integration(tenant),
            Deed::Leave(place) => {
                if let Some(life) = self.places[place].life() {
                    self.servers.world().chronicle.fault("stopped");
                    life.leaving.cancel();
                }
            }
            Deed::RollBack => self.roll_back().await,
            Deed::Jump => self.servers.world().jump(),
            Deed::Sweep => {
                tokio::spawn(sweep(self.servers.clone()));
            }
            Deed::Replay => self.replay_all(),
        }
    }

    /// A store is put back only when nobody uses it, and takes longer than a request lives.
    async fn roll_back(&self) {
        let lives: Vec<_> = self
            .places
            .iter()
            .filter_map(|place| place.life())
            .collect();
        let lease = {
            let mut world = self.servers.world();
            world.closed = true;
            world.policy.lease
        };
        for life in lives {
            life.kill();
        }
        sleep(lease).await;
        {
            let mut world = self.servers.world();
            world.roll_back();
            world.closed = false;
        }
        self.servers.arrived().notify_waiters();
    }

    /// Nothing goes wrong any more; who stands still goes on, and every tenant has a hub.
    async fn calm(&self) {
        {
            let mut world = self.servers.world();
            world.calm();
            for tenant in 0..world.tenants.len() {
                if world.tenants[tenant].integration.is_none() && world.rng.chance(70) {
                    world.change_integration(tenant);
                }
            }
        }
        self.servers.arrived().notify_waiters();
        sleep(Duration::from_secs(200)).await;
    }

    async fn finish_emitting(&self) -> Result<(), String> {
        loop {
            let more = {
                let mut world = self.servers.world();
                let mut more = false;
                for case in 0..world.cases.len() {
                    more |= world.emit(case);
                }
                more
            };
            if !more {
                let left = self.servers.world().has_more_to_emit();
                if !left {
                    return Ok(());
                }
                self.rest().await?;
                self.servers.world().start_anyway();
            }
            self.servers.arrived().notify_waiters();
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Until nothing is left to do.
    async fn rest(&self) -> Result<(), String> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(500);
        while !self.servers.world().is_at_rest() {
            self.verdict()?;
            if began.elapsed() > LONGEST_REST {
                let left = self.servers.world().whatever_is_left();
                self.servers
                    .world()
                    .require(false, &format!("L1: never at rest: {left}"));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(20));
        }
        self.servers.world().check_accounts();
        self.verdict()
    }

    fn replay_all(&self) {
        let mut world = self.servers.world();
        for letter in world.ledger.letters() {
            world.replay(&letter);
        }
        drop(world);
        self.servers.arrived().notify_waiters();
    }

    /// Sweeps as often as it takes: what is gone must be heard of twice, and a deleted device is
    /// looked at after one lease and after ten.
    async fn sweep_until_quiet(&self) -> Result<(), String> {
        let (lease, wait) = {
            let world = self.servers.world();
            (world.policy.lease, world.longest_wait())
        };
        sleep(wait).await;
        for pause in [GRACE, GRACE, lease * 11, GRACE] {
            sleep(pause + Duration::from_secs(10)).await;
            sweep(self.servers.clone()).await;
            self.rest().await?;
            self.replay_all();
            self.rest().await?;
        }
        Ok(())
    }

    /// L4: one more edit of what is ours, and one sweep.
    async fn drift(&self) -> Result<(), String> {
        let edited = self.servers.world().drift();
        if !edited {
            return Ok(());
        }
        sleep(GRACE + Duration::from_secs(10)).await;
        sweep(self.servers.clone()).await;
        self.rest().await?;
        self.servers.world().check_at_rest();
        self.verdict()
    }
}

/// One pass over every tenant, by a process of its own.
async fn sweep(servers: Servers) {
    let life = Arc::new(Life::new(&servers));
    let port = Port {
        servers: servers.clone(),
        life: Arc::clone(&life),
    };
    servers.world().chronicle.saw("sweep begun");
    // Where something broke, no call is answered any more.
    drop(timeout(LONGEST_SWEEP, life.live(pass(port))).await);
}

async fn pass(port: Port) {
    let names = port.clone();
    let fresh = move || names.world().fresh().to_string();
    let sweeper = Sweeper::new(
        port.clone(),
        port.clone(),
        port.clone(),
        port.clone(),
        fresh,
    );
    let (tenants, lease) = {
        let world = port.world();
        sweeper.observe(world.now());
        let tenants: Vec<_> = world
            .tenants
            .iter()
            .map(|t| (t.id.clone(), t.since))
            .collect();
        (tenants, world.policy.lease)
    };
    for (tenant, since) in tenants {
        let Ok(Some(hub)) = port.hub(&tenant).await else {
            continue;
        };
        let settings = SweepSettings {
            grace: GRACE,
            lease,
            integrated_since: Some(since),
            ..SweepSettings::default()
        };
        let swept = sweeper.sweep(&tenant, &hub, &settings, &|_| {}).await;
        let mut world = port.world();
        world.chronicle.saw("sweep");
        world.note(|_| format!("swept {tenant}: {swept:?}"));
    }
}

impl World {
    /// What happens and when, in order.
    fn deeds(&mut self) -> Vec<(Duration, Deed)> {
        let mut deeds = Vec::new();
        self.plan_emissions(&mut deeds);
        let span = self.scale.span;
        for _ in 0..self.faults.windows {
            let tenant = self.rng.below(self.tenants.len());
            let trouble = *self.rng.pick(&Trouble::ALL);
            let time = self.rng.time(span / 2);
            deeds.push((self.rng.time(span), Deed::Trouble(tenant, trouble, time)));
        }
        if let Some(outage) = self.scale.outage {
            let begins = span.saturating_sub(outage) / 2;
            for tenant in 0..self.tenants.len() {
                let trouble = Trouble::ALL[self.rng.below(3)];
                deeds.push((begins, Deed::Trouble(tenant, trouble, outage)));
            }
        }
        let faults = self.faults.clone();
        for (count, deed) in [
            (faults.stops, Deed::Leave(0)),
            (faults.edits, Deed::Edit(0)),
            (faults.moves, Deed::Move(0)),
            (faults.rollbacks, Deed::RollBack),
            (faults.jumps, Deed::Jump),
            (faults.sweeps, Deed::Sweep),
            (2, Deed::Replay),
        ] {
            for _ in 0..count {
                let deed = match deed {
                    Deed::Leave(_) => Deed::Leave(self.rng.below(self.scale.workers)),
                    Deed::Edit(_) => Deed::Edit(self.rng.below(self.cases.len())),
                    Deed::Move(_) => Deed::Move(self.rng.below(self.tenants.len())),
                    other => other,
                };
                deeds.push((self.rng.time(span), deed));
            }
        }
        deeds.sort_by_key(|(at, _)| *at);
        deeds
    }

    fn plan_emissions(&mut self, deeds: &mut Vec<(Duration, Deed)>) {
        for case in 0..self.cases.len() {
            // Often many at once, so that they meet.
            let window = self.scale.span / *self.rng.pick(&[1, 4, 100]);
            let first = self.rng.time(self.scale.span.saturating_sub(window));
            for _ in 0..self.cases[case].script.emissions.len() {
                deeds.push((first + self.rng.time(window), Deed::Emit(case)));
            }
        }
    }

    /// Makes the next emission of a device; false if it may not come yet, or there is none.
    fn emit(&mut self, case: usize) -> bool {
        let here = &mut self.cases[case];
        let waits = here.script.ordered_start && here.emitted == 1 && here.stored.is_none();
        let Some(emission) = here.script.emissions.get(here.emitted).filter(|_| !waits) else {
            return false;
        };
        here.emitted += 1;
        here.truth = emission.truth;
        here.created = Some(emission.created);
        let events = emission.events.clone();
        let percent = self.faults.lost_event;
        for event in events {
            if self.rng.chance(percent) {
                self.chronicle.fault("event lost");
                self.note(|_| format!("lost: {}", crate::brief::event(&event)));
            } else {
                self.publish(case, event);
            }
        }
        true
    }

    fn has_more_to_emit(&self) -> bool {
        let mut cases = self.cases.iter();
        cases.any(|case| case.emitted < case.script.emissions.len())
    }

    /// Where the first event was lost, or nobody may work for it, there never is a record.
    fn start_anyway(&mut self) {
        for case in &mut self.cases {
            case.script.start_anyway();
        }
    }

    fn is_at_rest(&self) -> bool {
        let alarms = self.cases.iter().any(|case| case.alarm.is_some());
        self.queue.is_empty() && self.under_way == 0 && !alarms
    }
}
