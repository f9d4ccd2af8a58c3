//! The course of one run: first things happen and go wrong, then everything comes to rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::deeds::Deed;
use crate::operators::{GRACE, adopt, resync, sweep};
use crate::worker::{Place, inhabit};
use crate::world::Servers;

/// Work that takes longer than this, in simulated time, has no end.
const LONGEST_REST: Duration = Duration::from_secs(48 * 3600);

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
            Deed::OtherHub(tenant) => self.servers.world().take_the_other_hub(tenant),
            Deed::Resync(case, wish) => {
                tokio::spawn(resync(self.servers.clone(), case, wish));
            }
            Deed::Adopt(case) => {
                tokio::spawn(adopt(self.servers.clone(), case));
            }
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
