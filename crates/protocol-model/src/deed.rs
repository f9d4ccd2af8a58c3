//! What happens to one device, and what it costs.

use lifecycle::{DeliveryReply, DeviceRef, EventId, Failure, IntentId, Mark, Record, Wish};

use crate::{
    action::{Deed, Edit},
    hub::{judge_key, take_effect},
    mutant::Mutant,
    shared::Shared,
    state::{Identity, Message, Phase, State, Task, Worker, print},
    turn::Turn,
};

/// Counts a fault.
pub(crate) fn spend(state: &mut State, before: &State, device: usize, deed: Deed) {
    let left = &mut state.left;
    let world = &before.devices[device];
    let held = |task: Task| world.workers.iter().any(|worker| worker.task == task);
    match deed {
        Deed::Receive(task) if held(task) => left.redeliveries -= 1,
        Deed::LoadStale(_) => left.stale -= 1,
        Deed::Doubt(..) => left.unknown_saves -= 1,
        Deed::Crash(_) => left.crashes -= 1,
        Deed::TimeOut(_) => left.timeouts -= 1,
        Deed::Defer(_) => left.deferrals -= 1,
        Deed::Refuse(..) => left.refusals -= 1,
        Deed::RollBack => left.rollbacks -= 1,
        Deed::Edit(_) => left.hands -= 1,
        Deed::Replay(..) => left.replays -= 1,
        Deed::Wish(_) => left.wishes -= 1,
        Deed::Receive(_)
        | Deed::Ring
        | Deed::Step(_)
        | Deed::Land(_)
        | Deed::Arrive(_)
        | Deed::Copy
        | Deed::Sweep => {}
    }
}

