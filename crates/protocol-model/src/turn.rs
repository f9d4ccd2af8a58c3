//! What a worker does in one step: the loop of the reconciler's handler, cut where something else
//! may happen in between.
//!
//! A step ends with at most one access to anything shared, and takes the core's decision about its
//! result along, since nobody can see a decision.

use lifecycle::{
    Answer, Context, Device, Effect, Failure, HubView, Input, IntentId, Op, ReadReply, Step, next,
};

use crate::{
    mutant::Mutant,
    rule::{hub_of, rank},
    scenario::{Scenario, time},
    shared::Shared,
    state::{Message, Phase, Stored, Task, Worker, World},
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
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A worker that has just received a message.
    pub(crate) fn receive(&mut self, task: Task) -> Worker {
        let (Task::Event(Message { stamp, .. }) | Task::Wake(stamp)) = task;
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
            answer: None,
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
    pub(crate) fn clock(&self, worker: &Worker) -> u8 {
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
        if let Some(answer) = &worker.answer {
            worker.device.recall(answer);
        }
        if self.is(Mutant::ForgetsLateCreates) && worker.answer.is_some() {
            forget_creates(&mut worker.device);
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
        if !self.is(Mutant::ForgetsAnswers) {
            let by = self.scenario.integration(worker.hub);
            worker.answer = Answer::of(&input, &by).or(worker.answer);
        }
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
                    if effect.needs_saved_record() {
                        worker.answer = None;
                    }
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
        worker.answer = None;
        worker.phase = Phase::Perform(effect);
        worker
    }
}

/// Forgets the creates beside an identity that is known.
fn forget_creates(device: &mut Device) {
    let Some(record) = &mut device.record else {
        return;
    };
    if matches!(record.hub, HubView::Ours { .. }) {
        record.intents.retain(|intent| intent.op != Op::Create);
    }
}

/// The failure of a request that got no answer.
pub(crate) fn trouble() -> Failure {
    Failure::Transient("no answer".to_owned())
}
