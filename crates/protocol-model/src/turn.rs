//! What a worker does in one step: the loop of the reconciler's handler, cut where something else
//! may happen in between.
//!
//! A step ends with at most one access to anything shared, and takes the core's decision about its
//! result along, since nobody can see a decision.

use lifecycle::{
    Context, Device, Effect, Failure, Fate, HubWrite, Input, IntentId, ReadReply, Step, WriteReply,
    next,
};

use crate::{
    hub::Reply,
    mutant::Mutant,
    rule::{Rule, hub_of, rank},
    scenario::{Scenario, place, tick, time},
    shared::Shared,
    state::{Flight, Identity, Parcel, Phase, Stored, Task, Worker, World},
};

/// How a save went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saving {
    /// The store answered.
    Answered,
    /// It was saved, but the answer was lost.
    AnswerLost,
    /// It never reached the store, and nobody knows.
    Lost,
}

/// One worker's step.
pub(crate) struct Turn<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) now: u8,
    /// Hub of the tenant's integration.
    pub(crate) hub: u8,
    pub(crate) world: &'a mut World,
}

impl Turn<'_> {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A worker that has just received a message.
    pub(crate) fn receive(&mut self, task: Task) -> Worker {
        let (Task::Event(crate::state::Message { stamp, .. }) | Task::Wake(stamp)) = task;
        if self.is(Mutant::AcksFirst) {
            self.acknowledge(task);
        }
        Worker {
            task,
            behind: if self.scenario.behind {
                self.now - stamp
            } else {
                0
            },
            hub: self.hub,
            hub_then: self.hub,
            device: Device::unknown(),
            version: None,
            stored: None,
            unsent: None,
            held: None,
            saved_at: self.now,
            phase: Phase::Load,
        }
    }

    /// Takes the next step; `None` when the message is done with.
    pub(crate) fn step(&mut self, mut worker: Worker) -> Option<Worker> {
        match std::mem::replace(&mut worker.phase, Phase::Load) {
            Phase::Load => {
                let stored = self.world.store.clone();
                Some(self.load(worker, stored.as_ref()))
            }
            Phase::Save(effect) => Some(self.save(worker, effect, Saving::Answered)),
            Phase::Perform(effect) => self.perform(worker, effect),
            Phase::Read(found) => {
                let began = time(self.clock(&worker));
                let result = Ok(found);
                Some(self.decide(worker, Input::Read(ReadReply { began, result })))
            }
            waiting @ (Phase::Await(_) | Phase::Deliver(_)) => Some(Worker {
                phase: waiting,
                ..worker
            }),
        }
    }

    /// The worker's lower bound of the servers' time.
    fn clock(&self, worker: &Worker) -> u8 {
        let ahead = if self.is(Mutant::ClockAhead) {
            self.scenario.lease
        } else {
            0
        };
        self.now.saturating_sub(worker.behind) + ahead
    }

    /// Loads what the store shows, which may be an older copy.
    pub(crate) fn load(&mut self, mut worker: Worker, shown: Option<&Shared<Stored>>) -> Worker {
        worker.hub = self.hub;
        worker.hub_then = self.hub;
        worker.held = None;
        worker.version = shown.map(|stored| stored.version);
        worker.device = shown.map_or_else(Device::unknown, |stored| {
            worker.behind = worker
                .behind
                .min(self.now.saturating_sub(stored.written_at));
            Device::loaded(stored.record.clone(), time(stored.written_at))
        });
        worker.stored = worker.device.record.clone().map(Shared::new);
        worker.saved_at = self.now;
        if self.is(Mutant::KeepsHub)
            && let Some(record) = &worker.device.record
        {
            worker.hub = hub_of(record);
        }
        if let Some(mutant) = self.mutant {
            mutant.load(&mut worker.device);
        }
        if let Some(never_sent) = worker.unsent.take() {
            worker.device.withdraw(&never_sent);
        }
        let input = match worker.task {
            Task::Wake(_) => Input::Woken,
            Task::Event(message) => {
                let mut event = self.scenario.event(message.event, message.replay);
                if let Some(mutant) = self.mutant {
                    mutant.receive(&worker.device, &mut event);
                }
                Input::Event(event)
            }
        };
        self.decide(worker, input)
    }

    fn next(&mut self, worker: &mut Worker, input: Input) -> Step {
        let fresh = IntentId(format!("x{:02}", self.world.names + 1));
        let policy = self.scenario.policy();
        let integration = self.scenario.integration(worker.hub);
        let context = Context {
            now: time(self.clock(worker)),
            fresh: fresh.clone(),
            jitter: 0,
            integration: Some(&integration),
            policy: &policy,
        };
        let device = std::mem::take(&mut worker.device);
        let step = match self.mutant {
            None => next(device, input, &context),
            Some(mutant) => mutant.next(device, input, &context),
        };
        if step.device.planned_id() == Some(&fresh) {
            self.world.names += 1;
        }
        step
    }

    /// Asks the core what to do next.
    pub(crate) fn decide(&mut self, mut worker: Worker, mut input: Input) -> Worker {
        loop {
            let Step { device, effect } = self.next(&mut worker, input);
            worker.device = device;
            if matches!(effect, Effect::Pause(_)) {
                input = Input::Woken;
                continue;
            }
            let stored = worker.stored.as_deref();
            let record = worker.device.record.as_ref();
            let changed = record.is_some() && record != stored;
            worker.phase =
                if effect.needs_saved_record() && changed && !self.skips_save(&effect, worker.task)
                {
                    Phase::Save(effect)
                } else {
                    worker.unsent = None;
                    Phase::Perform(effect)
                };
            return worker;
        }
    }

    fn skips_save(&self, effect: &Effect, task: Task) -> bool {
        match effect {
            Effect::Ack => matches!(task, Task::Wake(_)) && self.is(Mutant::EndsLooksUnsaved),
            Effect::Write(_) => self.is(Mutant::SendsUnsaved),
            Effect::Arm(_) => self.is(Mutant::OwesUnsaved),
            _ => false,
        }
    }

    /// Saves the record by compare-and-set, for the sake of `effect`.
    pub(crate) fn save(&mut self, mut worker: Worker, effect: Effect, saving: Saving) -> Worker {
        worker.unsent = worker.device.planned_id().cloned();
        worker.saved_at = self.now;
        worker.phase = Phase::Load;
        let version = self.world.store.as_ref().map(|stored| stored.version);
        let wins = version == worker.version || self.is(Mutant::SavesBlindly);
        let Some(record) = worker
            .device
            .record
            .clone()
            .filter(|_| wins && saving != Saving::Lost)
        else {
            return worker;
        };
        let version = version.unwrap_or(0) + 1;
        if record.is_settled() {
            let settled = &mut self.world.hubs[usize::from(hub_of(&record))].settled;
            *settled = (*settled).max(rank(&record, self.scenario));
        }
        self.world.store = Some(Shared::new(Stored {
            record: record.clone(),
            version,
            written_at: self.now,
        }));
        if saving == Saving::AnswerLost {
            return worker;
        }
        worker.version = Some(version);
        worker.stored = Some(Shared::new(record));
        worker.unsent = None;
        worker.phase = Phase::Perform(effect);
        worker
    }

    fn perform(&mut self, mut worker: Worker, effect: Effect) -> Option<Worker> {
        let input = match effect {
            Effect::Ack => {
                self.acknowledge(worker.task);
                return None;
            }
            Effect::Arm(due) => {
                if !self.is(Mutant::NoAlarm) {
                    self.world.alarm = Some(tick(due));
                }
                worker.phase = Phase::Perform(Effect::Ack);
                return Some(worker);
            }
            Effect::Read => return Some(self.read(worker)),
            Effect::Write(request) => return Some(self.send(worker, request)),
            Effect::Deliver { generation } => return Some(self.deliver(worker, &generation)),
            Effect::Tag { etag } => Input::Tagged(self.tag(&worker, &etag)),
            Effect::AskMender => Input::Mender(Ok(self.scenario.mender)),
            Effect::DeadLetter(event, _) => {
                self.bury((place(&event.id), life(event.replay)));
                Input::DeadLettered
            }
            Effect::Report(ended) => {
                let unreported = self.is(Mutant::AcksUnreported);
                for done in ended.iter().filter(|_| !unreported) {
                    let named = (place(&done.event.id), life(done.event.replay));
                    let outcomes = &mut self.world.outcomes;
                    if !outcomes.iter().any(|known| (known.0, known.1) == named) {
                        outcomes.push((named.0, named.1, done.outcome));
                    }
                }
                Input::Reported
            }
            Effect::Pause(_) => Input::Woken,
        };
        Some(self.decide(worker, input))
    }

    fn acknowledge(&mut self, task: Task) {
        match task {
            Task::Event(message) => self.world.messages.retain(|other| *other != message),
            Task::Wake(stamp) => {
                let held = self.world.wakes.iter().position(|other| *other == stamp);
                held.map(|place| self.world.wakes.remove(place));
            }
        }
    }

    /// A letter takes the place of an older one about the same event.
    fn bury(&mut self, letter: (u8, u8)) {
        let repeats = self.is(Mutant::RepeatsLetters);
        let letters = &mut self.world.letters;
        if !repeats {
            letters.retain(|other| other.0 != letter.0);
        }
        letters.push(letter);
        if letters.iter().filter(|other| other.0 == letter.0).count() > 1 {
            self.world.breaks(Rule::Letters);
        }
    }

    fn identity(&self, worker: &Worker) -> Option<&Identity> {
        self.world.hubs[usize::from(worker.hub)].identity.as_ref()
    }

    fn read(&mut self, mut worker: Worker) -> Worker {
        let found = self.identity(&worker).map(Identity::facts);
        worker.held = found.as_ref().map(|facts| facts.generation.clone());
        if self.is(Mutant::DatesReadsLate) {
            worker.phase = Phase::Read(found);
            return worker;
        }
        let began = time(self.clock(&worker));
        let result = Ok(found);
        self.decide(worker, Input::Read(ReadReply { began, result }))
    }

    fn send(&mut self, mut worker: Worker, request: HubWrite) -> Worker {
        let intent = request.intent().clone();
        let elapsed = self.now - worker.saved_at;
        let half = self.scenario.lease / 2;
        let late = elapsed > half;
        if late && !self.is(Mutant::SendsLate) {
            return self.replied(worker, intent, Err((trouble(), Fate::Done)));
        }
        let Some(record) = &worker.device.record else {
            return worker;
        };
        if worker.hub != worker.hub_then || hub_of(record) != worker.hub {
            self.world.breaks(Rule::Integration);
        }
        let timely = worker.saved_at + self.scenario.lease;
        let deadline = if late { self.now + half + 1 } else { timely };
        let open = record.intents.iter().find(|open| open.id == intent);
        let more = if self.is(Mutant::OutlivesLease) { 2 } else { 0 };
        self.world.flights.push(Flight {
            hub: worker.hub,
            rank: rank(record, self.scenario),
            key: open.map_or(record.key, |open| open.key),
            deadline: deadline + more,
            request,
        });
        worker.held = None;
        worker.phase = Phase::Await(intent);
        worker
    }

    /// The reply to a request, if this worker waits for it.
    pub(crate) fn replied(
        &mut self,
        mut worker: Worker,
        intent: IntentId,
        result: Reply,
    ) -> Worker {
        let shown = result.as_ref().ok().and_then(Option::as_ref);
        worker.held = shown.map(|facts| facts.generation.clone());
        self.decide(worker, Input::Replied(WriteReply { intent, result }))
    }

    fn deliver(&mut self, mut worker: Worker, generation: &str) -> Worker {
        let refused = |failure| Input::Delivered(Err((failure, Fate::Done)));
        if worker.held.is_none() {
            worker.held = self
                .identity(&worker)
                .map(|identity| identity.generation.clone());
        }
        let unchecked = self.is(Mutant::DeliversUnchecked);
        let Some(held) = worker
            .held
            .clone()
            .filter(|held| unchecked || held == generation)
        else {
            return self.decide(worker, refused(Failure::Conflict));
        };
        if self.now - worker.saved_at > self.scenario.lease / 2 {
            return self.decide(worker, refused(trouble()));
        }
        if self
            .identity(&worker)
            .is_some_and(|found| !found.ours && found.generation == held)
        {
            self.world.breaks(Rule::Key);
        }
        let claim = worker.device.planned_id().cloned();
        let claim = claim.expect("a delivery has a claim");
        self.world.parcels.push(Parcel {
            claim: claim.clone(),
            hub: worker.hub,
            generation: held,
            deadline: worker.saved_at + self.scenario.lease,
        });
        worker.phase = Phase::Deliver(claim);
        worker
    }

    fn tag(&self, worker: &Worker, etag: &str) -> Result<(), Failure> {
        let identity = self.identity(worker);
        match identity.filter(|identity| identity.etag == etag) {
            Some(_) => Ok(()),
            None => Err(Failure::Conflict),
        }
    }

    /// What a worker that asks somebody for something is told when it is refused; `None` where
    /// it asks nobody.
    pub(crate) fn refusal(&self, worker: &Worker, failure: Failure) -> Option<Input> {
        let Phase::Perform(effect) = &worker.phase else {
            return None;
        };
        Some(match effect {
            Effect::Read => Input::Read(ReadReply {
                began: time(self.clock(worker)),
                result: Err(failure),
            }),
            Effect::Write(request) => Input::Replied(WriteReply {
                intent: request.intent().clone(),
                result: Err((failure, Fate::Done)),
            }),
            Effect::Deliver { .. } => Input::Delivered(Err((failure, Fate::Done))),
            Effect::Tag { .. } => Input::Tagged(Err(failure)),
            Effect::AskMender => Input::Mender(Err(failure)),
            _ => return None,
        })
    }

    /// The worker gives up waiting; its request may still take effect.
    pub(crate) fn time_out(&mut self, worker: Worker) -> Worker {
        let unknown = (trouble(), Fate::Unknown);
        match worker.phase.clone() {
            Phase::Await(intent) => self.replied(worker, intent, Err(unknown)),
            Phase::Deliver(_) => self.decide(worker, Input::Delivered(Err(unknown))),
            _ => worker,
        }
    }

    /// The gate puts off what the worker was about to ask for.
    pub(crate) fn defer(&mut self, worker: Worker) -> Worker {
        let until = time(self.clock(&worker) + 1);
        self.decide(worker, Input::Deferred(until))
    }
}

/// The failure of a request that got no answer.
pub(crate) fn trouble() -> Failure {
    Failure::Transient("no answer".to_owned())
}

fn life(replay: u64) -> u8 {
    u8::try_from(replay).unwrap_or(u8::MAX)
}
