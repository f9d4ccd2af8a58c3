//! Plays seeds: one, or many on all cores.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ledger::Account;
use crate::mutant::Mutant;
use crate::play::Play;
use crate::profile::Profile;
use crate::world::{Servers, World};

/// What one run was, and whether anything broke.
#[derive(Debug)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What broke first.
    pub violation: Option<String>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// What happened, by kind.
    pub seen: BTreeMap<&'static str, u64>,
    /// How the events ended.
    pub account: Account,
    /// Simulated time.
    pub simulated: Duration,
    /// Hash of everything that happened: the same for the same seed.
    pub hash: u64,
    /// The story, if it was asked for.
    pub story: Vec<String>,
}

/// How a run is played beside its seed.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// What kind of run.
    pub profile: Profile,
    /// What is broken on purpose.
    pub mutant: Option<Mutant>,
    /// Whether its story is told.
    pub telling: bool,
}

/// Plays one seed.
///
/// # Panics
///
/// If the system has no thread-local state for a runtime left.
#[must_use]
pub fn play(seed: u64, how: How) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let (servers, simulated) = runtime.block_on(async {
        let world = World::new(seed, how.profile, how.mutant, how.telling);
        let servers = Servers::new(world);
        // What broke stands in the chronicle.
        drop(Play::begin(&servers).play().await);
        let simulated = servers.world().elapsed();
        (servers, simulated)
    });
    drop(runtime);
    let mut world = servers.world();
    Run {
        seed,
        violation: world.chronicle.violation.take(),
        faults: std::mem::take(&mut world.chronicle.faults),
        seen: std::mem::take(&mut world.chronicle.seen),
        account: world.ledger.account(),
        simulated,
        hash: world.chronicle.hash(),
        story: std::mem::take(&mut world.chronicle.story),
    }
}
