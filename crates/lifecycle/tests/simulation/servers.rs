//! The servers of the world: store, streams, hub, device configuration, deviceauth.

use std::time::Duration;

use lifecycle::{Done, Event, Facts, Failure, Fate, HubWrite, Key, MenderView, Record, Timestamp};

use crate::brief;
use crate::hub::Flight;
use crate::worker::Worker;
use crate::world::{Delivery, Saved, Stored, World};

type WriteResult = Result<Option<Facts>, (Failure, Fate)>;

fn silent() -> (Failure, Fate) {
    (Failure::Transient("no answer".into()), Fate::Unknown)
}

/// The store and the streams.
impl World {
    pub(crate) fn store_fails(&mut self) -> bool {
        self.rng.chance(self.faults.store)
    }

    pub(crate) fn save(&mut self, record: &Record, version: Option<u64>) -> Saved {
        let failing = self.store_fails();
        if failing && self.rng.chance(50) {
            return Saved::Unknown;
        }
        if self.record.as_ref().map(|stored| stored.version) != version {
            self.saw("compare-and-set lost");
            return Saved::Lost;
        }
        let version = version.unwrap_or(0) + 1;
        self.note(|_| format!("stored as {version}: {}", brief::record(record)));
        self.check_stored(record, version);
        self.record = Some(Stored {
            record: record.clone(),
            version,
            written_at: self.now,
        });
        if failing {
            self.saw("stored without our knowing");
            return Saved::Unknown;
        }
        Saved::Version(version)
    }

    /// A stream takes something, or fails before or after it did.
    fn publishing(&mut self) -> (bool, bool) {
        let failing = self.rng.chance(self.faults.streams);
        (!failing || self.rng.chance(50), !failing)
    }

    pub(crate) fn arm(&mut self, due: Timestamp) -> bool {
        let (taken, told) = self.publishing();
        if taken {
            self.armed = Some(due);
        }
        told
    }

    pub(crate) fn dead_letter(&mut self, event: &Event) -> bool {
        let (taken, told) = self.publishing();
        // One letter for each event; that of a later life takes the place of an earlier one.
        let there = self.letters.get(&event.id);
        if taken && there.is_none_or(|(letter, _)| letter.replay < event.replay) {
            self.saw("dead letter");
            let place = self.fresh();
            self.letters
                .insert(event.id.clone(), (event.clone(), place));
        }
        told
    }

    pub(crate) fn report(&mut self, ended: &[Done]) -> bool {
        let (taken, told) = self.publishing();
        for done in ended.iter().filter(|_| taken) {
            self.saw(match done.outcome {
                lifecycle::Outcome::Applied => "outcome applied",
                lifecycle::Outcome::Unchanged => "outcome unchanged",
                lifecycle::Outcome::Superseded => "outcome superseded",
                lifecycle::Outcome::Ignored => "outcome ignored",
                lifecycle::Outcome::Dead => "outcome dead",
            });
            let list = self.reported.entry(done.event.id.clone()).or_default();
            list.push(done.clone());
        }
        told
    }

    pub(crate) fn acknowledge(&mut self, message: usize) {
        if self.rng.chance(self.faults.streams / 2) {
            self.saw("acknowledgement lost");
            return;
        }
        self.note(|_| format!("acknowledged: message {message}"));
        self.messages[message].acknowledged = true;
        self.check_acknowledged(message);
    }
}

/// Mender and the gate before the hub.
impl World {
    pub(crate) fn ask_mender(&mut self) -> Result<MenderView, Failure> {
        self.saw("question");
        if self.rng.chance(self.faults.mender) {
            return Err(Failure::Transient("deviceauth is down".into()));
        }
        Ok(self.scenario.truth(self.emitted))
    }

    /// How long the gate stays closed for a request that wants to go now.
    pub(crate) fn gate_closed(&mut self) -> Option<Duration> {
        if !self.rng.chance(self.faults.gate) {
            return None;
        }
        self.saw("deferred");
        let seconds = u64::try_from(5 + self.rng.below(60)).expect("fits");
        Some(Duration::from_secs(seconds))
    }

    pub(crate) fn refusal(&mut self) -> Option<Failure> {
        let faults = self.faults;
        faults.refusal(&mut self.rng)
    }

    pub(crate) fn tag(&mut self, etag: &str) -> Result<(), Failure> {
        // A permanent refusal would mean a hub without twins.
        if let Some(failure) = self
            .refusal()
            .filter(|f| !matches!(f, Failure::Permanent(_)))
        {
            return Err(failure);
        }
        match &self.hub.identity {
            Some(identity) if identity.facts.etag == etag => {
                let generation = identity.facts.generation.clone();
                let ours = identity.ours;
                self.require(ours, "S1: a foreign twin was tagged");
                self.tagged = Some(generation);
                Ok(())
            }
            _ => Err(Failure::Conflict),
        }
    }
}

