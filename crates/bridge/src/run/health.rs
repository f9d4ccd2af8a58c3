//! Whether the process moves. If not, nothing but a restart helps, and `/healthz` says so.
//!
//! Each loop that must not stand still beats while it turns; waiting for work is turning too. A part that
//! ended although nobody told it to, is dead: the others go on, which is why somebody has to say it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two beats of the event loop.
const TICK: Duration = Duration::from_secs(1);
/// An event loop that is this late is stuck.
const LATE: Duration = Duration::from_secs(30);

/// The parts of the process.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    base: Instant,
    parts: Arc<Mutex<Vec<Arc<Part>>>>,
    lag_us: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Longest time between two beats; `None` for what need not beat.
    limit: Option<Duration>,
    /// Milliseconds after `base`.
    last: AtomicU64,
    ended: AtomicBool,
}

/// Beats for one part.
#[derive(Debug, Clone)]
pub(crate) struct Heart {
    base: Instant,
    part: Arc<Part>,
}

/// Marks a part as dead when it is dropped, unless everything stops.
struct Life {
    part: Arc<Part>,
    stop: CancellationToken,
}

impl Health {
    /// A process of which nothing is known; its event loop beats from now on.
    pub(crate) fn start(stop: CancellationToken) -> Self {
        let health = Self {
            base: Instant::now(),
            parts: Arc::default(),
            lag_us: Arc::default(),
        };
        let (heart, lag) = (health.heart("event loop", LATE), Arc::clone(&health.lag_us));
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let before = Instant::now();
                tokio::time::sleep(TICK).await;
                let late = before.elapsed().saturating_sub(TICK);
                lag.store(
                    u64::try_from(late.as_micros()).unwrap_or(u64::MAX),
                    Ordering::Relaxed,
                );
                heart.beat();
            }
        });
        health
    }

    /// A part that has to beat at least so often.
    pub(crate) fn heart(&self, name: &'static str, limit: Duration) -> Heart {
        let heart = Heart {
            base: self.base,
            part: self.add(name, Some(limit)),
        };
        heart.beat();
        heart
    }

    /// Runs a part that must not end before `stop`, be it by a panic.
    pub(crate) fn lives<F: Future>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        run: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let life = Life {
            part: self.add(name, None),
            stop: stop.clone(),
        };
        async move {
            let _life = life;
            run.await
        }
    }

    fn add(&self, name: &'static str, limit: Option<Duration>) -> Arc<Part> {
        let (last, ended) = (AtomicU64::new(0), AtomicBool::new(false));
        let part = Arc::new(Part {
            name,
            limit,
            last,
            ended,
        });
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&part));
        part
    }

    /// The parts that do not move, and since when; none when all is well.
    pub(crate) fn stuck(&self) -> Vec<(&'static str, String)> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = parts.iter().filter_map(|part| {
            if part.ended.load(Ordering::Relaxed) {
                return Some((part.name, "has ended".to_owned()));
            }
            let last = Duration::from_millis(part.last.load(Ordering::Relaxed));
            let silent = self.base.elapsed().saturating_sub(last);
            let is_stuck = part.limit.is_some_and(|limit| silent > limit);
            is_stuck.then(|| {
                (
                    part.name,
                    format!("has not moved for {} s", silent.as_secs()),
                )
            })
        });
        stuck.collect()
    }

    /// How late the last tick of the event loop was.
    pub(crate) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_us.load(Ordering::Relaxed))
    }
}

impl Heart {
    /// It moves.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.part.last.store(now, Ordering::Relaxed);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.part.ended.store(true, Ordering::Relaxed);
            tracing::error!(
                part = self.part.name,
                "a part of the worker has ended; restart it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_beat_in_time_is_stuck_until_it_beats_again() {
        let health = Health::start(CancellationToken::new());
        let heart = health.heart("dispatcher", Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(health.stuck(), [], "the event loop turns by itself");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let said = "has not moved for 62 s".to_owned();
        assert_eq!(health.stuck(), [("dispatcher", said)]);
        heart.beat();
        assert_eq!(health.stuck(), []);
    }

    #[tokio::test]
    async fn a_part_that_panics_is_missed_and_one_that_was_stopped_is_not() {
        let stop = CancellationToken::new();
        let health = Health::start(stop.clone());
        let dies = tokio::spawn(health.lives("ingest", &stop, async { panic!("as a test") }));
        assert!(dies.await.is_err());
        assert_eq!(health.stuck(), [("ingest", "has ended".to_owned())]);
        let other = Health::start(stop.clone());
        let goes_on = other.lives("sweeper", &stop, std::future::ready(()));
        stop.cancel();
        goes_on.await;
        assert_eq!(other.stuck(), []);
    }
}
