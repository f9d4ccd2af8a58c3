//! Watches what the server says of messages that it has given up or that somebody took away.
//!
//! Deliveries of our consumers are unlimited, and we count them ourselves. But settings can be
//! changed by hand: then the server gives a message up, and it stays in its stream, unseen. Or
//! somebody terminates or deletes a message while it is in work, and its event would end without a
//! word. Of both the server tells once, on a subject that a stream of ours records, so that it is
//! known however many processes died of the message, and though none was there to hear it.
//!
//! What is still stored becomes a dead letter with its bytes and is removed from its queue. Of what
//! was terminated nothing is known but its place, so the letter holds the server's own words; the next
//! sweep puts its device right. What was deleted is only counted and logged: a nats-server that was
//! killed says the same of messages that we had acknowledged, when it remembers their removal but
//! not their acknowledgement (seen with 2.15.1, about once in 150 events of a storm of kills).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use async_nats::{
    Message,
    jetstream::{
        AckKind, Context, ErrorCode,
        stream::{RawMessageError, RawMessageErrorKind, RetentionPolicy, Stream},
    },
};
use lifecycle::EventId;
use messages::OutcomeMessage;
use reconciler::ports::{DeadClass, DeadLetter, Payload};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, NatsStreams, Result,
    error::api_error,
    headers, open,
    opened::{Dead, Opened},
    pull::{Delivery, Puller, Source},
};

/// How long an advisory waits that could not be dealt with.
const AGAIN: Duration = Duration::from_secs(5);
/// Advisories fetched ahead of their handling.
const AHEAD: usize = 16;
/// The end of the type of an advisory about a message that was terminated or deleted.
const TERMINATED: &str = ".terminated";
/// The server's own reasons, for messages that are gone without a client's word (nats-server
/// `consumer.go`, `ackTermUnackedLimitsReason` and `ackTermLimitsReason`).
const DELETED: [&str; 2] = [
    "Unacknowledged message was deleted",
    "Message deleted by stream limits",
];

/// What the server told us so far.
#[derive(Debug, Default)]
pub struct AdvisoryCounters {
    /// Messages that the server had given up, now dead letters.
    pub given_up: AtomicU64,
    /// Messages that somebody terminated, now dead letters.
    pub terminated: AtomicU64,
    /// Messages that were deleted while in work, or whose acknowledgement a killed server forgot.
    pub deleted: AtomicU64,
}

/// The watch of one process; replicas share the advisories.
#[derive(Debug)]
pub struct Advisories {
    context: Context,
    streams: NatsStreams,
    counters: Arc<AdvisoryCounters>,
}

/// The part of an advisory that is needed (`io.nats.jetstream.advisory.v1.max_deliver` and
/// `….terminated`, NATS's JSON schemas).
#[derive(Debug, Deserialize)]
struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    stream: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: i64,
    reason: Option<String>,
}

impl Advisory {
    fn is_termination(&self) -> bool {
        self.kind.ends_with(TERMINATED)
    }

    fn is_deletion(&self) -> bool {
        let reason = self.reason.as_deref();
        self.is_termination() && reason.is_some_and(|reason| DELETED.contains(&reason))
    }

    /// What a message is called that brings no name of its own.
    fn name(&self) -> String {
        format!("{}-{}", self.stream, self.stream_seq)
    }

    fn why(&self) -> String {
        if !self.is_termination() {
            return format!(
                "given up by the server after {} deliveries",
                self.deliveries
            );
        }
        let reason = self.reason.as_deref().unwrap_or("no reason was given");
        format!("terminated by somebody else: {reason}")
    }
}

impl Advisories {
    /// A watch that waits to be [run](Self::run).
    #[must_use]
    pub fn new(context: &Context, streams: NatsStreams) -> Self {
        Self {
            context: context.clone(),
            streams,
            counters: Arc::default(),
        }
    }

    /// Counts what was told.
    #[must_use]
    pub fn counters(&self) -> Arc<AdvisoryCounters> {
        Arc::clone(&self.counters)
    }

