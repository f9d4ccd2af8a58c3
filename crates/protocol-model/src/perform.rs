//! Performing an effect, as the reconciler does: one call of a port, and its answer to the core.

use lifecycle::{
    DeliveryReply, Effect, Failure, Fate, HubWrite, Input, IntentId, KeySlot, ReadReply, WriteReply,
};

use crate::{
    hub::Reply,
    mutant::Mutant,
    rule::{Rule, hub_of, rank},
    scenario::{place, tick, time},
    state::{Flight, Identity, Parcel, Phase, Task, Worker},
    turn::{Turn, trouble},
};

impl Turn<'_> {
    pub(crate) fn perform(&mut self, mut worker: Worker, effect: Effect) -> Option<Worker> {
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
            Effect::Deliver {
                claim,
                generation,
                key,
            } => return Some(self.deliver(worker, claim, generation, key)),
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

    pub(crate) fn acknowledge(&mut self, task: Task) {
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
        worker.held = self.identity(&worker).map(Identity::in_hand);
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
        worker.held = self
            .identity(&worker)
            .filter(|_| shown.is_some())
            .map(Identity::in_hand);
        self.decide(worker, Input::Replied(WriteReply { intent, result }))
    }

    fn deliver(
        &mut self,
        mut worker: Worker,
        claim: IntentId,
        generation: String,
        key: KeySlot,
    ) -> Worker {
        let refused = |failure| {
            Input::Delivered(DeliveryReply {
                claim: claim.clone(),
                generation: generation.clone(),
                result: Err((failure, Fate::Done)),
            })
        };
        if worker.held.is_none() {
            worker.held = self.identity(&worker).map(Identity::in_hand);
        }
        let unchecked = self.is(Mutant::DeliversUnchecked);
        let Some((held, keys)) = worker
            .held
            .clone()
            .filter(|held| unchecked || held.0 == generation)
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
        self.world.parcels.push(Parcel {
            claim: claim.clone(),
            hub: worker.hub,
            generation: held,
            meant: generation,
            key: match key {
                KeySlot::Primary => keys.0,
                KeySlot::Secondary => keys.1,
            },
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
            Effect::Deliver {
                claim, generation, ..
            } => Input::Delivered(DeliveryReply {
                claim: claim.clone(),
                generation: generation.clone(),
                result: Err((failure, Fate::Done)),
            }),
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
            Phase::Deliver(claim) => {
                let parcels = self.world.parcels.iter();
                let mut mine = parcels.filter(|parcel| parcel.claim == claim);
                let generation = mine.next().map(|parcel| parcel.meant.clone());
                let reply = DeliveryReply {
                    claim,
                    generation: generation.unwrap_or_default(),
                    result: Err(unknown),
                };
                self.decide(worker, Input::Delivered(reply))
            }
            _ => worker,
        }
    }

    /// The gate puts off what the worker was about to ask for.
    pub(crate) fn defer(&mut self, worker: Worker) -> Worker {
        let until = time(self.clock(&worker) + 1);
        self.decide(worker, Input::Deferred(until))
    }
}

fn life(replay: u64) -> u8 {
    u8::try_from(replay).unwrap_or(u8::MAX)
}
