//! One worker at one message: the loop of the reconciler's handler, one small action at a time,
//! so that anything may happen between any two of them.

use lifecycle::{
    Answer, Context, DeliveryReply, Device, Effect, Event, Facts, Failure, Fate, HubWrite, Input,
    IntentId, ReadReply, Record, Step, Timestamp, WriteReply, next,
};

use crate::brief;
use crate::world::{Saved, World};

/// What the worker is about to do.
#[derive(Debug)]
enum Phase {
    Load,
    Decide(Input),
    Save(Box<Step>),
    Perform(Effect),
    /// A read has begun.
    Reading(Timestamp),
    /// The hub has looked; the reply is on its way.
    Read(Timestamp, Option<Facts>),
    /// A request was sent.
    Writing(IntentId),
    /// A delivery was sent.
    Delivering(IntentId, String),
    Acknowledge,
}

/// A worker that holds a message.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) message: usize,
    /// This life of the worker: answers to an earlier one are lost.
    pub(crate) life: u64,
    event: Option<Event>,
    phase: Phase,
    device: Device,
    version: Option<u64>,
    stored: Option<Record>,
    unsent: Option<IntentId>,
    answer: Option<Answer>,
    /// ETag and generation of the identity at hand.
    held: Option<(String, String)>,
    save_began: Timestamp,
    /// The latest time of a server that it knows, and when it learned that.
    clock: (Timestamp, Timestamp),
}

impl Worker {
    pub(crate) fn new(
        message: usize,
        event: Option<Event>,
        stamp: Timestamp,
        world: &mut World,
    ) -> Self {
        Self {
            message,
            life: world.fresh(),
            event,
            phase: Phase::Load,
            device: Device::unknown(),
            version: None,
            stored: None,
            unsent: None,
            answer: None,
            held: None,
            save_began: world.now,
            clock: (stamp, world.now),
        }
    }

    /// A lower bound of the servers' time, as the reconciler keeps it.
    fn now(&self, world: &World) -> Timestamp {
        let (stamp, learned) = self.clock;
        stamp.plus(world.now.since(learned))
    }

    fn observe(&mut self, stamp: Timestamp, world: &World) {
        if stamp > self.now(world) {
            self.clock = (stamp, world.now);
        }
    }

    /// Whether it can do something by itself.
    pub(crate) fn is_ready(&self) -> bool {
        !matches!(self.phase, Phase::Writing(_) | Phase::Delivering(..))
    }

    /// What it is about to do, in short.
    pub(crate) fn brief(&self) -> String {
        let phase = match &self.phase {
            Phase::Load => "load".into(),
            Phase::Decide(input) => format!("decide on {}", brief::input(input)),
            Phase::Save(step) => format!("save, then {}", brief::effect(&step.effect)),
            Phase::Perform(effect) => format!("perform {}", brief::effect(effect)),
            Phase::Reading(_) => "read".into(),
            Phase::Read(..) => "hear what was read".into(),
            Phase::Writing(_) | Phase::Delivering(..) => "wait".into(),
            Phase::Acknowledge => "acknowledge".into(),
        };
        format!("message {}: {phase}", self.message)
    }

    /// Does one thing. False when the message is done with.
    pub(crate) fn act(&mut self, me: usize, world: &mut World) -> bool {
        let phase = std::mem::replace(&mut self.phase, Phase::Load);
        self.phase = match phase {
            Phase::Load => self.load(world),
            Phase::Decide(input) => self.decide(input, world),
            Phase::Save(step) => self.save(*step, world),
            Phase::Perform(effect) => self.perform(me, effect, world),
            Phase::Reading(began) => Phase::Read(began, world.hub.facts()),
            Phase::Read(began, found) => self.read(began, found, world),
            Phase::Acknowledge => {
                world.acknowledge(self.message);
                return false;
            }
            waiting @ (Phase::Writing(_) | Phase::Delivering(..)) => waiting,
        };
        true
    }

    fn load(&mut self, world: &mut World) -> Phase {
        if world.store_fails() {
            return Phase::Load;
        }
        self.held = None;
        self.device = match &world.record {
            None => Device::unknown(),
            Some(stored) => {
                let stored = stored.clone();
                self.observe(stored.written_at, world);
                Device::loaded(stored.record, stored.written_at)
            }
        };
        self.version = world.record.as_ref().map(|stored| stored.version);
        self.stored = self.device.record.clone();
        if let Some(never_sent) = self.unsent.take() {
            self.device.withdraw(&never_sent);
        }
        if let Some(answer) = &self.answer {
            self.device.recall(answer);
        }
        Phase::Decide(self.event.clone().map_or(Input::Woken, Input::Event))
    }

    fn step(&mut self, input: Input, world: &mut World) -> Step {
        let context = Context {
            now: self.now(world),
            fresh: IntentId(format!("x{}", world.fresh())),
            jitter: world.jitter(),
            integration: Some(&world.integration),
            policy: &world.policy,
        };
        next(std::mem::take(&mut self.device), input, &context)
    }

    fn decide(&mut self, input: Input, world: &mut World) -> Phase {
        let learnt = Answer::of(&input, &world.integration);
        self.answer = learnt.or(self.answer.take());
        let mut step = self.step(input, world);
        let asks_hub = match step.effect {
            Effect::Read | Effect::Write(_) => true,
            Effect::Deliver { .. } => self.held.is_none(),
            _ => false,
        };
        if let Some(wait) = world.gate_closed().filter(|_| asks_hub) {
            let until = self.now(world).plus(wait);
            self.device = step.device;
            step = self.step(Input::Deferred(until), world);
        }
        if step.effect.needs_saved_record() {
            self.save_began = world.now;
            return Phase::Save(Box::new(step));
        }
        self.unsent = None;
        self.device = step.device;
        Phase::Perform(step.effect)
    }