/// Requests on their way.
impl World {
    pub(crate) fn send(&mut self, request: HubWrite, key: Key, stored: u64, caller: (usize, u64)) {
        self.note(|_| format!("sent: {request:?}"));
        self.hub.flights.push(Flight {
            request,
            key,
            stored,
            deadline: self.now.plus(self.policy.lease / 2),
            caller: Some(caller),
        });
    }

    pub(crate) fn send_delivery(&mut self, generation: &str, caller: (usize, u64)) {
        self.check_delivery(generation);
        self.note(|_| format!("delivering {generation}"));
        self.deliveries.push(Delivery {
            generation: generation.to_owned(),
            deadline: self.now.plus(self.policy.delivery_lease / 2),
            caller: Some(caller),
        });
    }

    /// Time passes. What has not taken effect by its deadline never will.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let now = self.now;
        while let Some(n) = self
            .hub
            .flights
            .iter()
            .position(|flight| flight.deadline < now)
        {
            let flight = self.hub.flights.swap_remove(n);
            self.saw("request lost");
            self.answer(flight.caller, Err(silent()));
        }
        while let Some(n) = self
            .deliveries
            .iter()
            .position(|delivery| delivery.deadline < now)
        {
            let delivery = self.deliveries.swap_remove(n);
            self.answer_delivery(delivery.caller, Err(silent()));
        }
    }

    /// One thing happens on the network.
    pub(crate) fn network(&mut self) {
        if self.deliveries.is_empty() || self.rng.chance(60) {
            self.hub_network();
        } else {
            let n = self.rng.below(self.deliveries.len());
            let generation = self.deliveries[n].generation.clone();
            if self.rng.chance(self.faults.network) {
                return self.trouble_with_delivery(n);
            }
            let delivery = self.deliveries.swap_remove(n);
            self.configured = Some(generation.clone());
            self.note(|_| format!("delivered {generation}"));
            self.answer_delivery(delivery.caller, Ok(format!("key of {generation}")));
        }
    }

    fn trouble_with_delivery(&mut self, n: usize) {
        match self.rng.below(3) {
            0 => {
                let caller = self.deliveries[n].caller.take();
                self.answer_delivery(caller, Err(silent()));
            }
            1 => {
                let delivery = self.deliveries.swap_remove(n);
                let down = Failure::Transient("deviceconfig is down".into());
                self.answer_delivery(delivery.caller, Err((down, Fate::Done)));
            }
            _ => {
                let delivery = self.deliveries.swap_remove(n);
                self.configured = Some(delivery.generation);
                self.answer_delivery(delivery.caller, Err(silent()));
            }
        }
    }

    fn hub_network(&mut self) {
        if self.hub.flights.is_empty() {
            return;
        }
        let n = self.rng.below(self.hub.flights.len());
        if !self.rng.chance(self.faults.network) {
            return self.land(n, true);
        }
        match self.rng.below(6) {
            // The caller gives up; the request may still take effect.
            0..=3 => {
                let caller = self.hub.flights[n].caller.take();
                self.answer(caller, Err(silent()));
            }
            4 => {
                let flight = self.hub.flights.swap_remove(n);
                self.saw("request lost");
                self.answer(flight.caller, Err(silent()));
            }
            _ => self.land(n, false),
        }
    }

    /// A request reaches the hub; its reply reaches the caller, or not.
    fn land(&mut self, n: usize, replies: bool) {
        let flight = self.hub.flights.swap_remove(n);
        let heard = |(place, life): (usize, u64)| {
            self.workers[place]
                .as_ref()
                .is_some_and(|worker| worker.life == life)
        };
        let late = !flight.caller.is_some_and(heard);
        let before = self.hub.identity.clone();
        let taken = self.hub.take_effect(&flight.request, &flight.key);
        self.note(|world| {
            format!(
                "landed {:?}: {taken:?}, {:?}",
                flight.request, world.hub.identity
            )
        });
        match &taken {
            Ok(true) => {
                if late {
                    self.saw("applied late");
                }
                self.check_effect(&flight, before.as_ref());
            }
            Ok(false) => {}
            Err(_) => self.saw("conflict"),
        }
        let reply = taken.map(|_| self.hub.facts());
        if replies {
            self.answer(flight.caller, reply);
        } else {
            self.saw("reply lost");
            self.answer(flight.caller, Err(silent()));
        }
    }

    fn answer(&mut self, caller: Option<(usize, u64)>, result: WriteResult) {
        if let Some(worker) = self.waiting(caller) {
            worker.answered(result);
        }
    }

    fn answer_delivery(
        &mut self,
        caller: Option<(usize, u64)>,
        result: Result<String, (Failure, Fate)>,
    ) {
        if let Some(worker) = self.waiting(caller) {
            worker.delivered(result);
        }
    }

    /// The worker that still waits for an answer.
    fn waiting(&mut self, caller: Option<(usize, u64)>) -> Option<&mut Worker> {
        let (place, life) = caller?;
        self.workers[place]
            .as_mut()
            .filter(|worker| worker.life == life)
    }
}
