//! Processes that die between any two lines, or stand still for longer than anybody waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::world::Servers;

/// Longest time that a process stands still: beyond every lease.
const LONGEST_STOP: Duration = Duration::from_secs(200);

/// One life of a process. All that it does is polled through [`Life::live`].
#[derive(Debug)]
pub(crate) struct Life {
    /// Its number, never used again.
    pub(crate) number: u64,
    /// Told to end what it has and to take no more.
    pub(crate) leaving: CancellationToken,
    dead: CancellationToken,
    /// Microseconds since the start of the run until which it stands still.
    still_until: AtomicU64,
    began: Instant,
    servers: Servers,
}

impl Life {
    pub(crate) fn new(servers: &Servers) -> Self {
        Self {
            number: servers.world().fresh(),
            leaving: CancellationToken::new(),
            dead: CancellationToken::new(),
            still_until: AtomicU64::new(0),
            began: Instant::now(),
            servers: servers.clone(),
        }
    }

    /// Kills it: whatever it does is dropped where it stands.
    pub(crate) fn kill(&self) {
        self.dead.cancel();
        self.servers.world().queue.fall_silent(self.number);
        self.servers.arrived().notify_waiters();
    }

    /// Does something unless the process dies before; `None` if it did.
    pub(crate) async fn live<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut thaw = pin!(None::<Sleep>);
        let polled = poll_fn(move |cx| {
            if !self.goes_on() {
                return Poll::Pending;
            }
            if let Some(until) = self.stands_still() {
                thaw.set(Some(sleep_until(until)));
                let sleep = thaw.as_mut().as_pin_mut().expect("it was just set");
                if sleep.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            work.as_mut().poll(cx)
        });
        self.dead.run_until_cancelled(polled).await
    }

    /// Whether it survives until its next await.
    fn goes_on(&self) -> bool {
        let (crash, freeze) = {
            let mut world = self.servers.world();
            let (crash, freeze) = (world.faults.crash, world.faults.freeze);
            let crash = world.rng.rarely(crash);
            (crash, !crash && world.rng.rarely(freeze))
        };
        if crash {
            self.end_with_a_crash();
        } else if freeze {
            self.freeze();
        }
        !self.dead.is_cancelled()
    }

    fn end_with_a_crash(&self) {
        {
            let mut world = self.servers.world();
            world.chronicle.fault("crash");
            let number = self.number;
            world.note(|_| format!("process {number} dies"));
        }
        self.kill();
    }

    fn freeze(&self) {
        let mut world = self.servers.world();
        let time = world.rng.time(LONGEST_STOP);
        world.chronicle.fault("frozen");
        let number = self.number;
        world.note(|_| format!("process {number} stands still for {time:?}"));
        world.queue.fall_silent(number);
        let until = (self.began.elapsed() + time).as_micros();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.still_until.store(until, Ordering::Relaxed);
    }

    fn stands_still(&self) -> Option<Instant> {
        let micros = self.still_until.load(Ordering::Relaxed);
        let until = self.began + Duration::from_micros(micros);
        (until > Instant::now()).then_some(until)
    }
}
