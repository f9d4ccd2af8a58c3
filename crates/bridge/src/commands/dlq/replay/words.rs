//! What became of replayed letters, in words.

use std::fmt::Write as _;

use lifecycle::Outcome;
use messages::ops::{LetterResult, ReplayEntry, ReplayReply, ReplayedEvent};

use crate::print;

/// A line for each letter, and a sum if there are several.
pub(super) fn all(reply: &ReplayReply) -> String {
    if reply.entries.is_empty() && reply.stopped.is_none() {
        return "no dead letters".to_owned();
    }
    let mut text = String::new();
    for entry in &reply.entries {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}", entry.sequence, of(entry));
    }
    if reply.entries.len() > 1 {
        let _ = writeln!(text, "{}", sum(reply));
    }
    if open(reply) > 0 {
        text.push_str(
            "not ended yet: `mender-iothub device show ID` tells what a device waits for\n",
        );
    }
    print::harmless(text)
}

fn of(entry: &ReplayEntry) -> String {
    let published = match entry.events {
        1 => "published again".to_owned(),
        events => format!("published again, {events} events"),
    };
    match entry.result {
        LetterResult::Published => match ends(entry) {
            ends if ends.is_empty() => published,
            ends => format!("{published}; {ends}"),
        },
        LetterResult::Malformed => {
            let reason = entry.reason.as_deref().unwrap_or_default();
            let kept = format!("kept: still not understood: {reason}");
            match entry.events {
                0 => kept,
                events => format!("{kept}; {events} other events of it {}", ends(entry)),
            }
        }
        LetterResult::Gone => "gone: replayed or removed by somebody else".to_owned(),
        LetterResult::WouldReplay => "not replayed".to_owned(),
    }
}

/// How the events of one letter ended.
fn ends(entry: &ReplayEntry) -> String {
    match &entry.outcomes[..] {
        [] => String::new(),
        [one] => end(one),
        several => several
            .iter()
            .map(|event| format!("{}: {}", event.device, end(event)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn end(event: &ReplayedEvent) -> String {
    let name = match event.outcome {
        None if event.event_id.is_none() => "the device is looked at again",
        None => "not ended yet",
        Some(outcome) => word(outcome),
    };
    match &event.reason {
        Some(reason) => format!("{name}: {reason}"),
        None => name.to_owned(),
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Unchanged => "unchanged",
        Outcome::Superseded => "superseded",
        Outcome::Ignored => "ignored",
        Outcome::Dead => "dead again",
    }
}

fn events(reply: &ReplayReply) -> impl Iterator<Item = &ReplayedEvent> {
    reply.entries.iter().flat_map(|entry| &entry.outcomes)
}

fn open(reply: &ReplayReply) -> usize {
    events(reply)
        .filter(|event| event.outcome.is_none() && event.event_id.is_some())
        .count()
}

fn sum(reply: &ReplayReply) -> String {
    let with = |result| reply.entries.iter().filter(move |it| it.result == result);
    let mut parts = vec![
        (with(LetterResult::Malformed).count(), "kept"),
        (with(LetterResult::Gone).count(), "gone"),
    ];
    for outcome in [
        Outcome::Applied,
        Outcome::Unchanged,
        Outcome::Superseded,
        Outcome::Ignored,
        Outcome::Dead,
    ] {
        let count = events(reply).filter(|event| event.outcome == Some(outcome));
        parts.push((count.count(), word(outcome)));
    }
    parts.push((open(reply), "not ended yet"));
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let (done, matched) = (reply.entries.len(), reply.matched);
    format!("came to {done} of {matched} letters: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, result: LetterResult, outcomes: &[Option<Outcome>]) -> ReplayEntry {
        let event = |outcome: &Option<Outcome>| ReplayedEvent {
            event_id: Some(format!("S-{sequence}")),
            replay: sequence,
            device: "d".to_owned(),
            outcome: *outcome,
            reason: (*outcome == Some(Outcome::Dead)).then(|| "a \u{1b}[31m reason".to_owned()),
        };
        ReplayEntry {
            sequence,
            event_id: None,
            tenant: None,
            device: None,
            result,
            events: outcomes.len() as u64,
            reason: Some("not valid JSON".to_owned()).filter(|_| result == LetterResult::Malformed),
            outcomes: outcomes.iter().map(event).collect(),
        }
    }

    #[test]
    fn each_letter_has_a_line_that_says_what_became_of_it() {
        let (published, outcome) = (LetterResult::Published, |it| [Some(it)]);
        let reply = ReplayReply {
            dry_run: false,
            matched: 6,
            entries: vec![
                entry(1, published, &outcome(Outcome::Applied)),
                entry(2, published, &outcome(Outcome::Dead)),
                entry(3, published, &[None]),
                entry(4, LetterResult::Malformed, &[]),
                entry(5, LetterResult::Gone, &[]),
            ],
            left: 1,
            stopped: None,
        };
        let expected = "1: published again; applied\n\
            2: published again; dead again: a \\u{1b}[31m reason\n\
            3: published again; not ended yet\n\
            4: kept: still not understood: not valid JSON\n\
            5: gone: replayed or removed by somebody else\n\
            came to 5 of 6 letters: 1 kept, 1 gone, 1 applied, 1 dead again, 1 not ended yet\n\
            not ended yet: `mender-iothub device show ID` tells what a device waits for\n";
        assert_eq!(all(&reply), expected);
    }
}
