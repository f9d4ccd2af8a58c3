//! How many requests to one hub may be under way at a time.
//!
//! A hub that hangs keeps whoever asks it until the time-out, a minute long. Without a limit the
//! messages of its tenant would soon be all that is in work, and those of every other tenant would
//! wait. So each hub has its share of the places. While the hub answers, a message waits here for one of
//! them to become free; when it does not, the message is sent away and comes back later, and the
//! more were sent away, the later, so that they do not all come back at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Places of one hub unless it is told otherwise.
const MOST: usize = 32;
/// A request that takes longer is taken for one that hangs.
const SLOW: Duration = Duration::from_secs(1);
/// How often a message that waits looks for a free place.
const LOOK: Duration = Duration::from_millis(20);
/// Those who were sent away come back at this distance from each other.
const APART: Duration = Duration::from_millis(20);
/// The shortest and the longest time to be sent away for.
const AWAY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// The requests under way, by hub.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    hubs: Mutex<HashMap<String, Requests>>,
}

#[derive(Debug, Default)]
struct Requests {
    next: u64,
    /// When each began; the first is the oldest.
    open: BTreeMap<u64, Instant>,
    /// Messages sent away since the hub last answered in time.
    sent_away: u32,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    hub: String,
    number: u64,
}

impl Crowd {
    pub(crate) fn new(most: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            most: most.unwrap_or(MOST).max(1),
            hubs: Mutex::default(),
        })
    }

    /// Takes a place; `Err` says when to come back if the hub does not answer.
    pub(crate) async fn enter(self: &Arc<Self>, hub: &str) -> Result<Place, Duration> {
        loop {
            if let Some(entered) = self.try_enter(hub) {
                return entered;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `None`: wait a little.
    fn try_enter(self: &Arc<Self>, hub: &str) -> Option<Result<Place, Duration>> {
        let mut hubs = self.lock();
        let requests = hubs.entry(hub.to_owned()).or_default();
        if requests.open.len() < self.most {
            let number = requests.next;
            requests.next += 1;
            requests.open.insert(number, Instant::now());
            return Some(Ok(Place {
                crowd: Arc::clone(self),
                hub: hub.to_owned(),
                number,
            }));
        }
        let oldest = requests.open.values().next();
        if oldest.is_none_or(|began| began.elapsed() < SLOW) {
            return None;
        }
        requests.sent_away = requests.sent_away.saturating_add(1);
        let away = APART.saturating_mul(requests.sent_away);
        Some(Err(away.clamp(AWAY.0, AWAY.1)))
    }

    fn leave(&self, place: &Place) {
        let mut hubs = self.lock();
        let Some(requests) = hubs.get_mut(&place.hub) else {
            return;
        };
        let began = requests.open.remove(&place.number);
        if began.is_some_and(|began| began.elapsed() < SLOW) {
            requests.sent_away = 0;
        }
        if requests.open.is_empty() && requests.sent_away == 0 {
            hubs.remove(&place.hub);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Requests>> {
        // A map left by a panic is whole.
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn places(crowd: &Arc<Crowd>, hub: &str, count: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.push(crowd.enter(hub).await.unwrap());
        }
        places
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_while_the_hub_answers_and_goes_when_it_hangs() {
        let crowd = Crowd::new(Some(2));
        let mut held = places(&crowd, "h", 2).await;
        let (waited, ()) = tokio::join!(crowd.enter("h"), async {
            tokio::time::sleep(SLOW / 2).await;
            drop(held.pop());
        });
        let began = Instant::now();
        held.push(waited.unwrap());
        assert_eq!(crowd.enter("h").await.unwrap_err(), AWAY.0);
        assert!(began.elapsed() <= SLOW, "{:?}", began.elapsed());
        // Another hub has places of its own.
        assert_eq!(places(&crowd, "other", 2).await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_are_sent_away_the_later_they_come_back_until_the_hub_answers() {
        let crowd = Crowd::new(Some(1));
        let hung = crowd.enter("h").await.unwrap();
        let mut last = Duration::ZERO;
        for _ in 0..10_000 {
            let away = crowd.enter("h").await.unwrap_err();
            assert!(away >= last && away <= AWAY.1);
            last = away;
        }
        assert_eq!(last, AWAY.1);
        drop(hung);
        drop(crowd.enter("h").await.unwrap());
        assert!(crowd.lock().is_empty(), "nothing is kept");
        let _hung = crowd.enter("h").await.unwrap();
        assert_eq!(crowd.enter("h").await.unwrap_err(), AWAY.0);
    }
}
