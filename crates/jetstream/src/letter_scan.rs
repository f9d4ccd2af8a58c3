//! Going through the dead letters by their headers alone.
//!
//! Bodies stay where they are, so a hundred thousand letters are looked through in little memory.
//! Letters may be replayed or removed meanwhile: when the server falls silent, a direct read tells
//! whether there is still something to come.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use futures::StreamExt as _;
use lifecycle::{EventId, Timestamp, decode_token};
use messages::header;
use messages::ops::LetterFilter;
use tokio::time::timeout;

use crate::{DeadLetters, Error, Result, devices::timestamp, letters::replay_in};

/// After so long without a letter the stream is asked whether there are any left.
const QUIET: Duration = Duration::from_secs(1);
/// So often it may say that there are; then reading stops with an error.
const PATIENCE: u32 = 10;

/// What the headers of a dead letter say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterHead {
    /// Its sequence in the dead-letter stream: how commands name it.
    pub sequence: u64,
    /// When it was stored, by the server's clock.
    pub stored_at: Timestamp,
    /// The event, or the message where that could not be read.
    pub event_id: EventId,
    /// Whom it is about, where that is known.
    pub tenant: Option<String>,
    /// Whom it is about, where that is known.
    pub device: Option<String>,
    /// One of [`messages::header::CLASSES`].
    pub class: String,
    /// Why, in words.
    pub reason: String,
    /// Failed attempts.
    pub attempts: u32,
    /// The life of the event that died: 0, or the number of the letter it was replayed from.
    pub replay: u64,
}

impl LetterHead {
    pub(crate) fn read(sequence: u64, stored_at: Timestamp, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).map(ToString::to_string);
        let token = |name: &str| decode_token(&text(name)?).ok();
        Self {
            sequence,
            stored_at,
            event_id: EventId(text(header::DLQ_EVENT_ID).unwrap_or_default()),
            tenant: token(header::DLQ_TENANT),
            device: token(header::DLQ_DEVICE),
            class: text(header::DLQ_CLASS).unwrap_or_default(),
            reason: text(header::DLQ_REASON).unwrap_or_default(),
            attempts: text(header::DLQ_ATTEMPTS)
                .and_then(|attempts| attempts.parse().ok())
                .unwrap_or(0),
            replay: replay_in(headers),
        }
    }
}

/// The letters that match a filter, oldest first, up to the last one that was there at the start.
pub struct LetterScan {
    stream: Stream,
    subjects: String,
    filter: LetterFilter,
    /// `None` once there is nothing to come.
    messages: Option<Box<pull::Ordered>>,
    seen: u64,
    last: u64,
}

impl DeadLetters {
    /// Goes through the letters that match.
    pub async fn scan(&self, filter: &LetterFilter) -> Result<LetterScan> {
        let trouble = |error: &dyn std::error::Error| Error::unavailable("dead letters", error);
        let info = self.stream.get_info().await;
        let last = info.map_err(|error| trouble(&error))?.state.last_sequence;
        let mut scan = LetterScan {
            stream: self.stream.clone(),
            subjects: self.subjects(filter),
            filter: filter.clone(),
            messages: None,
            seen: 0,
            last,
        };
        // Without a single letter the consumer would have nothing to say.
        if scan.more().await? {
            let consumer = self.stream.create_consumer(pull::OrderedConfig {
                filter_subject: scan.subjects.clone(),
                headers_only: true,
                ..pull::OrderedConfig::default()
            });
            let consumer = consumer.await.map_err(|error| trouble(&error))?;
            let messages = consumer.messages().await;
            scan.messages = Some(Box::new(messages.map_err(|error| trouble(&error))?));
        }
        Ok(scan)
    }
}

impl LetterScan {
    /// The next letter; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<LetterHead>> {
        loop {
            let Some(head) = self.any().await? else {
                return Ok(None);
            };
            let (class, reason) = (&head.class, &head.reason);
            if self.filter.takes(class, reason, head.stored_at) {
                return Ok(Some(head));
            }
        }
    }

    /// The next letter of tenant and device.
    async fn any(&mut self) -> Result<Option<LetterHead>> {
        let mut silent = 0;
        loop {
            let Some(messages) = &mut self.messages else {
                return Ok(None);
            };
            match timeout(QUIET, messages.next()).await {
                Ok(Some(Ok(message))) => return Ok(self.take(&message)),
                Ok(Some(Err(error))) => return Err(Error::unavailable("dead letters", &error)),
                Ok(None) | Err(_) if !self.more().await? => self.messages = None,
                Ok(None) | Err(_) => {
                    silent += 1;
                    if silent == PATIENCE {
                        return Err(Error::Unavailable(
                            "the dead letters fell silent".to_owned(),
                        ));
                    }
                }
            }
        }
    }

    fn take(&mut self, message: &async_nats::jetstream::Message) -> Option<LetterHead> {
        let info = message.info().ok()?;
        self.seen = info.stream_sequence;
        if self.seen >= self.last || info.pending == 0 {
            self.messages = None;
        }
        if self.seen > self.last {
            return None;
        }
        let stored_at = timestamp(info.published);
        let headers = message.headers.clone().unwrap_or_default();
        Some(LetterHead::read(self.seen, stored_at, &headers))
    }

    /// Whether a letter is to come.
    async fn more(&mut self) -> Result<bool> {
        let next = self
            .stream
            .direct_get_next_for_subject(&self.subjects, Some(self.seen + 1))
            .await;
        match next {
            Ok(message) => Ok(message.sequence <= self.last),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::unavailable("failed to read a dead letter", &error)),
        }
    }
}
