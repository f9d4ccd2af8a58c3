//! What became of events that were published again.

use std::collections::HashMap;
use std::time::Duration;

use messages::OutcomeMessage;
use messages::ops::ReplayEntry;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Replaying;

/// Events by name and life, each with its place: the entry, and the event in it.
type Open = HashMap<(String, u64), (usize, usize)>;

impl Replaying {
    /// Writes down how the events end, at most for `wait`, and until `stop`. What cannot be heard
    /// stays open: the replay itself is done.
    pub(super) async fn ends(
        &self,
        entries: &mut [ReplayEntry],
        place: u64,
        wait: Duration,
        stop: &CancellationToken,
    ) {
        let mut open = open(entries);
        if open.is_empty() || wait.is_zero() {
            return;
        }
        let until = Instant::now() + wait;
        let hearing = async {
            let mut feed = self.outcomes.feed(place).await?;
            while !open.is_empty() {
                note(entries, &mut open, feed.next().await?);
            }
            Ok::<_, jetstream::Error>(())
        };
        let heard = tokio::select! {
            heard = timeout_at(until, hearing) => heard,
            () = stop.cancelled() => return,
        };
        if let Ok(Err(error)) = heard {
            tracing::warn!(%error, "how replayed events end is not known");
        }
    }
}

fn open(entries: &[ReplayEntry]) -> Open {
    let of = |(number, entry): (usize, &ReplayEntry)| {
        let events = entry.outcomes.iter().enumerate();
        let named = events.filter_map(move |(index, event)| {
            let id = event.event_id.clone()?;
            Some(((id, event.replay), (number, index)))
        });
        named.collect::<Vec<_>>()
    };
    entries.iter().enumerate().flat_map(of).collect()
}

fn note(entries: &mut [ReplayEntry], open: &mut Open, ended: OutcomeMessage) {
    let Some((number, index)) = open.remove(&(ended.event_id, ended.replay)) else {
        return;
    };
    let event = &mut entries[number].outcomes[index];
    event.outcome = Some(ended.outcome);
    event.reason = ended.reason;
}

#[cfg(test)]
mod tests {
    use lifecycle::{EventId, Outcome};
    use messages::Malformed;
    use messages::ops::{LetterResult, ReplayedEvent};

    use super::*;

    #[test]
    fn the_end_of_another_life_is_not_that_of_this_one() {
        let event = ReplayedEvent {
            event_id: Some("S-1".to_owned()),
            replay: 7,
            device: "d".to_owned(),
            outcome: None,
            reason: None,
        };
        let mut entries = [ReplayEntry {
            sequence: 7,
            event_id: None,
            tenant: None,
            device: None,
            result: LetterResult::Published,
            events: 1,
            reason: None,
            outcomes: vec![event],
        }];
        let mut open = open(&entries);
        let why = Malformed::because("odd");
        let id = EventId("S-1".to_owned());
        let ended = |replay| OutcomeMessage::malformed(&id, None, None, &why, replay);
        note(&mut entries, &mut open, ended(0));
        assert_eq!(entries[0].outcomes[0].outcome, None);
        note(&mut entries, &mut open, ended(7));
        assert_eq!(entries[0].outcomes[0].outcome, Some(Outcome::Dead));
        assert!(open.is_empty());
    }
}
