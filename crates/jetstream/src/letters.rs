//! Dead letters: one for each event, however often its death is told.
//!
//! The subject of a letter names the event, and the letter is published only as the first message
//! there. When the subject is taken, the letter that is there decides:
//!
//! - it is of the same event and of this life or a later one: our letter was published before;
//! - it is of an earlier life of the event, which was replayed and died again: replaced;
//! - it is of another event (a source stream that was made anew counts from one again): our
//!   letter goes beside it, under a subject with a digest of its body.

use std::fmt::Write as _;

use async_nats::{
    HeaderMap,
    jetstream::{message::StreamMessage, stream::DirectGetErrorKind},
};
use bytes::Bytes;
use lifecycle::encode_token;
use messages::header;
use reconciler::ports::{DeadClass, DeadLetter};

use crate::{
    Error, NatsStreams, Result,
    headers::{self, TRUNCATED, append},
    publish::publish_after,
};

/// Ids longer than this are not put into subjects: the server limits a line to 4 kB.
const MAX_ID: usize = 128;
/// The header that holds a sender's token: it is nobody's business who reads dead letters.
const CREDENTIAL: &str = "authorization";
/// Room for our own headers when a letter comes near the server's limit for a message.
const HEADROOM: usize = 8 * 1024;
/// Times to look at a subject that others write to as well.
const ROUNDS: usize = 5;
/// Bytes of the digest in the subject of a letter that had to step aside.
const DIGEST: usize = 4;

/// An id that may become a part of a subject.
pub(crate) fn known(id: Option<&str>) -> Option<&str> {
    id.filter(|id| id.len() <= MAX_ID)
}

/// Publishes a letter, unless it is there already.
pub(crate) async fn send(streams: &NatsStreams, letter: &DeadLetter) -> Result<()> {
    let (headers, body) = message(letter, streams.context.client().max_payload());
    let tenant = known(letter.tenant.as_deref());
    let device = known(letter.device.as_deref());
    let first = streams
        .names
        .dead_letter_subject(tenant, device, &letter.id);
    let beside = format!("{first}-{}", digest(&body));
    let life = headers::replay(&letter.payload.headers).unwrap_or(0);
    let replay_of = headers::find(&letter.payload.headers, header::REPLAY_OF);
    let mut subject = &first;
    let mut last = replay_of.and_then(|of| of.parse().ok()).unwrap_or(0);
    for _ in 0..ROUNDS {
        let sent = publish_after(
            &streams.context,
            subject,
            headers.clone(),
            body.clone(),
            last,
        );
        if sent.await?.is_some() {
            return Ok(());
        }
        match there(streams, subject).await? {
            None => last = 0,
            Some(found) if !is_same(&found, letter, &body) && subject == &first => {
                subject = &beside;
                last = 0;
            }
            Some(found) if replay_in(&found.headers) >= life => return Ok(()),
            Some(found) => last = found.sequence,
        }
    }
    Err(Error::Unavailable(format!(
        "dead letter {} keeps changing",
        letter.id.0
    )))
}

async fn there(streams: &NatsStreams, subject: &str) -> Result<Option<StreamMessage>> {
    match streams
        .dead_letters
        .direct_get_last_for_subject(subject)
        .await
    {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::unavailable("failed to read a dead letter", &error)),
    }
}

fn message(letter: &DeadLetter, max_payload: usize) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| append(&mut headers, name, &header::safe(value));
    add(header::DLQ_CLASS, class_name(letter.class));
    add(header::DLQ_REASON, &letter.reason);
    add(header::DLQ_ATTEMPTS, &letter.attempts.to_string());
    add(header::DLQ_EVENT_ID, &letter.id.0);
    add(header::DLQ_SUBJECT, &letter.payload.subject);
    for (name, id) in [
        (header::DLQ_TENANT, &letter.tenant),
        (header::DLQ_DEVICE, &letter.device),
    ] {
        if let Some(id) = known(id.as_deref()) {
            add(name, &encode_token(id));
        }
    }
    let room = max_payload.saturating_sub(HEADROOM);
    let shown = |(name, _): &&(String, String)| !name.eq_ignore_ascii_case(CREDENTIAL);
    let original: Vec<_> = letter.payload.headers.iter().filter(shown).collect();
    let length: usize = original
        .iter()
        .map(|(name, value)| name.len() + value.len() + header::ORIGINAL.len() + 4)
        .sum();
    // Foreign headers of half a message are no use to anybody.
    let kept = length <= room / 2;
    for (name, value) in original.iter().filter(|_| kept) {
        append(&mut headers, &format!("{}{name}", header::ORIGINAL), value);
    }
    let room = room - if kept { length } else { 0 };
    let mut body = Bytes::copy_from_slice(&letter.payload.body);
    if body.len() > room {
        append(&mut headers, TRUNCATED, &body.len().to_string());
        body.truncate(room);
    }
    (headers, body)
}

