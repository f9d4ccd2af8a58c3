//! What the worker says became of each event, read from its streams as an operator would.
//!
//! Both streams are read through short-lived consumers that acknowledge nothing, so looking changes
//! nothing.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{
    self, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

const OUTCOMES: &str = "IOTHUB_OUTCOMES";
const DEAD_LETTERS: &str = "IOTHUB_DLQ";
/// The consumers that hand out the work: stream, name.
const WORK: [(&str, &str); 2] = [
    ("WORKFLOWS", "iothub-ingest"),
    ("IOTHUB_EVENTS", "iothub-worker"),
];
/// After how long the server may take a reader for gone. The demo asks often, except while it
/// publishes a large fleet's events.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// Messages asked for at a time.
const BATCH: usize = 2_000;
/// How long a cluster may take until somebody answers for a new consumer.
const UNANSWERED: Duration = Duration::from_secs(20);
/// Pause before it is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// How an event can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The hub was changed.
    Applied,
    /// The hub was so already.
    Unchanged,
    /// A newer event came first.
    Superseded,
    /// Not for us: no integration, or a foreign identity.
    Ignored,
    /// Given up: a dead letter.
    Dead,
}

/// The part of an outcome that is counted.
#[derive(Debug, Deserialize)]
pub struct Ended {
    /// The event.
    pub event_id: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How many events ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// See [`Outcome::Applied`].
    pub applied: u64,
    /// See [`Outcome::Unchanged`].
    pub unchanged: u64,
    /// See [`Outcome::Superseded`].
    pub superseded: u64,
    /// See [`Outcome::Ignored`].
    pub ignored: u64,
    /// See [`Outcome::Dead`].
    pub dead: u64,
}

impl Tally {
    /// Each kind by name.
    #[must_use]
    pub const fn kinds(self) -> [(&'static str, u64); 5] {
        [
            ("applied", self.applied),
            ("unchanged", self.unchanged),
            ("superseded", self.superseded),
            ("ignored", self.ignored),
            ("dead", self.dead),
        ]
    }

    /// Counts one more.
    pub const fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Superseded => &mut self.superseded,
            Outcome::Ignored => &mut self.ignored,
            Outcome::Dead => &mut self.dead,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub fn sum(self) -> u64 {
        self.kinds().iter().map(|(_, count)| count).sum()
    }
}

/// All outcomes so far. An outcome that was published again after a crash counts once, and the last
/// one of an event counts.
#[derive(Default)]
struct Ends(HashMap<String, Outcome>);

impl Ends {
    fn take(&mut self, body: &[u8]) -> Result<()> {
        let ended: Ended = serde_json::from_slice(body)
            .with_context(|| format!("not an outcome: {}", String::from_utf8_lossy(body)))?;
        self.0.insert(ended.event_id, ended.outcome);
        Ok(())
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for outcome in self.0.values() {
            tally.count(*outcome);
        }
        tally
    }
}

/// Reads outcomes as they come.
pub struct Ledger {
    context: jetstream::Context,
    reader: Reader,
    ends: Ends,
}

impl Ledger {
    /// Starts with the first outcome there is.
    pub async fn open(context: jetstream::Context) -> Result<Self> {
        Ok(Self {
            reader: Reader::open(&context, OUTCOMES).await?,
            context,
            ends: Ends::default(),
        })
    }

    /// Reads what has come since the last time.
    pub async fn catch_up(&mut self) -> Result<()> {
        for message in self.reader.rest().await? {
            if is_outcome(&message) {
                self.ends.take(&message.payload)?;
            }
        }
        Ok(())
    }

    /// How many events have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ends.0.len() as u64
    }

    /// How they ended.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.ends.tally()
    }

    /// Messages that wait for the worker or are in its hands, by consumer.
    pub async fn waiting(&self) -> Result<Vec<(&'static str, u64)>> {
        let mut all = Vec::new();
        for (stream, name) in WORK {
            let stream = self.context.get_stream_no_info(stream).await?;
            let info = stream.consumer_info(name).await?;
            all.push((name, info.num_pending + info.num_ack_pending as u64));
        }
        Ok(all)
    }

    /// The bodies of all dead letters.
    pub async fn dead_letters(&self) -> Result<Vec<Vec<u8>>> {
        let letters = Reader::open(&self.context, DEAD_LETTERS)
            .await?
            .rest()
            .await?;
        Ok(letters.into_iter().map(|it| it.payload.to_vec()).collect())
    }

    /// Every outcome message, in order, for whoever wants to look closer.
    pub async fn log(&self) -> Result<Vec<String>> {
        let log = Reader::open(&self.context, OUTCOMES).await?.rest().await?;
        let text = |it: Message| String::from_utf8_lossy(&it.payload).into_owned();
        Ok(log.into_iter().map(text).collect())
    }
}

/// Whether a message of the outcome stream tells of an event. The audit log of twins is in there too.
#[must_use]
pub fn is_outcome(message: &Message) -> bool {
    message.subject.contains(".outcome.")
}

/// A place in a stream.
pub struct Reader(PullConsumer);

impl Reader {
    /// Starts with the first message there is.
    pub async fn open(context: &jetstream::Context, stream: &str) -> Result<Self> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            inactive_threshold: FORGOTTEN,
            ..pull::Config::default()
        };
        let consumer = context.create_consumer_on_stream(config, stream).await;
        consumer
            .map(Self)
            .with_context(|| format!("failed to read the stream {stream}"))
    }

    /// Everything from here to the present end.
    ///
    /// In a cluster nobody answers for a consumer that has only just been made (503): asked again.
    pub async fn rest(&mut self) -> Result<Vec<Message>> {
        let mut all = Vec::new();
        let begun = Instant::now();
        loop {
            let before = all.len();
            let fetch = self.0.fetch().max_messages(BATCH);
            let mut batch = fetch.messages().await?;
            let mut ended = Ok(());
            while let Some(message) = batch.next().await {
                match message {
                    Ok(message) => all.push(message),
                    Err(error) => ended = Err(error.to_string()),
                }
            }
            match ended {
                Ok(()) if all.len() == before => return Ok(all),
                Ok(()) => {}
                Err(error) if error.contains("503") && begun.elapsed() < UNANSWERED => {
                    sleep(AGAIN).await;
                }
                Err(error) => bail!("failed to read a stream: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_of_an_event_counts_and_it_counts_once() {
        let mut ends = Ends::default();
        for (event, outcome) in [("a", "dead"), ("b", "applied"), ("a", "applied")] {
            let body = format!(r#"{{"event_id":"{event}","outcome":"{outcome}","replay":0}}"#);
            ends.take(body.as_bytes()).unwrap();
        }
        let tally = ends.tally();
        assert_eq!((tally.applied, tally.dead, tally.sum()), (2, 0, 2));
    }

    #[test]
    fn an_outcome_that_nobody_knows_is_an_error() {
        let body = br#"{"event_id":"a","outcome":"lost"}"#;
        assert!(Ends::default().take(body).is_err());
    }
}
