//! One message, from delivery to acknowledgement.
//!
//! The order is the protocol: load, decide, store by compare-and-set, perform, decide again,
//! and acknowledge last. Whoever loses a compare-and-set starts over with a fresh record.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lifecycle::{
    Answer, Context, Device, DeviceRef, Done, Effect, Event, EventId, HubWrite, Input,
    IntegrationRef, IntentId, Record, RetryPolicy, Step, Timestamp,
};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::crowd::{Crowd, Place};
use crate::gate::{Gate, Pass};
use crate::pacer::{HubPace, PerMinute};
use crate::perform::Held;
use crate::ports::{
    Ack, DeviceStore, Hub, Hubs, Mender, Payload, PortError, PortResult, Saved, Streams, Task,
};
use crate::seldom::Seldom;
use crate::suspension::{Asked, Suspension};

/// How often a message in work is kept from being delivered to somebody else.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How long the store and the streams may be away before a message is left to be redelivered.
const PATIENCE: Duration = Duration::from_secs(300);
/// Longest pause between two attempts at a message.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// When a message is offered again whose record cannot be understood.
const NOT_UNDERSTOOD_RETRY: Duration = Duration::from_secs(60);

/// What the reconciler needs that is neither a port nor derived.
pub struct Settings {
    /// Times that govern retries.
    pub policy: RetryPolicy,
    /// Makes names that were never used before.
    pub fresh_id: Box<dyn Fn() -> IntentId + Send + Sync>,
    /// A random number from 0 to 1000.
    pub jitter: Box<dyn Fn() -> u16 + Send + Sync>,
}

/// How the handling of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Acknowledged.
    Acknowledged,
    /// Left for a redelivery.
    Left,
}

/// Drives devices to what Mender wants of them.
pub struct Reconciler<S, H, M, T> {
    pub(crate) store: S,
    pub(crate) hubs: H,
    pub(crate) mender: M,
    pub(crate) streams: T,
    pub(crate) settings: Settings,
    pub(crate) clock: ServerClock,
    pub(crate) gate: Gate,
    crowd: Arc<Crowd>,
    /// Which retries are told.
    pub(crate) retries: Seldom,
    /// What has been done so far.
    pub(crate) counters: Arc<Counters>,
}

/// A message without its acknowledgement.
pub(crate) struct Work {
    pub(crate) about: DeviceRef,
    event: Option<Event>,
    carries: Option<EventId>,
    payload: Payload,
}

impl Work {
    /// The bytes of `event`, if this message holds them: those of another life of it say so.
    pub(crate) fn bytes_of(&self, event: &Event) -> Option<&Payload> {
        let of_this_life = |mine: &Event| mine.replay == event.replay;
        let mine = self.carries.as_ref() == Some(&event.id);
        (mine && self.event.as_ref().is_none_or(of_this_life)).then_some(&self.payload)
    }
}

/// How one attempt at a message ended.
enum Attempt {
    Done,
    /// Somebody else changed the record; what was planned then was never sent.
    Lost,
}

/// What an attempt that was lost knows of its own requests, for the next attempt.
#[derive(Default)]
struct Carried {
    /// A request that was planned, perhaps stored, but never sent.
    unsent: Option<IntentId>,
    /// An answer that is not stored yet.
    answer: Option<Answer>,
}

/// What one attempt knows besides the device.
pub(crate) struct Handling<B: Hub> {
    pub(crate) hub: Option<B>,
    pub(crate) held: Option<Held<B::Identity>>,
    version: Option<u64>,
    stored: Option<Record>,
    /// When the last compare-and-set began: the lease of an intent counts from before it.
    pub(crate) save_began: Instant,
}

