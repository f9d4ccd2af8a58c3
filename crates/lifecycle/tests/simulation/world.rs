//! The world of one run: time, messages, workers, and what happens next.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lifecycle::{Done, Event, EventId, IntegrationRef, Key, Mark, Record, RetryPolicy, Timestamp};

use crate::brief;
use crate::faults::{Faults, policy};
use crate::hub::Hub;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::worker::Worker;

/// Workers in one run; a process handles a device once at a time, so these are processes.
const WORKERS: usize = 3;

/// A record as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    pub(crate) version: u64,
    pub(crate) written_at: Timestamp,
}

/// What a worker learns of a compare-and-set.
pub(crate) enum Saved {
    Version(u64),
    Lost,
    /// The store did not answer; it may have stored all the same.
    Unknown,
}

/// A message of the work queue: an event, or a wake-up.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) event: Option<Event>,
    pub(crate) published_at: Timestamp,
    pub(crate) acknowledged: bool,
}

/// A delivery on its way to the device.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) generation: String,
    pub(crate) deadline: Timestamp,
    pub(crate) caller: Option<(usize, u64)>,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: Rng,
    pub(crate) policy: RetryPolicy,
    pub(crate) integration: IntegrationRef,
    pub(crate) faults: Faults,
    pub(crate) scenario: Scenario,
    pub(crate) emitted: usize,
    pub(crate) record: Option<Stored>,
    pub(crate) hub: Hub,
    pub(crate) deliveries: Vec<Delivery>,
    /// Generation whose key the device has.
    pub(crate) configured: Option<String>,
    pub(crate) tagged: Option<String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) armed: Option<Timestamp>,
    pub(crate) workers: [Option<Worker>; WORKERS],
    pub(crate) reported: HashMap<EventId, Vec<Done>>,
    /// Dead letters with their places in the stream.
    pub(crate) letters: BTreeMap<EventId, (Event, u64)>,
    /// Version of the record that was settled last, and the greatest key that was settled.
    pub(crate) settled: (u64, Key),
    /// Where the intent of the last effective request was stored first, and its key.
    pub(crate) effective: (u64, Key),
    /// Somebody edited the hub during the run.
    pub(crate) edited: bool,
    pub(crate) violation: Option<String>,
    pub(crate) seen: BTreeMap<&'static str, u64>,
    pub(crate) trace: Vec<String>,
    tracing: bool,
    count: u64,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = Self {
            now: Timestamp::from_micros(1_700_000_000_000_000),
            policy: policy(&mut rng),
            integration: IntegrationRef {
                id: "i".into(),
                hub: "h".into(),
                generation: 1,
            },
            faults: Faults::random(&mut rng),
            scenario: Scenario::random(&mut rng),
            emitted: 0,
            record: None,
            hub: Hub::default(),
            deliveries: Vec::new(),
            configured: None,
            tagged: None,
            messages: Vec::new(),
            armed: None,
            workers: [const { None }; WORKERS],
            reported: HashMap::new(),
            letters: BTreeMap::new(),
            settled: (0, Key::default()),
            effective: (0, Key::default()),
            edited: false,
            violation: None,
            seen: BTreeMap::new(),
            trace: Vec::new(),
            tracing,
            count: 0,
            rng,
        };
        if world.rng.chance(12) {
            let mark = world.foreign_mark();
            world.hub.place_by_hand(mark);
            world.saw("foreign");
        }
        world
    }

    /// Plays the run: first with troubles, then to rest, then with every dead letter replayed.
    pub(crate) fn play(&mut self) -> Result<(), String> {
        let turns = 100 + self.rng.below(400);
        for _ in 0..turns {
            self.turn();
            self.verdict()?;
        }
        self.faults = Faults::default();
        while self.emitted < self.scenario.emissions.len() {
            if !self.may_emit() {
                self.rest()?;
            }
            self.emit();
        }
        self.rest()?;
        for _ in 0..2 {
            let letters: Vec<_> = self.letters.values().cloned().collect();
            for letter in letters {
                self.replay(&letter);
            }
            self.rest()?;
        }
        self.check_at_rest();
        self.verdict()
    }

    fn verdict(&mut self) -> Result<(), String> {
        self.violation.take().map_or(Ok(()), Err)
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(crate) fn jitter(&mut self) -> u16 {
        u16::try_from(self.rng.below(1001)).expect("at most 1000")
    }

    /// Counts that something happened, so that a run that tests nothing is noticed.
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
        self.note(|_| what.to_owned());
    }

    pub(crate) fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.tracing {
            let line = format!(
                "{} {}",
                self.now.as_micros() / 1000 % 1_000_000_000,
                what(self)
            );
            self.trace.push(line);
        }
    }

    fn turn(&mut self) {
        match self.rng.below(100) {
            0..50 => self.work(),
            50..64 => self.hand_out(),
            64..74 => self.network(),
            74..88 => self.wait(),
            88..92 => self.emit(),
            92..96 => self.crash(),
            96..98 => self.edit(),
            _ => self.replay_one(),
        }
        self.fire();
    }

    /// Until nothing is left to do. Nothing fails any more, but what is on its way still is.
    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..20_000 {
            self.fire();
            if self.workers.iter().any(Option::is_some) {
                self.work();
                if self.rng.chance(50) {
                    self.network();
                }
            } else if self.messages.iter().any(|message| !message.acknowledged) {
                self.hand_out();
            } else if let Some(due) = self.armed {
                self.pass(due.since(self.now));
            } else if self.hub.flights.is_empty() && self.deliveries.is_empty() {
                return Ok(());
            } else {
                self.network();
            }
            self.verdict()?;
        }
        Err(format!("L1: never at rest: {:?}", self.record))
    }

    fn work(&mut self) {
        let ready = |me: &usize| self.workers[*me].as_ref().is_some_and(Worker::is_ready);
        let ready: Vec<_> = (0..WORKERS).filter(ready).collect();
        if ready.is_empty() {
            return;
        }
        let me = *self.rng.pick(&ready);
        let mut worker = self.workers[me].take().expect("it is ready");
        self.note(|_| format!("worker {me}, {}", worker.brief()));
        let busy = worker.act(me, self);
        self.workers[me] = busy.then_some(worker);
    }

    /// Gives a message to a worker that is free; sometimes one that another worker still holds.
    fn hand_out(&mut self) {
        let Some(me) = self.workers.iter().position(Option::is_none) else {
            return;
        };
        let twice = self.rng.chance(self.faults.duplicate);
        let held = |n: usize| {
            self.workers
                .iter()
                .flatten()
                .any(|worker| worker.message == n)
        };
        let open = (0..self.messages.len()).filter(|n| !self.messages[*n].acknowledged);
        let open: Vec<_> = open.filter(|n| twice || !held(*n)).collect();
        if open.is_empty() {
            return;
        }
        // Mostly in order: else the newest event would soon leave nothing to do.
        let any = self.rng.pick(&open);
        let n = if self.rng.chance(self.faults.disorder) {
            *any
        } else {
            open[0]
        };
        if self
            .workers
            .iter()
            .flatten()
            .any(|worker| worker.message == n)
        {
            self.saw("redelivered while held");
        }
        let (event, stamp) = (
            self.messages[n].event.clone(),
            self.messages[n].published_at,
        );
        let worker = Worker::new(n, event, stamp, self);
        self.workers[me] = Some(worker);
    }

    fn wait(&mut self) {
        let most = *self
            .rng
            .pick(&[200, 200, 2_000, 2_000, 10_000, 10_000, 40_000, 150_000]);
        let wait = self.rng.below(most);
        self.pass(Duration::from_millis(u64::try_from(wait).expect("fits")));
    }

    /// Whether the next emission may come: in some scenarios the first one has been merged then.
    fn may_emit(&self) -> bool {
        !(self.scenario.ordered_start && self.emitted == 1 && self.record.is_none())
    }

    fn emit(&mut self) {
        if !self.may_emit() {
            return;
        }
        let Some(emission) = self.scenario.emissions.get(self.emitted) else {
            return;
        };
        self.emitted += 1;
        for event in emission.events.clone() {
            self.publish(Some(event));
        }
    }

    pub(crate) fn publish(&mut self, event: Option<Event>) {
        self.note(|world| {
            let what = event.as_ref().map_or("wake-up".into(), brief::event);
            format!("published as message {}: {what}", world.messages.len())
        });
        self.messages.push(Message {
            event,
            published_at: self.now,
            acknowledged: false,
        });
    }

    /// A wake-up that is due becomes a message.
    fn fire(&mut self) {
        if self.armed.is_some_and(|due| due <= self.now) {
            self.armed = None;
            self.saw("wake-up");
            self.publish(None);
        }
    }

    fn crash(&mut self) {
        if !self.rng.chance(self.faults.crash * 4) {
            return;
        }
        let me = self.rng.below(WORKERS);
        if self.workers[me].take().is_some() {
            self.saw("crash");
        }
    }

    fn edit(&mut self) {
        if !self.rng.chance(self.faults.edit) {
            return;
        }
        self.edited = true;
        self.saw("edited by hand");
        if self.rng.chance(50) {
            self.hub.identity = None;
        } else {
            let mark = self.foreign_mark();
            self.hub.place_by_hand(mark);
        }
    }

    fn foreign_mark(&mut self) -> Option<Mark> {
        let mark = Mark::parse("mender:other:x1");
        mark.filter(|_| self.rng.chance(50))
    }

    fn replay_one(&mut self) {
        let letters: Vec<_> = self.letters.values().cloned().collect();
        if !letters.is_empty() {
            let letter = self.rng.pick(&letters).clone();
            self.replay(&letter);
        }
    }

    /// An operator replays a dead letter; sometimes two do.
    fn replay(&mut self, (letter, place): &(Event, u64)) {
        self.saw("replayed");
        self.letters.remove(&letter.id);
        let again = Event {
            replay: *place,
            ..letter.clone()
        };
        if self.rng.chance(25) {
            self.publish(Some(again.clone()));
        }
        self.publish(Some(again));
    }
}
