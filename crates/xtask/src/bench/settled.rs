//! Waiting until events have ended, by what the outcome stream counts.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, stream::Stream};
use tokio::time::Instant;

use super::talk::Talk;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The wait is in vain when nothing has ended for so long.
const STILL: Duration = Duration::from_secs(60);

/// How far the events were at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) ended: u64,
}

/// A stream that gets one message for each event that has ended.
pub(super) struct Settled {
    stream: Stream,
}

impl Settled {
    pub(super) async fn open(context: &jetstream::Context, name: &str) -> Result<Self> {
        let stream = context.get_stream(name).await;
        Ok(Self {
            stream: stream.with_context(|| format!("no stream {name}"))?,
        })
    }

    /// Events that have ended so far.
    pub(super) async fn count(&mut self) -> Result<u64> {
        Ok(self.stream.info().await?.state.messages)
    }

    /// Waits until so many have ended; tells how far it was at each look, from now on.
    pub(super) async fn reach(&mut self, goal: u64, talk: &Talk) -> Result<Vec<Sample>> {
        let begin = Instant::now();
        let mut samples: Vec<Sample> = Vec::new();
        let mut moved = begin;
        loop {
            let ended = self.count().await?;
            let at = begin.elapsed();
            if samples.last().is_none_or(|last| last.ended != ended) {
                moved = Instant::now();
                samples.push(Sample { at, ended });
            }
            if ended >= goal {
                return Ok(samples);
            }
            if moved.elapsed() > STILL {
                bail!("{ended} of {goal} events ended, and nothing moves any more");
            }
            talk.waiting("events ended", ended, goal);
            tokio::time::sleep(LOOK).await;
        }
    }
}
