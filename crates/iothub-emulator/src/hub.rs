//! Everything the connections of one hub share, and the only place with clock and dice.
//!
//! Each part has its own short lock, never held across an await: state first of all, whose lock
//! also orders the effects, so that their times in the journal tell which came first.

mod keeping;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

use tokio::sync::Notify;

use crate::auth::{Audience, Policies};
use crate::authentication::FreshKeys;
use crate::behaviour::Behaviour;
use crate::blobs::Blobs;
use crate::choices::Choices;
use crate::configurations::Configurations;
use crate::dates::{Clock, Ticks};
use crate::entra::Entra;
use crate::faults::FaultProgram;
use crate::jobs::Jobs;
use crate::journal::Journal;
use crate::record::Record;
use crate::registry::{Fresh, Registry};
use crate::restore::Start;
use crate::store::Store;
use crate::switchboard::Switchboard;
use crate::throttle::{Throttle, Tier};
use crate::transfers::Transfers;

/// Size of the keys the hub makes.
const KEY_BYTES: usize = 32;

/// What a hub starts with.
pub(crate) struct Settings {
    /// The state it starts with.
    pub(crate) start: Start,
    pub(crate) policies: Policies,
    pub(crate) audience: Audience,
    /// Where import and export jobs read and write.
    pub(crate) blobs: Blobs,
    pub(crate) entra: Entra,
    /// Whether shared access signatures open nothing.
    pub(crate) without_shared_access: bool,
    /// The host in the connection string.
    pub(crate) host: String,
    pub(crate) tier: Tier,
    pub(crate) units: u32,
    /// How fast the clock of the limits runs.
    pub(crate) throttle_speed: u32,
    pub(crate) journal: Journal,
    /// Where whole exchanges are written down, if anywhere.
    pub(crate) record: Option<Record>,
    /// Time added to every request.
    pub(crate) latency: Duration,
    /// How long an import or export job waits before it begins.
    pub(crate) transfer_wait: Duration,
    pub(crate) choices: Choices,
    /// How new devices behave.
    pub(crate) template: Option<Arc<Behaviour>>,
}

/// One emulated hub.
pub(crate) struct Hub {
    registry: Mutex<Registry>,
    jobs: Mutex<Jobs>,
    configurations: Mutex<Configurations>,
    transfers: Mutex<Transfers>,
    store: Option<Store>,
    pub(crate) entra: Entra,
    /// Whether shared access signatures open nothing.
    pub(crate) without_shared_access: bool,
    host: String,
    /// Where import and export jobs read and write.
    pub(crate) blobs: Blobs,
    tier: Tier,
    units: u32,
    pub(crate) policies: RwLock<Policies>,
    pub(crate) audience: Audience,
    throttle: Mutex<Throttle>,
    faults: Mutex<FaultProgram>,
    pub(crate) journal: Journal,
    /// Where whole exchanges are written down, if anywhere.
    pub(crate) record: Option<Record>,
    pub(crate) clock: Clock,
    /// Time added to every request, half of it on the way in.
    pub(crate) latency: Duration,
    /// How long an import or export job waits before it begins.
    pub(crate) transfer_wait: Duration,
    /// What to do where the service's documents say nothing.
    pub(crate) choices: Choices,
    /// Wakes who waits for a device to connect.
    pub(crate) connections: Notify,
    /// The connections of devices.
    pub(crate) switchboard: Switchboard,
    /// How new devices behave.
    template: Option<Arc<Behaviour>>,
    started: Instant,
    dice: SystemRandom,
}

impl Hub {
    /// A hub that starts like this.
    pub(crate) fn new(settings: Settings) -> Self {
        let start = settings.start;
        let clock = Clock::default();
        clock.start_after(start.newest);
        Self {
            registry: Mutex::new(start.registry),
            jobs: Mutex::new(start.jobs),
            configurations: Mutex::new(start.configurations),
            store: start.store,
            transfers: Mutex::default(),
            blobs: settings.blobs,
            entra: settings.entra,
            without_shared_access: settings.without_shared_access,
            host: settings.host,
            tier: settings.tier,
            units: settings.units,
            policies: RwLock::new(settings.policies),
            audience: settings.audience,
            throttle: Mutex::new(
                Throttle::new(settings.tier, settings.units).running(settings.throttle_speed),
            ),
            faults: Mutex::default(),
            journal: settings.journal,
            record: settings.record,
            clock,
            latency: settings.latency,
            transfer_wait: settings.transfer_wait,
            choices: settings.choices,
            connections: Notify::new(),
            switchboard: Switchboard::default(),
            template: settings.template,
            started: Instant::now(),
            dice: SystemRandom::new(),
        }
    }

    /// Works on the state, at one moment that no other work shares.
    pub(crate) fn with_registry<T>(&self, work: impl FnOnce(&mut Registry, Ticks) -> T) -> T {
        let mut registry = locked(&self.registry);
        // The time is taken with the lock held: later effects have later times.
        let now = self.clock.tick();
        registry.begin(now);
        let result = work(&mut registry, now);
        self.keep_devices(&mut registry);
        self.switchboard.pass_on(registry.take_signals());
        result
    }

    /// The scheduled jobs.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        locked(&self.jobs)
    }

    /// The configurations.
    pub(crate) fn configurations(&self) -> MutexGuard<'_, Configurations> {
        locked(&self.configurations)
    }

    /// Where clients ask for tokens over TLS.
    pub(crate) fn authority(&self) -> String {
        format!("https://{}", self.host)
    }

    /// The hub's name, as in its connection strings but without a port.
    pub(crate) fn name(&self) -> &str {
        let host = self.host.as_str();
        host.split_once(':').map_or(host, |(name, _)| name)
    }

    /// The import and export jobs.
    pub(crate) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        locked(&self.transfers)
    }

    /// How many scheduled jobs may be at work or planned.
    pub(crate) fn job_limit(&self) -> usize {
        self.choices.max_jobs.unwrap_or(self.tier.jobs_at_once())
    }

    /// How long a job waits between two devices.
    pub(crate) fn job_pace(&self) -> Option<Duration> {
        self.tier.job_pace(self.units)
    }

    /// The rules for things that go wrong.
    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultProgram> {
        locked(&self.faults)
    }

    /// The limits, with the time to ask them about.
    pub(crate) fn throttle(&self) -> (MutexGuard<'_, Throttle>, Duration) {
        let throttle = locked(&self.throttle);
        let now = self.started.elapsed();
        (throttle, now)
    }

    /// What a write may need from outside; its time is set once the state is locked.
    pub(crate) fn fresh(&self) -> Fresh {
        let etag_seed = u32::from_be_bytes(self.random());
        let keys = FreshKeys {
            primary: self.new_key(),
            secondary: self.new_key(),
        };
        Fresh {
            now: Ticks::NEVER,
            etag_seed,
            keys,
            template: self.template.clone(),
            rules: self.choices.device_rules(),
        }
    }

    fn new_key(&self) -> String {
        STANDARD.encode(self.random::<KEY_BYTES>())
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        random(&self.dice)
    }
}

/// A key as the hub makes them: 32 random bytes in base64.
pub(crate) fn new_key() -> String {
    STANDARD.encode(random::<KEY_BYTES>(&SystemRandom::new()))
}

fn random<const N: usize>(dice: &SystemRandom) -> [u8; N] {
    let mut bytes = [0; N];
    dice.fill(&mut bytes)
        .expect("the system's random numbers do not run out once it has booted");
    bytes
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is whole or not at all, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
