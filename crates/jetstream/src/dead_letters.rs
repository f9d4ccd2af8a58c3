//! Dead letters, for the people who look after them.
//!
//! To replay a letter is to publish its event again as if for the first time, with a header that
//! says which letter it came from; only then is the letter removed. Dying again it makes a new
//! letter in place of the old one, so neither replaying twice nor a crash in between leaves two.

use async_nats::{
    HeaderMap,
    jetstream::{
        Context,
        message::StreamMessage,
        stream::{DirectGetErrorKind, Stream},
    },
};
use lifecycle::{EventId, Timestamp, decode_token};
use messages::header;

use crate::{
    Error, Names, Result,
    devices::timestamp,
    error::api_error,
    headers::{self, TRUNCATED},
    letters::replay_in,
    open, replay,
};

/// One dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
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
    /// The subject that the original was received on.
    pub subject: String,
    /// Headers of the original, by name.
    pub headers: Vec<(String, String)>,
    /// The original's body.
    pub body: Vec<u8>,
    /// Length of the original's body, where `body` is only its beginning.
    pub truncated: Option<usize>,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// So many events were published, and the letter is removed.
    Published(usize),
    /// It still cannot be understood (wholly, or in part; then so many events were published):
    /// the letter is kept.
    Malformed {
        /// Why.
        reason: String,
        /// Events of the same message that were published.
        published: usize,
    },
    /// There is no such letter (any more).
    Gone,
}

/// One page of letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LetterPage {
    /// In the order in which they were stored.
    pub letters: Vec<Letter>,
    /// Pass this to get the next page; `None` on the last one.
    pub next: Option<u64>,
}

/// The dead-letter stream.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(crate) context: Context,
    pub(crate) names: Names,
    stream: Stream,
}

impl DeadLetters {
    /// Opens the stream that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        Ok(Self {
            context: context.clone(),
            names: names.clone(),
            stream: open::stream(context, &names.dead_letter_stream()).await?,
        })
    }

    /// At most `limit` letters from the sequence `from` on; of one tenant, of one device, or all.
    pub async fn list(
        &self,
        tenant: Option<&str>,
        device: Option<&str>,
        from: Option<u64>,
        limit: usize,
    ) -> Result<LetterPage> {
        let filter = self.names.dead_letter_filter(tenant, device);
        let mut page = LetterPage::default();
        let mut from = from.unwrap_or(1);
        loop {
            let next = self.stream.direct_get_next_for_subject(&filter, Some(from));
            let Some(message) = found(next.await)? else {
                return Ok(page);
            };
            if page.letters.len() == limit {
                page.next = Some(message.sequence);
                return Ok(page);
            }
            from = message.sequence + 1;
            page.letters.push(read(&message));
        }
    }

    /// One letter.
    pub async fn get(&self, sequence: u64) -> Result<Option<Letter>> {
        let message = found(self.stream.direct_get(sequence).await)?;
        Ok(message.as_ref().map(read))
    }

    /// Removes a letter; false if there was none.
    pub async fn delete(&self, sequence: u64) -> Result<bool> {
        match self.stream.delete_message(sequence).await {
            Ok(_) => Ok(true),
            // The server answers alike to a sequence that is gone and to other failures.
            Err(error) if api_error(&error).is_some() => match self.get(sequence).await? {
                None => Ok(false),
                Some(_) => Err(Error::unavailable("failed to remove a dead letter", &error)),
            },
            Err(error) => Err(Error::unavailable("failed to remove a dead letter", &error)),
        }
    }

    /// Removes all letters of a tenant, of a device, or all there are; returns how many.
    pub async fn purge(&self, tenant: Option<&str>, device: Option<&str>) -> Result<u64> {
        let filter = self.names.dead_letter_filter(tenant, device);
        let purged = self.stream.purge().filter(filter).await;
        let purged = purged.map_err(|error| Error::unavailable("failed to purge", &error))?;
        Ok(purged.purged)
    }

    /// Publishes the event of a letter again, then removes the letter.
    pub async fn replay(&self, sequence: u64) -> Result<Replayed> {
        let Some(letter) = self.get(sequence).await? else {
            return Ok(Replayed::Gone);
        };
        let replayed = replay::publish_again(self, &letter).await?;
        if matches!(replayed, Replayed::Published(_)) {
            // It may be gone already: the event has died again and its new letter took the place.
            self.delete(sequence).await?;
        }
        Ok(replayed)
    }
}

fn found(
    result: Result<StreamMessage, async_nats::jetstream::stream::DirectGetError>,
) -> Result<Option<StreamMessage>> {
    match result {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::unavailable("failed to read a dead letter", &error)),
    }
}

fn read(message: &StreamMessage) -> Letter {
    let text = |name: &str| text(&message.headers, name);
    let token = |name: &str| decode_token(&text(name)?).ok();
    let originals = headers::pairs(Some(&message.headers));
    Letter {
        sequence: message.sequence,
        stored_at: timestamp(message.time),
        event_id: EventId(text(header::DLQ_EVENT_ID).unwrap_or_default()),
        tenant: token(header::DLQ_TENANT),
        device: token(header::DLQ_DEVICE),
        class: text(header::DLQ_CLASS).unwrap_or_default(),
        reason: text(header::DLQ_REASON).unwrap_or_default(),
        attempts: number(text(header::DLQ_ATTEMPTS)).unwrap_or(0),
        replay: replay_in(&message.headers),
        subject: text(header::DLQ_SUBJECT).unwrap_or_default(),
        headers: originals
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix(header::ORIGINAL)?;
                Some((name.to_owned(), value))
            })
            .collect(),
        body: message.payload.to_vec(),
        truncated: number(text(TRUNCATED)),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(ToString::to_string)
}

fn number<N: std::str::FromStr>(text: Option<String>) -> Option<N> {
    text?.parse().ok()
}
