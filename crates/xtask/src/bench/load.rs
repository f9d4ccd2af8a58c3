//! Publishing: as fast as it goes, or so many a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use async_nats::jetstream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::JoinSet, time::Instant};

/// Messages under way at once.
const AT_ONCE: usize = 256;

/// Publishes a body on each of these subjects, and waits until all are stored.
pub(super) async fn all(
    context: &jetstream::Context,
    subjects: impl Iterator<Item = String>,
    body: &str,
) -> Result<()> {
    let send = |subject: String| {
        let body = body.to_owned();
        async move {
            context.publish(subject, body.into()).await?.await?;
            anyhow::Ok(())
        }
    };
    let all = stream::iter(subjects.map(send)).buffer_unordered(AT_ONCE);
    let done = all.try_collect::<()>().await;
    done.context("failed to publish")
}

/// Publishes a body on each of these subjects, so many a second by a clock that does not wait for
/// anybody, and tells when each was published, in microseconds since the Unix epoch.
pub(super) async fn paced(
    context: &jetstream::Context,
    subjects: impl Iterator<Item = String>,
    body: &str,
    per_second: u32,
) -> Result<Vec<u64>> {
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut stored = JoinSet::new();
    for (index, subject) in (0_u32..).zip(subjects) {
        tokio::time::sleep_until(begin + Duration::from_secs(1) * index / per_second).await;
        times.push(now_us()?);
        let ack = context.publish(subject, body.to_owned().into()).await?;
        stored.spawn(ack.into_future());
    }
    for ack in stored.join_all().await {
        ack.context("failed to publish")?;
    }
    Ok(times)
}

/// The present in microseconds since the Unix epoch, as the emulator's journal has it.
pub(super) fn now_us() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}