    fn save(&mut self, step: Step, world: &mut World) -> Phase {
        if step.device.record != self.stored {
            let record = step
                .device
                .record
                .clone()
                .expect("a record is never removed");
            self.unsent = step.device.planned_id().cloned();
            match world.save(&record, self.version) {
                Saved::Version(version) => {
                    self.version = Some(version);
                    self.stored = Some(record);
                }
                Saved::Lost | Saved::Unknown => return Phase::Load,
            }
        }
        self.unsent = None;
        self.answer = None;
        self.device = step.device;
        Phase::Perform(step.effect)
    }

    fn perform(&mut self, me: usize, effect: Effect, world: &mut World) -> Phase {
        match effect {
            Effect::Ack => Phase::Acknowledge,
            Effect::Arm(due) => after(world.arm(due), Phase::Acknowledge),
            Effect::Pause(wait) => {
                world.pass(wait);
                Phase::Decide(Input::Woken)
            }
            Effect::Read => Phase::Reading(self.now(world)),
            Effect::Write(request) => self.send(me, request, world),
            Effect::Deliver {
                claim, generation, ..
            } => self.deliver(me, claim, generation, world),
            Effect::Tag { etag } => Phase::Decide(Input::Tagged(world.tag(&etag))),
            Effect::AskMender => Phase::Decide(Input::Mender(world.ask_mender())),
            Effect::DeadLetter(event, _) => {
                let published = world.dead_letter(&event);
                after(published, Phase::Decide(Input::DeadLettered))
            }
            Effect::Report(ended) => {
                let published = world.report(&ended);
                after(published, Phase::Decide(Input::Reported))
            }
        }
    }

    fn read(&mut self, began: Timestamp, found: Option<Facts>, world: &mut World) -> Phase {
        let result = world.refusal().map_or(Ok(found), Err);
        if let Ok(found) = &result {
            self.hold(found.as_ref());
        }
        Phase::Decide(Input::Read(ReadReply { began, result }))
    }

    fn hold(&mut self, found: Option<&Facts>) {
        self.held = found.map(|facts| (facts.etag.clone(), facts.generation.clone()));
    }

    fn send(&mut self, me: usize, request: HubWrite, world: &mut World) -> Phase {
        let intent = request.intent().clone();
        if world.now.since(self.save_began) > world.policy.lease / 2 {
            let late = Failure::Transient("too late".into());
            return replied(intent, Err((late, Fate::Done)));
        }
        if let Some(failure) = world.refusal() {
            return replied(intent, Err((failure, Fate::Done)));
        }
        if let HubWrite::Update { etag, .. } = &request {
            let held = self.held.take().map(|(etag, _)| etag);
            world.require(
                held.as_ref() == Some(etag),
                "an update without its identity at hand",
            );
        }
        let record = self.device.record.as_ref().expect("it has a request");
        let key = record
            .intents
            .iter()
            .find(|open| open.id == intent)
            .map(|open| open.key);
        world.require(key.is_some(), "a request without an intent");
        world.send(
            request,
            key.unwrap_or_default(),
            self.version.unwrap_or(0),
            (me, self.life),
        );
        Phase::Writing(intent)
    }

    fn deliver(
        &mut self,
        me: usize,
        claim: IntentId,
        generation: String,
        world: &mut World,
    ) -> Phase {
        let refused = |failure| delivered(claim.clone(), &generation, Err((failure, Fate::Done)));
        if let Some(failure) = world.refusal() {
            return refused(failure);
        }
        if self.held.is_none() {
            self.hold(world.hub.facts().as_ref());
        }
        match &self.held {
            Some((_, held)) if *held == generation => {}
            _ => return refused(Failure::Conflict),
        }
        if world.now.since(self.save_began) > world.policy.delivery_lease / 2 {
            return refused(Failure::Transient("too late".into()));
        }
        world.send_delivery(&generation, (me, self.life));
        Phase::Delivering(claim, generation)
    }

    /// The answer to the request that it waits for.
    pub(crate) fn answered(&mut self, result: Result<Option<Facts>, (Failure, Fate)>) {
        if let Phase::Writing(intent) = &self.phase {
            let intent = intent.clone();
            self.held = None;
            if let Ok(found) = &result {
                self.hold(found.as_ref());
            }
            self.phase = replied(intent, result);
        }
    }

    /// The answer to the delivery that it waits for.
    pub(crate) fn delivered(&mut self, result: Result<String, (Failure, Fate)>) {
        if let Phase::Delivering(claim, generation) = &self.phase {
            self.phase = delivered(claim.clone(), generation, result);
        }
    }
}

fn delivered(claim: IntentId, generation: &str, result: Result<String, (Failure, Fate)>) -> Phase {
    Phase::Decide(Input::Delivered(DeliveryReply {
        claim,
        generation: generation.to_owned(),
        result,
    }))
}

fn replied(intent: IntentId, result: Result<Option<Facts>, (Failure, Fate)>) -> Phase {
    Phase::Decide(Input::Replied(WriteReply { intent, result }))
}

/// A stream that is not there makes the worker start over.
fn after(published: bool, then: Phase) -> Phase {
    if published { then } else { Phase::Load }
}