fn is_same(found: &StreamMessage, letter: &DeadLetter, body: &Bytes) -> bool {
    if found.payload == *body {
        return true;
    }
    // The bytes may have been lost and the event written anew from the record.
    let event = |body: &[u8]| {
        let token = |id: &Option<String>| id.as_deref().map(encode_token);
        let (tenant, device) = (token(&letter.tenant)?, token(&letter.device)?);
        messages::parse_event(letter.id.clone(), &tenant, &device, body, 0).ok()
    };
    event(&found.payload).is_some_and(|found| Some(found) == event(body))
}

/// The life that a letter's original was in.
pub(crate) fn replay_in(headers: &HeaderMap) -> u64 {
    let name = format!("{}{}", header::ORIGINAL, header::REPLAY);
    let value = headers.get(name.as_str());
    value
        .and_then(|value| value.as_str().parse().ok())
        .unwrap_or(0)
}

fn digest(body: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body);
    let mut text = String::with_capacity(2 * DIGEST);
    for byte in &digest.as_ref()[..DIGEST] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) const fn class_name(class: DeadClass) -> &'static str {
    match class {
        DeadClass::Malformed => header::CLASS_MALFORMED,
        DeadClass::Permanent => header::CLASS_PERMANENT,
        DeadClass::Exhausted => header::CLASS_EXHAUSTED,
        DeadClass::Poison => header::CLASS_POISON,
        DeadClass::Terminated => header::CLASS_TERMINATED,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::EventId;
    use reconciler::ports::Payload;

    use super::*;

    fn letter(body: usize) -> DeadLetter {
        DeadLetter {
            id: EventId("S-1".to_owned()),
            tenant: Some(String::new()),
            device: Some("a\nb".to_owned()),
            class: DeadClass::Malformed,
            reason: "because\r\nX: y".to_owned(),
            attempts: 3,
            payload: Payload {
                subject: "s".to_owned(),
                body: vec![b'x'; body],
                headers: vec![
                    ("K".to_owned(), "v".to_owned()),
                    ("Authorization".to_owned(), "Bearer sesame".to_owned()),
                ],
                since: None,
            },
        }
    }

    #[test]
    fn a_letter_says_why_in_headers_and_keeps_the_bytes() {
        let (headers, body) = message(&letter(10), 1 << 20);
        let value = |name: &str| headers.get(name).map(ToString::to_string);
        assert_eq!(value(header::DLQ_CLASS).as_deref(), Some("malformed"));
        assert_eq!(value(header::DLQ_REASON).as_deref(), Some("because??X: y"));
        assert_eq!(value(header::DLQ_TENANT).as_deref(), Some("="));
        assert_eq!(value(header::DLQ_DEVICE).as_deref(), Some("a=0Ab"));
        assert_eq!(value("Iothub-Original-K").as_deref(), Some("v"));
        assert!(!format!("{headers:?}").contains("sesame"));
        assert_eq!(body.len(), 10);
    }

    #[test]
    fn a_letter_too_big_for_the_server_keeps_the_beginning() {
        let (headers, body) = message(&letter(100_000), 65_536);
        assert!(body.len() < 65_536 && body.len() > 50_000);
        let original = headers.get(TRUNCATED).map(ToString::to_string);
        assert_eq!(original.as_deref(), Some("100000"));
    }
}
