//! Dead letters, for the people who look after them.
//!
//! To replay a letter is to publish its event again as if for the first time, with a header that
//! says which letter it came from; only then is the letter removed. Dying again it makes a new
//! letter in place of the old one, so neither replaying twice nor a crash in between leaves two.

use async_nats::jetstream::{
    Context,
    message::StreamMessage,
    stream::{DirectGetErrorKind, Stream},
};
use lifecycle::{DeviceId, DeviceRef, EventId, TenantId, Timestamp};
use messages::header;
use messages::ops::LetterFilter;

use crate::{
    Error, LetterHead, Names, Result,
    devices::timestamp,
    error::api_error,
    headers::{self, TRUNCATED},
    open, replay,
    server_time::server_time,
};

/// One dead letter as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What its headers say.
    pub head: LetterHead,
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
pub struct Replayed {
    /// The letter; `None` if there is no such letter (any more).
    pub letter: Option<LetterHead>,
    /// The events that were published. Without `malformed` these are all, and the letter is
    /// removed.
    pub lives: Vec<Life>,
    /// Why the letter is kept: it still cannot be understood, wholly or in part.
    pub malformed: Option<String>,
}

/// One life of an event: it begins when the event is published, and ends with an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The event; `None` for a wake-up, which is none and has no outcome.
    pub event: Option<EventId>,
    /// Which life it is: as in [`lifecycle::Event::replay`].
    pub replay: u64,
    /// The device.
    pub about: DeviceRef,
}

/// The dead-letter stream.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(crate) context: Context,
    pub(crate) names: Names,
    pub(crate) stream: Stream,
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

    /// Removes all letters of a tenant, of a device, or all there are, up to and with the one
    /// numbered `last`; returns how many. Of the filter only tenant and device count.
    pub async fn purge(&self, filter: &LetterFilter, last: u64) -> Result<u64> {
        let purge = self.stream.purge().filter(self.subjects(filter));
        // The server keeps the one that it is told.
        let purged = purge.sequence(last + 1).await;
        let purged = purged.map_err(|error| Error::unavailable("failed to purge", &error))?;
        Ok(purged.purged)
    }

    /// Publishes the event of a letter again, then removes the letter.
    pub async fn replay(&self, sequence: u64) -> Result<Replayed> {
        let Some(letter) = self.get(sequence).await? else {
            return Ok(Replayed {
                letter: None,
                lives: Vec::new(),
                malformed: None,
            });
        };
        let replayed = replay::publish_again(self, letter).await?;
        if replayed.malformed.is_none() {
            // It may be gone already: the event has died again and its new letter took the place.
            self.delete(sequence).await?;
        }
        Ok(replayed)
    }

    /// What time it is for the server, whose clock `stored_at` goes by.
    pub async fn server_time(&self) -> Result<Timestamp> {
        server_time(&self.context, &self.names.dead_letter_stream()).await
    }

    /// The subjects of a tenant's letters, of a device's, or of all.
    pub(crate) fn subjects(&self, filter: &LetterFilter) -> String {
        let tenant = filter.tenant.as_ref().map(TenantId::as_str);
        let device = filter.device.as_ref().map(DeviceId::as_str);
        self.names.dead_letter_filter(tenant, device)
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
    let text = |name: &str| message.headers.get(name).map(ToString::to_string);
    let originals = headers::pairs(Some(&message.headers));
    let stored_at = timestamp(message.time);
    Letter {
        head: LetterHead::read(message.sequence, stored_at, &message.headers),
        subject: text(header::DLQ_SUBJECT).unwrap_or_default(),
        headers: originals
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix(header::ORIGINAL)?;
                Some((name.to_owned(), value))
            })
            .collect(),
        body: message.payload.to_vec(),
        truncated: text(TRUNCATED).and_then(|length| length.parse().ok()),
    }
}
