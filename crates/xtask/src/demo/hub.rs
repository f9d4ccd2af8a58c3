//! What the hub holds and what it was asked: the emulator's side of the story.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use black_box::{Emulator, emulator::JournalEntry, evidence};
use serde_json::json;

/// One request in so many goes wrong.
const FAULTY: u64 = 20;

/// Makes an identity as a stranger would: with a key, tags and a note of his own.
pub(super) async fn make_by_hand(emulator: &Emulator, id: &str) -> Result<String> {
    let identity = json!({
        "status": "enabled",
        "statusReason": "made by hand",
        "tags": {"owner": "somebody else"},
    });
    emulator.put_device(id, &identity).await?;
    let bytes = evidence::bytes_of(emulator, id).await?;
    bytes.with_context(|| format!("the hub does not hold {id}, which was just made"))
}

/// Lets one hub request in twenty go wrong from now on, in turn: a server error that prevented
/// the effect, an answer lost after it, and "too many requests".
///
/// Each 429 stops the traffic of the whole hub for as long as it says, so there are only a few of
/// them; afterwards their turn goes to server errors that lie.
pub(super) async fn let_requests_fail(emulator: &Emulator) -> Result<()> {
    let every = FAULTY * 3;
    let (first, second, third) = (0, FAULTY, FAULTY * 2);
    let rules = json!([
        // The first two turns come before the rules below begin to count.
        {"name": "server error", "every": FAULTY, "times": 1, "effect": "before", "status": 503},
        {"name": "lost answer", "every": 2 * FAULTY, "times": 1, "effect": "after", "reply": "drop"},
        {"name": "server error", "every": every, "skip": first, "effect": "before", "status": 503},
        {"name": "lost answer", "every": every, "skip": second, "effect": "after", "reply": "drop"},
        {"name": "too many requests", "every": every, "skip": third, "times": 5, "effect": "before",
         "status": 429, "retry_after": 1},
        {"name": "late server error", "every": every, "skip": third, "effect": "after", "status": 500},
    ]);
    emulator.faults(&json!({ "rules": rules })).await
}

/// Reads the emulator's journal as it grows.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last: u64,
    created: HashSet<String>,
    faults: u64,
    requests: u64,
}

impl Journal {
    /// Reads what has come since the last time.
    pub(super) async fn catch_up(&mut self, emulator: &Emulator) -> Result<()> {
        let path = format!("/journal?since={}", self.last);
        for line in emulator.control().text(&path).await?.lines() {
            let entry: JournalEntry =
                serde_json::from_str(line).with_context(|| format!("journal: {line}"))?;
            // What it did is not known before it has ended; the next look begins with it.
            if entry.replied_us.is_none() && !entry.dropped {
                break;
            }
            self.take(entry);
        }
        Ok(())
    }

    fn take(&mut self, entry: JournalEntry) {
        self.last = entry.seq;
        if entry.operation == "hand-edit" {
            return;
        }
        self.requests += 1;
        self.faults += u64::from(entry.fault.is_some());
        if entry.operation == "create" && entry.effective {
            self.created.extend(entry.device);
        }
    }

    /// Devices that got an identity from the worker.
    pub(super) fn created(&self) -> u64 {
        self.created.len() as u64
    }

    /// Requests so far, and how many of them went wrong on purpose.
    pub(super) const fn requests(&self) -> (u64, u64) {
        (self.requests, self.faults)
    }

    /// The place reached, to tell whether anything happens at all.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }
}