    /// Works until stopped. The consumer that `setup` makes is waited for.
    pub async fn run(self, stop: CancellationToken) {
        let source = Source {
            context: self.context.clone(),
            stream: self.streams.names.advisory_stream(),
            consumer: self.streams.names.advisory_consumer(),
            ahead: AHEAD,
            make: None,
        };
        let mut puller = Puller::start(source, stop.clone());
        while let Some(Some(delivery)) = stop.run_until_cancelled(puller.next()).await {
            let kind = match self.handle(&delivery).await {
                Ok(()) => AckKind::Ack,
                Err(error) => {
                    tracing::warn!(%error, "failed to deal with an advisory; it comes again");
                    AckKind::Nak(Some(AGAIN))
                }
            };
            if let Err(error) = delivery.hold.say(kind).await {
                tracing::debug!(%error, "an advisory comes again");
            }
        }
        puller.give_back().await;
    }

    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let body = &delivery.message.payload;
        let advisory: Advisory = match serde_json::from_slice(body) {
            Ok(advisory) => advisory,
            Err(error) => {
                tracing::warn!(sequence = delivery.sequence, %error, "an advisory cannot be read");
                return Ok(());
            }
        };
        let stream = match open::stream(&self.context, &advisory.stream).await {
            Ok(stream) => Some(stream),
            // Deleted since then, with everything that it held.
            Err(Error::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        let message = match &stream {
            Some(stream) => stored(stream, advisory.stream_seq).await?,
            None => None,
        };
        let dead = match message {
            Some(message) => self.buried(&advisory, &message),
            None if advisory.is_deletion() => {
                self.counters.deleted.fetch_add(1, Ordering::Relaxed);
                let message = advisory.name();
                tracing::warn!(
                    message,
                    "a message is gone: deleted while in work, or acknowledged just before its \
                     server was killed"
                );
                return Ok(());
            }
            None if advisory.is_termination() => gone(&advisory, &delivery.message),
            // Dealt with before.
            None => return Ok(()),
        };
        let failed = |error| Error::unavailable("failed to dead-letter a message", &error);
        dead.bury(&self.streams).await.map_err(failed)?;
        if let Some(stream) = stream {
            remove(&stream, advisory.stream_seq).await?;
        }
        let counter = if advisory.is_termination() {
            &self.counters.terminated
        } else {
            &self.counters.given_up
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A message that is still there.
    fn buried(&self, advisory: &Advisory, message: &Message) -> Dead {
        let names = &self.streams.names;
        if advisory.stream == names.events_stream() {
            let opened = Opened::new(names, message, &advisory.name());
            return opened.poison(advisory.deliveries + 1, advisory.why());
        }
        let class = if advisory.is_termination() {
            DeadClass::Terminated
        } else {
            DeadClass::Poison
        };
        let letter = letter(advisory, class, message);
        let why = messages::Malformed {
            reason: letter.reason.clone().into(),
        };
        let outcome = OutcomeMessage::malformed(&letter.id, None, None, &why, 0);
        Dead {
            letter,
            outcome: Some(outcome),
        }
    }
}

/// A message of which there is only the server's word. Its event has no outcome: which one it was
/// is not known, and the record of its device may still owe it.
fn gone(advisory: &Advisory, told: &Message) -> Dead {
    Dead {
        letter: letter(advisory, DeadClass::Terminated, told),
        outcome: None,
    }
}

fn letter(advisory: &Advisory, class: DeadClass, message: &Message) -> DeadLetter {
    DeadLetter {
        id: EventId(advisory.name()),
        tenant: None,
        device: None,
        class,
        reason: advisory.why(),
        attempts: u32::try_from(advisory.deliveries).unwrap_or(0),
        payload: Payload {
            subject: message.subject.to_string(),
            body: message.payload.to_vec(),
            headers: headers::pairs(message.headers.as_ref()),
            since: None,
        },
    }
}

/// A message, read where it is stored; `None` if it is gone.
async fn stored(stream: &Stream, sequence: u64) -> Result<Option<Message>> {
    let message = match stream.get_raw_message(sequence).await {
        Ok(message) => message,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => {
            return Err(Error::unavailable(
                "failed to read a message that was given up",
                &error,
            ));
        }
    };
    Ok(Some(Message {
        subject: message.subject,
        reply: None,
        length: message.payload.len(),
        payload: message.payload,
        headers: Some(message.headers),
        status: None,
        description: None,
    }))
}

fn is_gone(error: &RawMessageError) -> bool {
    error.kind() == RawMessageErrorKind::NoMessageFound
        || api_error(error).is_some_and(|api| api.error_code() == ErrorCode::NO_MESSAGE_FOUND)
}

/// Takes a message that nobody will be given again off its queue. A stream that keeps what was
/// read, as an operator's own may, keeps this too.
async fn remove(stream: &Stream, sequence: u64) -> Result<()> {
    if stream.cached_info().config.retention != RetentionPolicy::WorkQueue {
        return Ok(());
    }
    match stream.delete_message(sequence).await {
        Ok(_) => Ok(()),
        // Gone already.
        Err(error) if api_error(&error).is_some() => Ok(()),
        Err(error) => Err(Error::unavailable(
            "failed to remove a message that was given up",
            &error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisory(kind: &str, reason: Option<&str>) -> Advisory {
        let body = serde_json::json!({
            "type": format!("io.nats.jetstream.advisory.v1.{kind}"),
            "stream": "S", "consumer": "c", "stream_seq": 4, "deliveries": 3, "reason": reason,
        });
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_reason_is_told_where_there_is_one() {
        let by_hand = "terminated by somebody else: ";
        for (advisory, why) in [
            (
                advisory("max_deliver", None),
                "given up by the server after 3 deliveries".to_owned(),
            ),
            (advisory("terminated", Some("bad")), format!("{by_hand}bad")),
            (
                advisory("terminated", None),
                format!("{by_hand}no reason was given"),
            ),
        ] {
            assert_eq!(advisory.why(), why);
            assert_eq!(advisory.name(), "S-4");
            assert!(!advisory.is_deletion());
        }
    }

    #[test]
    fn the_servers_own_reasons_are_deletions() {
        for reason in DELETED {
            assert!(advisory("terminated", Some(reason)).is_deletion());
        }
        assert!(!advisory("max_deliver", Some(DELETED[0])).is_deletion());
    }
}
