//! How many requests to one hub may be under way at a time.
//!
//! A hub that hangs keeps whoever asks it until the time-out, a minute long. Without a limit the
//! messages of its tenant would soon be all that is in work, and those of every other tenant would
//! wait. So each hub has its share of the places. While the hub answers, a message waits here for one of
//! them to become free; when it does not, the message is sent away and comes back later, and the
//! more were sent away, the later, so that they do not all come back at once.
//!
//! A hub with few operations a minute has few places. It answers late before it refuses, so what is
//! under way at each worker is its queue; with a queue of two seconds each, several workers that know
//! nothing of each other get equal shares of all that the hub allows, and none of them a refusal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pacer::PerMinute;

/// Places of one hub unless it is told otherwise.
const MOST: usize = 32;
/// The queue that one worker may have at a hub, in parts of a minute's allowance: two seconds of it.
const QUEUE: u32 = 30;
/// The fewest places of a hub.
const FEWEST: u32 = 2;
/// A request that takes longer is taken for one that hangs.
const SLOW: Duration = Duration::from_secs(1);
/// The same where there is an allowance: a request waits in the hub's queue for up to ten seconds
/// ("Understand IoT Hub quotas and throttling", traffic shaping).
const SLOW_IN_QUEUE: Duration = Duration::from_secs(15);
/// How often a message that waits looks whether the hub hangs.
const LOOK: Duration = Duration::from_millis(100);
/// How long a message waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);
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
    /// Tells who waits that a place is free.
    freed: Arc<Notify>,
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
    slow: Duration,
}

/// What a message meets that wants a place.
enum Door {
    In(Place),
    /// The hub hangs, or is too slow: come back after so long.
    Away(Duration),
    /// Every place is taken; one may become free.
    Wait(Arc<Notify>),
}

impl Crowd {
    pub(crate) fn new(most: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            most: most.unwrap_or(MOST).max(1),
            hubs: Mutex::default(),
        })
    }

    /// Takes a place; `Err` says when to come back if the hub does not answer.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        hub: &str,
        allowed: PerMinute,
    ) -> Result<Place, Duration> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.knock(hub, allowed, Instant::now() < end) {
                Door::In(place) => return Ok(place),
                Door::Away(wait) => return Err(wait),
                Door::Wait(freed) => {
                    let _ = tokio::time::timeout(LOOK, freed.notified()).await;
                }
            }
        }
    }

    fn knock(self: &Arc<Self>, hub: &str, allowed: PerMinute, patient: bool) -> Door {
        let slow = allowed.map_or(SLOW, |_| SLOW_IN_QUEUE);
        let mut hubs = self.lock();
        let requests = hubs.entry(hub.to_owned()).or_default();
        if requests.open.len() < self.places(allowed) {
            let number = requests.next;
            requests.next += 1;
            requests.open.insert(number, Instant::now());
            return Door::In(Place {
                crowd: Arc::clone(self),
                hub: hub.to_owned(),
                number,
                slow,
            });
        }
        let oldest = requests.open.values().next();
        if patient && oldest.is_none_or(|began| began.elapsed() < slow) {
            return Door::Wait(Arc::clone(&requests.freed));
        }
        requests.sent_away = requests.sent_away.saturating_add(1);
        let apart = allowed.map_or(APART, |n| APART.max(Duration::from_secs(60) / n.max(1)));
        let away = apart.saturating_mul(requests.sent_away);
        Door::Away(away.clamp(AWAY.0, AWAY.1))
    }

    fn places(&self, allowed: PerMinute) -> usize {
        let queue = allowed.map(|n| usize::try_from((n / QUEUE).max(FEWEST)));
        let queue = queue.and_then(Result::ok).unwrap_or(usize::MAX);
        self.most.min(queue)
    }

    /// How many requests to this hub are under way.
    pub(crate) fn under_way(&self, hub: &str) -> usize {
        self.lock()
            .get(hub)
            .map_or(0, |requests| requests.open.len())
    }

    fn leave(&self, place: &Place) {
        let mut hubs = self.lock();
        let Some(requests) = hubs.get_mut(&place.hub) else {
            return;
        };
        let began = requests.open.remove(&place.number);
        if began.is_some_and(|began| began.elapsed() < place.slow) {
            requests.sent_away = 0;
        }
        requests.freed.notify_one();
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
            places.push(crowd.enter(hub, None).await.unwrap());
        }
        places
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_while_the_hub_answers_and_goes_when_it_hangs() {
        let crowd = Crowd::new(Some(2));
        let mut held = places(&crowd, "h", 2).await;
        let (waited, ()) = tokio::join!(crowd.enter("h", None), async {
            tokio::time::sleep(SLOW / 2).await;
            drop(held.pop());
        });
        let began = Instant::now();
        held.push(waited.unwrap());
        assert_eq!(crowd.enter("h", None).await.unwrap_err(), AWAY.0);
        assert!(began.elapsed() <= SLOW, "{:?}", began.elapsed());
        // Another hub has places of its own.
        assert_eq!(places(&crowd, "other", 2).await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_place_is_taken_at_once() {
        let crowd = Crowd::new(Some(1));
        let held = crowd.enter("h", None).await.unwrap();
        let freed_at = Instant::now() + Duration::from_millis(3);
        let (waited, ()) = tokio::join!(crowd.enter("h", None), async {
            tokio::time::sleep_until(freed_at).await;
            drop(held);
        });
        assert_eq!(Instant::now(), freed_at);
        drop(waited.unwrap());
        assert!(crowd.lock().is_empty(), "nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_allowance_has_few_places_and_its_queue_is_waited_for() {
        let crowd = Crowd::new(Some(32));
        let of_100 = [3, 4].map(|count| {
            let crowd = Arc::clone(&crowd);
            async move {
                let mut held = Vec::new();
                for _ in 0..count {
                    held.push(crowd.enter("s1", Some(100)).await?);
                }
                Ok::<_, Duration>(held.len())
            }
        });
        let began = Instant::now();
        let [three, four] = of_100;
        assert_eq!(three.await, Ok(3));
        assert!(four.await.is_err(), "sent away after some patience");
        assert_eq!(began.elapsed(), PATIENCE);
        assert_eq!(crowd.places(Some(20_000)), 32);
        assert_eq!(crowd.places(Some(1)), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_are_sent_away_the_later_they_come_back_until_the_hub_answers() {
        let crowd = Crowd::new(Some(1));
        let hung = crowd.enter("h", None).await.unwrap();
        let mut last = Duration::ZERO;
        for _ in 0..10_000 {
            let away = crowd.enter("h", None).await.unwrap_err();
            assert!(away >= last && away <= AWAY.1);
            last = away;
        }
        assert_eq!(last, AWAY.1);
        drop(hung);
        drop(crowd.enter("h", None).await.unwrap());
        assert!(crowd.lock().is_empty(), "nothing is kept");
        let _hung = crowd.enter("h", None).await.unwrap();
        assert_eq!(crowd.enter("h", None).await.unwrap_err(), AWAY.0);
    }
}