impl<S, H, M, T> Reconciler<S, H, M, T>
where
    S: DeviceStore,
    H: Hubs,
    M: Mender<Identity = <H::Hub as Hub>::Identity>,
    T: Streams,
{
    /// A reconciler over these ports.
    pub fn new(
        store: S,
        hubs: H,
        mender: M,
        streams: T,
        settings: Settings,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            hubs,
            mender,
            streams,
            gate: Gate::new(&settings.policy),
            crowd: Crowd::new(None),
            retries: Seldom::default(),
            settings,
            clock: ServerClock::new(),
            counters,
        }
    }

    /// Lets at most so many requests to one hub be under way, so that one that hangs leaves room for
    /// the others; 32 if nothing is said.
    #[must_use]
    pub fn with_most_per_hub(mut self, most: usize) -> Self {
        self.crowd = Crowd::new(Some(most));
        self
    }

    /// What is not asked of hubs at present because they refuse it, by integration.
    pub fn suspensions(&self) -> Vec<(String, Suspension)> {
        self.gate.suspensions()
    }

    /// How fast the hubs are asked at present.
    pub fn paces(&self) -> Vec<HubPace> {
        self.gate.paces()
    }

    /// How many requests for events to this hub have no answer yet.
    pub fn under_way(&self, hub: &str) -> usize {
        self.crowd.under_way(hub)
    }

    /// Handles one message to its end.
    pub async fn handle<A: Ack + Sync>(&self, task: Task<A>) -> Ended {
        self.clock.observe(task.published_at);
        let Task {
            about,
            event,
            carries,
            payload,
            ack,
            ..
        } = task;
        let work = Work {
            about,
            event,
            carries,
            payload,
        };
        let verdict = tokio::select! {
            // In this order, not by dice: a simulated run depends on its seed alone.
            biased;
            verdict = self.work(&work) => verdict,
            never = keep(&ack) => match never {},
        };
        let (result, ended) = match verdict {
            Ok(()) => (ack.ack().await, Ended::Acknowledged),
            Err(delay) => (ack.retry(delay).await, Ended::Left),
        };
        if let Err(error) = result {
            tracing::warn!(device = %work.about.device, %error, "acknowledgement lost; the message comes again");
            return Ended::Left;
        }
        ended
    }

    /// Works on a message until it may be acknowledged, or says when to offer it again.
    async fn work(&self, work: &Work) -> Result<(), Duration> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(50);
        let mut carried = Carried::default();
        loop {
            match self.attempt(work, &mut carried).await {
                Ok(Attempt::Done) => return Ok(()),
                // Somebody else is at work on this device, or the store answers from behind.
                Ok(Attempt::Lost) => {
                    self.counters.lost.fetch_add(1, Ordering::Relaxed);
                }
                Err(PortError::NotUnderstood(what)) => {
                    tracing::error!(
                        tenant = %work.about.tenant, device = %work.about.device, what,
                        "record not understood: left as it is; run the version that wrote it"
                    );
                    return Err(NOT_UNDERSTOOD_RETRY);
                }
                Err(PortError::Unavailable(what)) => {
                    tracing::warn!(device = %work.about.device, what, "store or streams unavailable, trying again");
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(pause);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt: from a fresh record to the end of the message.
    async fn attempt(&self, work: &Work, carried: &mut Carried) -> PortResult<Attempt> {
        let hub = self.hubs.hub(&work.about.tenant).await?;
        let stored = self.store.load(&work.about).await?;
        let version = stored.as_ref().map(|stored| stored.version);
        let mut device = match stored {
            None => Device::unknown(),
            Some(stored) => {
                if self.store.own_clock().is_none() {
                    self.clock.observe(stored.written_at);
                }
                Device::loaded(stored.record, stored.written_at)
            }
        };
        let stored = device.record.clone();
        carried.go_into(&mut device);
        let mut handling = Handling {
            hub,
            held: None,
            version,
            stored,
            save_began: Instant::now(),
        };
        let mut input = work.event.clone().map_or(Input::Woken, Input::Event);
        loop {
            let step = self.next(&handling, device, input);
            let (step, place) = self.pass_gate(&handling, step).await;
            if step.effect.needs_saved_record()
                && !self.save(work, &step, &mut handling, carried).await?
            {
                return Ok(Attempt::Lost);
            }
            if !self.is_current(work, &step.effect, &handling).await? {
                carried.unsent = step.device.planned_id().cloned();
                return Ok(Attempt::Lost);
            }
            carried.unsent = None;
            let Step {
                device: after,
                effect,
            } = step;
            match self.perform(work, effect, &after, &mut handling).await? {
                None => return Ok(Attempt::Done),
                Some(reply) => input = reply,
            }
            drop(place);
            if let Some(hub) = &handling.hub {
                let learnt = Answer::of(&input, hub.integration());
                carried.answer = learnt.or(carried.answer.take());
            }
            device = after;
        }
    }

    /// Whether a change may still be made with the integration that it was planned for: it may
    /// have been replaced or removed while the record was stored.
    async fn is_current(
        &self,
        work: &Work,
        effect: &Effect,
        handling: &Handling<H::Hub>,
    ) -> PortResult<bool> {
        if !matches!(
            effect,
            Effect::Write(_) | Effect::Deliver { .. } | Effect::Tag { .. }
        ) {
            return Ok(true);
        }
        let present = self.hubs.hub(&work.about.tenant).await?;
        let integration = |hub: &Option<H::Hub>| hub.as_ref().map(|hub| hub.integration().clone());
        Ok(integration(&present) == integration(&handling.hub))
    }

    fn next(&self, handling: &Handling<H::Hub>, device: Device, input: Input) -> Step {
        let context = Context {
            now: self.now(),
            fresh: (self.settings.fresh_id)(),
            jitter: (self.settings.jitter)(),
            integration: handling.hub.as_ref().map(Hub::integration),
            policy: &self.settings.policy,
        };
        lifecycle::next(device, input, &context)
    }

    /// The present by the clock that stamps the records.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.own_clock().unwrap_or_else(|| self.clock.now())
    }

    /// A time of [`Self::now`]'s clock, by the clock that stamps the messages.
    pub(crate) fn by_the_streams(&self, time: Timestamp) -> Timestamp {
        match self.store.own_clock() {
            None => time,
            Some(now) => self.clock.now().plus(time.since(now)),
        }
    }

    /// Waits for the hub's pace and for a place among its requests, or turns the step into a
    /// deferral.
    async fn pass_gate(&self, handling: &Handling<H::Hub>, step: Step) -> (Step, Option<Place>) {
        let mut pass = self.ask_gate(handling, &step.effect, Gate::ask);
        if let Pass::After(wait) = pass
            && !wait.is_zero()
        {
            tokio::time::sleep(wait).await;
            pass = self.ask_gate(handling, &step.effect, Gate::ask_again);
        }
        let wait = match pass {
            Pass::After(_) => match self.enter(handling, &step.effect).await {
                Ok(place) => return (step, place),
                Err(wait) => wait,
            },
            Pass::Later(wait) => wait,
        };
        let until = self.now().plus(wait);
        let deferred = self.next(handling, step.device, Input::Deferred(until));
        (deferred, None)
    }

    /// A place for a request to the hub. A delivery needs none: what it waits for is Mender.
    async fn enter(
        &self,
        handling: &Handling<H::Hub>,
        effect: &Effect,
    ) -> Result<Option<Place>, Duration> {
        let asks = matches!(effect, Effect::Read | Effect::Write(_) | Effect::Tag { .. });
        match handling.hub.as_ref().filter(|_| asks) {
            Some(hub) => {
                let allowed = hub.allowed_per_minute();
                let entered = self.crowd.enter(&hub.integration().hub, allowed);
                entered.await.map(Some)
            }
            None => Ok(None),
        }
    }

    fn ask_gate(
        &self,
        handling: &Handling<H::Hub>,
        effect: &Effect,
        ask: impl Fn(&Gate, &IntegrationRef, Asked, PerMinute) -> Pass,
    ) -> Pass {
        let free = Pass::After(Duration::ZERO);
        let Some(hub) = &handling.hub else {
            return free;
        };
        let asked = match effect {
            Effect::Read => Asked::Read,
            Effect::Write(request) => asked_by(request),
            // The identity with its key is read first, unless it is at hand.
            Effect::Deliver { .. } if handling.held.is_none() => Asked::Read,
            Effect::Tag { .. } => Asked::Twin,
            _ => return free,
        };
        let allowed = hub.allowed_per_minute();
        ask(&self.gate, hub.integration(), asked, allowed)
    }

    /// Stores the record if it has changed; false if somebody else was quicker.
    async fn save(
        &self,
        work: &Work,
        step: &Step,
        handling: &mut Handling<H::Hub>,
        carried: &mut Carried,
    ) -> PortResult<bool> {
        let Some(record) = &step.device.record else {
            return Ok(true);
        };
        if handling.stored.as_ref() == Some(record) {
            carried.answer = None;
            return Ok(true);
        }
        carried.unsent = step.device.planned_id().cloned();
        handling.save_began = Instant::now();
        let saved = match handling.version {
            None => self.store.create(&work.about, record).await?,
            Some(version) => {
                self.store
                    .compare_and_set(&work.about, record, version)
                    .await?
            }
        };
        match saved {
            Saved::Lost => Ok(false),
            Saved::Version(version) => {
                handling.version = Some(version);
                handling.stored = Some(record.clone());
                carried.answer = None;
                Ok(true)
            }
        }
    }

    pub(crate) fn count_outcomes(&self, work: &Work, ended: &[Done]) {
        for done in ended {
            let since = work.bytes_of(&done.event).and_then(|bytes| bytes.since);
            let took = since.map(|since| self.clock.now().since(since));
            self.counters.ended(done.outcome, took);
        }
    }
}

impl Carried {
    fn go_into(&mut self, device: &mut Device) {
        if let Some(never_sent) = self.unsent.take() {
            device.withdraw(&never_sent);
        }
        if let Some(answer) = &self.answer {
            device.recall(answer);
        }
    }
}

/// The kind of a request.
pub(crate) const fn asked_by(request: &HubWrite) -> Asked {
    match request {
        HubWrite::Create { .. } => Asked::Create,
        HubWrite::Update { .. } | HubWrite::Keys { .. } | HubWrite::Delete { .. } => Asked::Change,
    }
}

/// Keeps a message from being delivered to somebody else, for as long as it is polled. It runs
/// beside the work, which must not wait for it.
async fn keep<A: Ack>(ack: &A) -> Infallible {
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        ticks.tick().await;
        if let Err(error) = ack.in_progress().await {
            tracing::debug!(%error, "could not report progress");
        }
    }
}
