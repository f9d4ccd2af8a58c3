//! What became of a replay.

use lifecycle::Outcome;
use serde::{Deserialize, Serialize};

use crate::{Malformed, json};

/// What became of the letters of a replay (`schemas/ops-dlq-replay-reply.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReply {
    /// Nothing was done; the entries are what would be.
    pub dry_run: bool,
    /// Letters that were asked for.
    pub matched: u64,
    /// Those that it came to, in order.
    pub entries: Vec<ReplayEntry>,
    /// Those that it did not come to. They are as they were.
    pub left: u64,
    /// Why it did not come to them.
    pub stopped: Option<String>,
}

/// What became of one letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayEntry {
    /// Its number.
    pub sequence: u64,
    /// Name of its event, or of the message; null where the letter is gone.
    pub event_id: Option<String>,
    /// The tenant, where that is known.
    pub tenant: Option<String>,
    /// The device, where that is known.
    pub device: Option<String>,
    /// What was done with it.
    pub result: LetterResult,
    /// Events of it that were published.
    pub events: u64,
    /// Why it is kept.
    pub reason: Option<String>,
    /// How its events ended, as far as that was waited for.
    pub outcomes: Vec<ReplayedEvent>,
}

/// What was done with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterResult {
    /// A dry run: it would be replayed.
    WouldReplay,
    /// Its events were published, and it is removed.
    Published,
    /// It still cannot be understood, wholly or in part: it is kept.
    Malformed,
    /// There is no such letter (any more).
    Gone,
}

/// An event that was published again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedEvent {
    /// Its name, the one it had before; null for a wake-up, which is no event and has no outcome.
    pub event_id: Option<String>,
    /// Which life of it began.
    pub replay: u64,
    /// The device.
    pub device: String,
    /// How it ended; null if it had not by the end of the wait.
    pub outcome: Option<Outcome>,
    /// Why, where the outcome alone does not say it.
    pub reason: Option<String>,
}

impl ReplayReply {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = json::checked(body)?;
        serde_json::from_str(text).map_err(|_| Malformed::because("not the reply of a replay"))
    }
}
