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

/// Publishes and waits until the stream has stored the message, or has known it already.
pub(crate) async fn publish(
    context: &Context,
    subject: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<u64> {
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
        Ok(sequence) => Ok(Some(sequence)),
        Err(error) if is_conflict(&error) => Ok(None),
        Err(error) => Err(failed(subject, &error)),
    }
}

async fn send(
    context: &Context,
    subject: &str,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<u64, PublishError> {
    let sent = context.publish_with_headers(subject.to_owned(), headers, body);
    Ok(sent.await?.await?.sequence)
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
