//! One state of the world: store, hubs, messages, requests under way, and workers.
//!
//! Names of intents, ETags and generations are small numbers in the order in which they were made,
//! and exchangeable parts are kept in an order of their own, so that equal worlds are equal states.

use lifecycle::{
    Answer, Device, Effect, Facts, HubWrite, IntentId, Key, Keys, Mark, Outcome, Record,
};

use crate::{rule::Rule, scenario::Faults, shared::Shared};

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The servers' time in ticks.
    pub now: u8,
    /// The hub of the tenant's present integration.
    pub hub: u8,
    /// Faults that may still strike.
    pub left: Faults,
    /// The devices, and all that is about one of them.
    pub devices: Vec<Shared<World>>,
}

/// Everything about one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct World {
    /// The record.
    pub store: Option<Shared<Stored>>,
    /// A copy of the store that has fallen behind, or a backup: `Some(None)` is an empty one.
    pub copy: Option<Option<Shared<Stored>>>,
    /// The hubs; the second one is used after a change of the integration.
    pub hubs: [Hub; 2],
    /// Requests that may still take effect.
    pub flights: Vec<Flight>,
    /// Deliveries that may still reach the device.
    pub parcels: Vec<Parcel>,
    /// Events that are not acknowledged.
    pub messages: Vec<Message>,
    /// When the alarm clock rings, if it is set.
    pub alarm: Option<u8>,
    /// Wake-ups that are not acknowledged: when they were published.
    pub wakes: Vec<u8>,
    /// Workers that hold a message.
    pub workers: Vec<Shared<Worker>>,
    /// Identity whose connection string the device got last: hub, generation and key.
    pub delivered: Option<(u8, String, u8)>,
    /// Outcomes by event and life; the first of each counts.
    pub outcomes: Vec<(u8, u8, Outcome)>,
    /// Lives of events that were published.
    pub lives: Vec<(u8, u8)>,
    /// Dead letters that were not replayed: event and life.
    pub letters: Vec<(u8, u8)>,
    /// Numbers given to intents, identities and ETags so far.
    pub names: u8,
    /// The store lost what it knew; until the sweep has been here, and ever.
    pub rolled_back: (bool, bool),
    /// Somebody edited the hub by hand; until the sweep has been here, and ever.
    pub edited: (bool, bool),
    /// Rules that were broken.
    pub broken: u16,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Its version.
    pub version: u8,
    /// When it was written.
    pub written_at: u8,
}

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Hub {
    /// The identity.
    pub identity: Option<Identity>,
    /// Rank of the newest event for which a request had an effect here.
    pub top: u8,
    /// Rank of the newest event that was settled here.
    pub settled: u8,
    /// Incarnations that an identity was made for.
    pub made_for: Vec<Option<i64>>,
}

/// An identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `generationId`.
    pub generation: String,
    /// ETag.
    pub etag: String,
    /// Whether it may connect.
    pub enabled: bool,
    /// The mark.
    pub mark: Option<Mark>,
    /// Whether we made it, whatever marks say.
    pub ours: bool,
    /// The incarnation that we made it for, where that was known.
    pub made_for: Option<i64>,
    /// Numbers of its primary and its secondary key.
    pub keys: (u8, u8),
}

/// A request under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flight {
    /// The hub.
    pub hub: u8,
    /// The request.
    pub request: HubWrite,
    /// Rank of the event it serves.
    pub rank: u8,
    /// The key of its intent.
    pub key: Key,
    /// It takes effect before this tick or never.
    pub deadline: u8,
}

/// A delivery under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parcel {
    /// The claim.
    pub claim: IntentId,
    /// The hub.
    pub hub: u8,
    /// The identity whose connection string it is.
    pub generation: String,
    /// The identity that it was to be.
    pub meant: String,
    /// The key in it.
    pub key: u8,
    /// It arrives before this tick or never.
    pub deadline: u8,
}

/// An event in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// Its place in the script.
    pub event: u8,
    /// Its life.
    pub replay: u8,
    /// When it was published.
    pub stamp: u8,
}

/// What a worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// An event.
    Event(Message),
    /// A wake-up, published then.
    Wake(u8),
}

/// A worker that holds a message: the variables of the reconciler's handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker {
    /// The message.
    pub task: Task,
    /// By how many ticks its knowledge of the servers' time is behind.
    pub behind: u8,
    /// The hub of the integration that it loaded.
    pub hub: u8,
    /// The hub of the tenant's integration at that time.
    pub hub_then: u8,
    /// The device in its hands.
    pub device: Device,
    /// Version of the record it loaded or saved last.
    pub version: Option<u8>,
    /// The record it loaded or saved last.
    pub stored: Option<Shared<Record>>,
    /// A request that was planned, perhaps stored, but never sent.
    pub unsent: Option<IntentId>,
    /// An answer that is not stored yet.
    pub answer: Option<Answer>,
    /// The identity at hand.
    pub held: Option<Held>,
    /// When the last save was made.
    pub saved_at: u8,
    /// What it does next.
    pub phase: Phase,
}

/// What a worker does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Loads the record and decides.
    Load,
    /// Saves the record, for the sake of this effect.
    Save(Effect),
    /// Performs this effect and decides.
    Perform(Effect),
    /// Takes in what a read showed (only where a mutant reads before it looks at the clock).
    Read(Option<Facts>),
    /// Waits for the reply to this request.
    Await(IntentId),
    /// Waits until this delivery is made.
    Deliver(IntentId),
}

/// An identity at hand: its generation, its primary and its secondary key.
pub type Held = (String, (u8, u8));

/// The fingerprint of a key.
#[must_use]
pub fn print(generation: &str, key: u8) -> String {
    format!("{generation}/{key}")
}

impl Identity {
    /// What a reply shows.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            generation: self.generation.clone(),
            etag: self.etag.clone(),
            enabled: self.enabled,
            mark: self.mark.clone(),
            keys: Some(Keys {
                primary: print(&self.generation, self.keys.0),
                secondary: print(&self.generation, self.keys.1),
            }),
        }
    }

    /// What a worker that has seen it holds.
    #[must_use]
    pub fn in_hand(&self) -> Held {
        (self.generation.clone(), self.keys)
    }

    /// Whether the hub takes this key of this generation.
    #[must_use]
    pub const fn takes(&self, key: u8) -> bool {
        self.keys.0 == key || self.keys.1 == key
    }
}

impl World {
    /// Takes note of a broken rule.
    pub fn breaks(&mut self, rule: Rule) {
        self.broken |= rule.bit();
    }

    /// A number never used before.
    pub fn name(&mut self, letter: char) -> String {
        self.names += 1;
        format!("{letter}{}", self.names)
    }

    /// Whether nothing is left that would happen by itself.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.messages.is_empty()
            && self.wakes.is_empty()
            && self.alarm.is_none()
            && self.workers.is_empty()
            && self.flights.is_empty()
            && self.parcels.is_empty()
    }

    /// Puts the exchangeable parts in order.
    pub fn tidy(&mut self) {
        self.workers.sort_by_key(Shared::place);
        self.messages.sort_unstable();
        self.wakes.sort_unstable();
        self.flights
            .sort_by(|a, b| a.request.intent().cmp(b.request.intent()));
        self.parcels.sort_by(|a, b| a.claim.cmp(&b.claim));
        self.outcomes.sort_unstable();
        self.letters.sort_unstable();
        self.lives.sort_unstable();
    }
}
