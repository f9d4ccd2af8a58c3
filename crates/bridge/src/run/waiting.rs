//! Waiting for what the worker needs to start: told once, tried again with growing pauses.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tokio_util::sync::CancellationToken;

use super::readiness::{Need, Readiness};

/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// Repeats `attempt` until it succeeds; `None` if the worker is told to stop first.
pub(crate) async fn until_there<T, E: std::fmt::Display>(
    need: Need,
    readiness: &Readiness,
    stop: &CancellationToken,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Option<T> {
    let mut pauses = ExponentialBackoff {
        initial_interval: PAUSES.0,
        current_interval: PAUSES.0,
        max_interval: PAUSES.1,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    loop {
        let result = tokio::select! {
            result = attempt() => result,
            () = stop.cancelled() => return None,
        };
        match result {
            Ok(found) => {
                readiness.report(need, Ok(()));
                return Some(found);
            }
            Err(why) => readiness.report(need, Err(why.to_string())),
        }
        let pause = pauses.next_backoff().unwrap_or(PAUSES.1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_tries_until_the_thing_is_there_or_the_worker_stops() {
        let it = Need::new("it", "it");
        let readiness = Readiness::waiting_for(&[it]);
        let stop = CancellationToken::new();
        let mut tries = 0;
        let found = until_there(it, &readiness, &stop, async || {
            tries += 1;
            if tries < 4 { Err("not yet") } else { Ok(tries) }
        });
        assert_eq!(found.await, Some(4));
        assert!(readiness.missing().is_empty());
        stop.cancel();
        let never = until_there(it, &readiness, &stop, async || Err::<(), _>("never"));
        assert_eq!(never.await, None);
    }
}
