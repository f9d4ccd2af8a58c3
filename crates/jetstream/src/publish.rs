//! Publishing, with the acknowledgement always awaited.

use async_nats::{
    HeaderMap,
    jetstream::{
        Context, ErrorCode,
        context::{PublishError, PublishErrorKind},
    },
};
use bytes::Bytes;

use crate::{
    Error, Result,
    error::{api_error, chain},
};

/// The header that makes a publish a compare-and-set on its subject.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// Where a message is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// Its sequence in the stream.
    pub(crate) sequence: u64,
    /// It was there already, under its `Nats-Msg-Id`: what is at `sequence` is the first of that name.
    pub(crate) repeated: bool,
}

/// Publishes and waits until the stream has stored the message, or has known it already.
pub(crate) async fn publish(
    context: &Context,
    subject: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Stored> {
    send(context, &subject, headers, body)
        .await
        .map_err(|error| failed(&subject, &error))
}

/// Publishes if `last` is still the sequence of the subject's last message (0: there is none).
/// `None` means that it is not, and nothing was stored.
pub(crate) async fn publish_after(
    context: &Context,
    subject: &str,
    mut headers: HeaderMap,
    body: Bytes,
    last: u64,
) -> Result<Option<u64>> {
    headers.insert(EXPECTED, last.to_string());
    match send(context, subject, headers, body).await {
        Ok(stored) => Ok(Some(stored.sequence)),
        Err(error) if is_conflict(&error) => Ok(None),
        Err(error) => Err(failed(subject, &error)),
    }
}

async fn send(
    context: &Context,
    subject: &str,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Stored, PublishError> {
    let sent = context.publish_with_headers(subject.to_owned(), headers, body);
    let ack = sent.await?.await?;
    Ok(Stored {
        sequence: ack.sequence,
        repeated: ack.duplicate,
    })
}

/// The server has two codes for a lost compare-and-set: the second, of clusters, is for two
/// writes under way at once, and the client library does not know it.
fn is_conflict(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        || api_error(error).is_some_and(|api| {
            [
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE,
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
            ]
            .contains(&api.error_code())
        })
}

fn failed(subject: &str, error: &PublishError) -> Error {
    Error::Unavailable(format!("failed to publish to {subject}: {}", chain(error)))
}
