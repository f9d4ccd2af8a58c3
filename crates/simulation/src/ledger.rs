//! The account of events: what was published, and how it ended.

use std::collections::{BTreeMap, HashMap};

use lifecycle::{Done, Event, EventId, Outcome};

/// What is known of one event.
#[derive(Debug)]
struct Entry {
    /// As it was published first.
    event: Event,
    /// Its last outcome.
    outcome: Option<Done>,
    /// The newest of its lives that has had a dead letter.
    buried: Option<u64>,
    /// Nobody published it: it is the name of a look that the sweep asked for.
    look: bool,
}

/// A dead letter: the life of the event that it ends, and its place in the stream.
#[derive(Debug, Clone, Copy)]
struct Letter {
    replay: u64,
    place: u64,
}

/// How events ended, and how many have not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Different events that were published.
    pub published: u64,
    /// By their last outcome, in the order of [`Outcome`]'s variants.
    pub outcomes: [u64; 5],
    /// Events without an outcome.
    pub pending: u64,
}

impl Account {
    /// Whether every event is somewhere, once.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.published == self.outcomes.iter().sum::<u64>() + self.pending
    }

    /// Adds another account.
    pub fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.pending += other.pending;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
    }
}

/// Every event by its name.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    events: HashMap<EventId, Entry>,
    letters: BTreeMap<EventId, Letter>,
    published: u64,
}

impl Ledger {
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    pub(crate) fn publish(&mut self, event: &Event) {
        if !self.events.contains_key(&event.id) {
            self.published += 1;
            self.enter(event, false);
        }
    }

    /// A worker made the bytes of an event anew: where nobody published it, it is a look.
    pub(crate) fn meet(&mut self, event: &Event) {
        if !self.events.contains_key(&event.id) {
            self.enter(event, true);
        }
    }

    fn enter(&mut self, event: &Event, look: bool) {
        let entry = Entry {
            event: event.clone(),
            outcome: None,
            buried: None,
            look,
        };
        self.events.insert(event.id.clone(), entry);
    }

    /// Takes a dead letter. There is one for each event; that of a later life takes the place of
    /// an earlier one.
    pub(crate) fn bury(&mut self, id: &EventId, replay: u64, place: u64) {
        if let Some(entry) = self.events.get_mut(id) {
            entry.buried = entry.buried.max(Some(replay));
            let there = self.letters.get(id);
            if there.is_none_or(|letter| letter.replay < replay) {
                self.letters.insert(id.clone(), Letter { replay, place });
            }
        }
    }

    /// Whether this life of the event has had its dead letter. A letter may hold the bytes of an
    /// earlier life, from a worker that stood still.
    pub(crate) fn was_buried(&self, event: &Event) -> bool {
        let entry = self.events.get(&event.id);
        let of_this_life = entry.is_some_and(|entry| entry.buried >= Some(event.replay));
        of_this_life || self.letters.contains_key(&event.id)
    }

    /// The events of all dead letters.
    pub(crate) fn letters(&self) -> Vec<EventId> {
        self.letters.keys().cloned().collect()
    }

    /// Takes a letter out and makes the event of its replay.
    pub(crate) fn exhume(&mut self, id: &EventId) -> Option<Event> {
        let letter = self.letters.remove(id)?;
        let entry = self.events.get(id)?;
        Some(Event {
            replay: letter.place,
            ..entry.event.clone()
        })
    }

    /// Takes an outcome; false if nobody published the event.
    pub(crate) fn report(&mut self, done: &Done) -> bool {
        let entry = self.events.get_mut(&done.event.id);
        let known = entry.is_some();
        if let Some(entry) = entry {
            let newer = |old: &Done| old.event.replay <= done.event.replay;
            if entry.outcome.as_ref().is_none_or(newer) {
                entry.outcome = Some(done.clone());
            }
        }
        known
    }

    /// Whether this life of the event has ended.
    pub(crate) fn has_ended(&self, event: &Event) -> bool {
        self.outcome(&event.id)
            .is_some_and(|done| done.event.replay >= event.replay)
    }

    pub(crate) fn event(&self, id: &EventId) -> Option<&Event> {
        Some(&self.events.get(id)?.event)
    }

    pub(crate) fn outcome(&self, id: &EventId) -> Option<&Done> {
        self.events.get(id)?.outcome.as_ref()
    }

    pub(crate) fn account(&self) -> Account {
        let mut account = Account {
            published: self.published(),
            ..Account::default()
        };
        for entry in self.events.values().filter(|entry| !entry.look) {
            match &entry.outcome {
                Some(done) => account.outcomes[done.outcome as usize] += 1,
                None => account.pending += 1,
            }
        }
        account
    }

    /// Events without an outcome, in order.
    pub(crate) fn pending(&self) -> Vec<EventId> {
        let open = |entry: &Entry| entry.outcome.is_none() && !entry.look;
        let open = self.events.iter().filter(|(_, entry)| open(entry));
        let mut open: Vec<EventId> = open.map(|(id, _)| id.clone()).collect();
        open.sort();
        open
    }
}

/// The name under which outcomes are counted.
pub(crate) const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "outcome applied",
        Outcome::Unchanged => "outcome unchanged",
        Outcome::Superseded => "outcome superseded",
        Outcome::Ignored => "outcome ignored",
        Outcome::Dead => "outcome dead",
    }
}
