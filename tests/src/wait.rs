//! Waiting for something to become true, with a limit and a sentence for when it does not.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Pause between two looks: short against what is waited for, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `look` again and again until it answers `Some`, and returns that.
///
/// `look` may fail while it waits (a server that is not up yet refuses connections); only when
/// `within` has passed does the wait fail, naming `what` was waited for and the last failure seen.
pub async fn until<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + within;
    let mut last = None;
    loop {
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => last = None,
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= end {
            break;
        }
        sleep(PAUSE).await;
    }
    let mut text = format!("waited {within:?} in vain for {what}");
    if let Some(error) = last {
        let _ = write!(text, ": {error:#}");
    }
    bail!(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    const SHORT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn the_first_answer_ends_the_wait() {
        let mut looks = 0;
        let found = until(Duration::from_secs(5), "three", async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_wait_in_vain_tells_what_for_and_why() {
        let error = until::<()>(SHORT, "a door to open", async || {
            Err(anyhow!("it is locked"))
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 60ms in vain for a door to open: it is locked"
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let error = until::<()>(SHORT, "an answer", async || std::future::pending().await).await;
        assert!(error.is_err());
    }
}
