//! What is told of one letter.

use jetstream::{LetterHead, Life, Replayed};
use messages::ops::{LetterResult, ReplayEntry, ReplayedEvent};

/// A letter that is to be replayed; without a head there is none of this number.
pub(super) fn planned(sequence: u64, head: Option<&LetterHead>) -> ReplayEntry {
    ReplayEntry {
        sequence,
        event_id: head.map(|head| head.event_id.0.clone()),
        tenant: head.and_then(|head| head.tenant.clone()),
        device: head.and_then(|head| head.device.clone()),
        result: match head {
            Some(_) => LetterResult::WouldReplay,
            None => LetterResult::Gone,
        },
        events: 0,
        reason: None,
        outcomes: Vec::new(),
    }
}

/// Writes down what was done. Events are listed while there is `room` for them.
pub(super) fn fill(entry: &mut ReplayEntry, replayed: Replayed, room: &mut usize) {
    let Replayed {
        letter,
        lives,
        malformed,
    } = replayed;
    entry.result = match (&letter, &malformed) {
        (None, _) => LetterResult::Gone,
        (Some(_), Some(_)) => LetterResult::Malformed,
        (Some(_), None) => LetterResult::Published,
    };
    entry.events = lives.len() as u64;
    entry.reason = malformed;
    let listed = lives.len().min(*room);
    *room -= listed;
    entry.outcomes = lives.into_iter().take(listed).map(begun).collect();
}

fn begun(life: Life) -> ReplayedEvent {
    ReplayedEvent {
        event_id: life.event.map(|event| event.0),
        replay: life.replay,
        device: life.about.device.as_str().to_owned(),
        outcome: None,
        reason: None,
    }
}