impl Turn<'_> {
    pub(crate) fn happen(&mut self, deed: Deed) {
        match deed {
            Deed::Receive(task) => self.hand_out(task),
            Deed::Ring => {
                self.world.alarm = None;
                self.world.wakes.push(self.now);
                self.hand_out(Task::Wake(self.now));
            }
            Deed::Step(place) => {
                let worker = self.take(place);
                let worker = self.step(worker);
                self.world.workers.extend(worker.map(Shared::new));
            }
            Deed::LoadStale(place) => {
                let copy = self.world.copy.clone().flatten();
                self.with(place, |turn, worker| turn.load(worker, copy.as_ref()));
            }
            Deed::Doubt(place, saving) => self.with(place, |turn, worker| {
                let Phase::Save(effect) = worker.phase.clone() else {
                    return worker;
                };
                turn.save(worker, effect, saving)
            }),
            Deed::Crash(place) => {
                self.take(place);
            }
            Deed::TimeOut(place) => self.with(place, Self::time_out),
            Deed::Defer(place) => self.with(place, Self::defer),
            Deed::Refuse(place, failure) => {
                let failure = self.scenario.refusals[failure].clone();
                self.with(place, |turn, worker| turn.refuse(worker, failure));
            }
            Deed::Land(place) => self.land(place),
            Deed::Arrive(place) => self.arrive(place),
            Deed::Copy => self.world.copy = Some(self.world.store.clone()),
            Deed::RollBack => self.roll_back(),
            Deed::Edit(edit) => self.edit(edit),
            Deed::Replay(place, removed) => self.replay(place, removed),
            Deed::Sweep => self.sweep(),
            Deed::Wish(wish) => self.wish(wish),
        }
    }

    fn take(&mut self, place: usize) -> Worker {
        (*self.world.workers.remove(place)).clone()
    }

    fn with(&mut self, place: usize, does: impl FnOnce(&mut Self, Worker) -> Worker) {
        let worker = self.take(place);
        let worker = does(self, worker);
        self.world.workers.push(Shared::new(worker));
    }

    fn hand_out(&mut self, task: Task) {
        let worker = self.receive(task);
        self.world.workers.push(Shared::new(worker));
    }

    fn refuse(&mut self, worker: Worker, failure: Failure) -> Worker {
        match self.refusal(&worker, failure) {
            Some(input) => self.decide(worker, input),
            None => worker,
        }
    }

    fn waiting(&self, phase: &Phase) -> Option<usize> {
        let workers = &self.world.workers;
        workers.iter().position(|worker| worker.phase == *phase)
    }

    fn land(&mut self, place: usize) {
        let flight = self.world.flights.remove(place);
        let reply = take_effect(self.world, &flight, self.scenario, self.mutant);
        let intent = flight.request.intent().clone();
        if let Some(place) = self.waiting(&Phase::Await(intent.clone())) {
            self.with(place, |turn, worker| turn.replied(worker, intent, reply));
        }
    }

    fn arrive(&mut self, place: usize) {
        let parcel = self.world.parcels.remove(place);
        let fingerprint = print(&parcel.generation, parcel.key);
        self.world.delivered = Some((parcel.hub, parcel.generation, parcel.key));
        judge_key(self.world);
        if let Some(place) = self.waiting(&Phase::Deliver(parcel.claim.clone())) {
            let input = lifecycle::Input::Delivered(DeliveryReply {
                claim: parcel.claim,
                generation: parcel.meant,
                result: Ok(fingerprint),
            });
            self.with(place, |turn, worker| turn.decide(worker, input));
        }
    }

    /// Requests whose time is over are lost; nobody waits for them any more.
    pub(crate) fn expire(&mut self) {
        let now = self.now;
        self.world.flights.retain(|flight| flight.deadline > now);
        self.world.parcels.retain(|parcel| parcel.deadline > now);
    }

    fn roll_back(&mut self) {
        let world = &mut *self.world;
        world.store = world.copy.take().flatten();
        world.workers.clear();
        world.rolled_back = (true, true);
    }

    fn edit(&mut self, edit: Edit) {
        let name = self.world.name('h');
        let integration = self.scenario.integration(self.hub).id;
        self.world.edited = (true, true);
        let hub = &mut self.world.hubs[usize::from(self.hub)];
        hub.top = 0;
        hub.made_for.clear();
        match (edit, &mut hub.identity) {
            (Edit::Remove, place) => *place = None,
            (Edit::Toggle, place) => {
                for identity in place.iter_mut() {
                    identity.enabled = !identity.enabled;
                    identity.etag.clone_from(&name);
                }
            }
            (Edit::Adopt, place) => {
                for identity in place.iter_mut() {
                    identity.ours = true;
                    identity.etag.clone_from(&name);
                    identity.mark = Some(Mark {
                        integration: integration.clone(),
                        intent: IntentId(name.clone()),
                    });
                }
            }
            (Edit::Replace | Edit::Forge, place) => {
                let old = place.take().and_then(|identity| identity.mark);
                *place = Some(Identity {
                    generation: name.clone(),
                    etag: name,
                    enabled: true,
                    mark: old.filter(|_| edit == Edit::Forge),
                    ours: false,
                    made_for: None,
                    keys: (0, 1),
                });
            }
        }
    }

    /// The same life of an event is published once only, however often its letter is replayed.
    fn replay(&mut self, place: usize, removed: bool) {
        let (event, life) = self.world.letters[place];
        if removed {
            self.world.letters.remove(place);
        }
        let next = (event, life + 1);
        if !self.world.lives.contains(&next) {
            self.world.lives.push(next);
            self.world.messages.push(Message {
                event,
                replay: life + 1,
                stamp: self.now,
            });
        }
    }

    /// The sweep doubts what the record says and wakes the device. After a roll-back it repeats the
    /// newest event, which deviceauth tells it.
    fn sweep(&mut self) {
        let scenario = self.scenario;
        let newest = Message {
            stamp: self.now,
            ..Message::first(u8::try_from(scenario.events.len()).unwrap_or(u8::MAX))
        };
        self.world.edited.0 = false;
        if std::mem::take(&mut self.world.rolled_back.0) {
            self.world.messages.push(newest);
        }
        if self.is(Mutant::AdoptsUnseen) {
            return;
        }
        self.change(Record::doubt);
        self.world.wakes.push(self.now);
    }

    /// Somebody wishes for something; the worker is woken if that can be had now.
    fn wish(&mut self, wish: Wish) {
        if self.change(|record, about, look| record.grant(wish, about, look)) {
            self.world.wakes.push(self.now);
        }
    }

    /// Changes the record as the sweeper does, under the name of a look.
    fn change(&mut self, change: impl FnOnce(&mut Record, &DeviceRef, EventId) -> bool) -> bool {
        let place = u8::try_from(self.scenario.events.len()).unwrap_or(u8::MAX);
        let look = self.scenario.event(place, 0);
        let Some(stored) = &self.world.store else {
            return false;
        };
        let mut stored = (**stored).clone();
        let changed = change(&mut stored.record, &look.about, look.id);
        if changed {
            stored.version += 1;
            stored.written_at = self.now;
            self.world.store = Some(Shared::new(stored));
        }
        changed
    }
}
