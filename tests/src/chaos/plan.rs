//! What is done to whom, drawn from a seed before anything runs.

use serde::Serialize;

use super::{Sizes, Trouble};
use crate::clock;

/// Acts of a plan that a seed alone decides.
const ACTS: usize = 14;

/// One thing that is done. Workers are counted from 0; times are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "workers and milliseconds, as said above")]
pub enum Act {
    /// SIGKILL at any moment, and a new start.
    Kill { worker: usize },
    /// SIGKILL right after the next write took effect in the hub.
    KillAfterWrite { worker: usize },
    /// SIGKILL between the making of an identity and the delivery of its key, which Mender delays.
    KillBeforeDelivery { worker: usize },
    /// SIGKILL right after a worker has answered 202 to events that are told by HTTP.
    KillAfter202 { worker: usize },
    /// SIGKILL of all workers at once.
    KillAll,
    /// SIGSTOP, longer than the ack wait and the hub lease, then SIGCONT.
    Freeze { worker: usize, ms: u64 },
    /// SIGKILL of the only nats-server, or of the leader of the event stream, and a new start.
    KillNats { down_ms: u64 },
    /// The leader of each of our streams and consumers steps down, and that of JetStream as a whole: as in
    /// a rolling upgrade of NATS. Only in a cluster.
    StepDown,
    /// What a worker says to NATS does not arrive, its acks among it; then its connection breaks.
    LoseAcks { worker: usize, ms: u64 },
    /// The same for what NATS says to a worker.
    LoseConfirmations { worker: usize, ms: u64 },
    /// A worker's connection to NATS breaks.
    CutNats { worker: usize },
    /// All connections to the hub break.
    CutHub,
    /// The hub does its work and nobody hears of it.
    MuteHub { ms: u64 },
    /// Nobody is there where the hub was.
    HubDown { ms: u64 },
    /// Requests to the hub go wrong from now on.
    HubFaults { trouble: Trouble },
    /// Mender's deviceconfig is scaled down.
    DeviceconfigDown { ms: u64 },
    /// The hub's key is replaced; the integration gets the new one after a while.
    RotateKey { ms: u64 },
    /// A worker's wall clock is this far off from now on; monotonic time goes on as it did.
    StepClock { worker: usize, seconds: i64 },
    /// Nothing, while events go on.
    Calm { ms: u64 },
}

/// An episode.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Decides the rest, and what the fleet does.
    pub seed: u64,
    /// Workers at once.
    pub workers: usize,
    /// Whether NATS is a cluster of three.
    pub cluster: bool,
    /// Devices in the fleet.
    pub devices: usize,
    /// What is done, in order.
    pub acts: Vec<Act>,
}

impl Plan {
    /// The plan of a seed: always the same.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let workers = 1 + rng.below(4);
        let cluster = rng.below(5) == 0;
        let devices = 100 + 50 * rng.below(5);
        let acts = (0..ACTS).map(|_| act(&mut rng, workers, cluster));
        Self {
            seed,
            workers,
            cluster,
            devices,
            acts: acts.collect(),
        }
    }

    /// Kills and nothing else: of workers in turn at create, delivery and random moments, of the
    /// nats-server after every `per_nats` of them.
    #[must_use]
    pub fn of_kills(seed: u64, workers: usize, kills: usize, per_nats: usize) -> Self {
        let mut acts = Vec::new();
        for kill in 0..kills {
            let worker = kill % workers;
            acts.push(match kill % 3 {
                0 => Act::Kill { worker },
                1 => Act::KillAfterWrite { worker },
                _ => Act::KillBeforeDelivery { worker },
            });
            if (kill + 1) % per_nats == 0 {
                acts.push(Act::KillNats { down_ms: 200 });
            }
        }
        Self {
            seed,
            workers,
            cluster: false,
            devices: 300,
            acts,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        let steps = |act: &Act| matches!(act, Act::StepClock { .. });
        Sizes {
            workers: self.workers,
            cluster: self.cluster,
            clocks: clock::WORKS && self.acts.iter().any(steps),
            open_files: None,
        }
    }
}

fn act(rng: &mut Rng, workers: usize, cluster: bool) -> Act {
    let worker = rng.below(workers);
    match rng.below(27) {
        0..=3 => Act::Kill { worker },
        4..=6 => Act::KillAfterWrite { worker },
        7 | 8 => Act::KillBeforeDelivery { worker },
        9 => Act::KillAll,
        10 => Act::Freeze {
            worker,
            ms: rng.ms(10_500, 14_000),
        },
        11..=13 => Act::KillNats {
            down_ms: rng.ms(0, 2_000),
        },
        // Clients of a cluster connect to whichever server is there, not through a proxy.
        14 if cluster => Act::StepDown,
        15..=16 if cluster => Act::Kill { worker },
        14 => Act::LoseAcks {
            worker,
            ms: rng.ms(100, 3_000),
        },
        15 => Act::LoseConfirmations {
            worker,
            ms: rng.ms(100, 3_000),
        },
        16 => Act::CutNats { worker },
        17 => Act::CutHub,
        18 => Act::MuteHub {
            ms: rng.ms(500, 3_000),
        },
        19 => Act::HubDown {
            ms: rng.ms(500, 5_000),
        },
        20 | 21 => Act::HubFaults {
            trouble: Trouble::ALL[rng.below(Trouble::ALL.len())],
        },
        22 => Act::DeviceconfigDown {
            ms: rng.ms(1_000, 6_000),
        },
        23 => Act::RotateKey {
            ms: rng.ms(500, 3_000),
        },
        26 => Act::KillAfter202 { worker },
        _ => Act::StepClock {
            worker,
            seconds: [3_600, -3_600, 600, -600, 0][rng.below(5)],
        },
    }
}

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose numbers `seed` decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let rest = self.next() % (limit as u64);
        usize::try_from(rest).unwrap_or_default()
    }

    fn ms(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_one_another() {
        let plan = |seed| format!("{:?}", Plan::of_seed(seed));
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn a_hundred_seeds_hold_every_kind_of_act() {
        let plans: Vec<Plan> = (0..100).map(Plan::of_seed).collect();
        let acts = plans.iter().flat_map(|plan| &plan.acts);
        let kinds: std::collections::HashSet<_> = acts.map(std::mem::discriminant).collect();
        // All but `Calm`, which only tests ask for.
        assert_eq!(kinds.len(), 18);
        assert!(plans.iter().any(|plan| plan.cluster));
        for plan in &plans {
            assert!((1..=4).contains(&plan.workers));
        }
    }

    #[test]
    fn kills_are_as_many_as_asked_for() {
        let plan = Plan::of_kills(1, 3, 52, 10);
        let nats = |act: &&Act| matches!(act, Act::KillNats { .. });
        assert_eq!(plan.acts.iter().filter(nats).count(), 5);
        assert_eq!(plan.acts.len(), 57);
    }
}
