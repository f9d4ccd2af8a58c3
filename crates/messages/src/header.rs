//! Names of the headers that our messages carry.
//!
//! Bodies stay as they were received, so everything about a message's life is said in headers.
//! NATS compares header names by case.

/// [`lifecycle::EventId`] of an event, the same for every replay of it.
pub const EVENT_ID: &str = "Iothub-Event-Id";
/// Which life of the event this is: the number of the dead letter it was made from, or more;
/// absent means 0, the first.
pub const REPLAY: &str = "Iothub-Replay";
/// Stream sequence of the dead letter that a replayed event was made from.
pub const REPLAY_OF: &str = "Iothub-Replay-Of";
/// Marks a wake-up, to be told from an event.
pub const WAKE_UP: &str = "Iothub-Wake-Up";

/// On a wake-up, and on an event that was published anew: when the event was first stored, in
/// microseconds since 1970 by the server's clock. Only for what is measured.
pub const SINCE_US: &str = "Iothub-Since-Us";

/// Class of a dead letter: one of [`CLASSES`].
pub const DLQ_CLASS: &str = "Iothub-Dlq-Class";
/// Why, in words without secrets and without input; see [`safe`].
pub const DLQ_REASON: &str = "Iothub-Dlq-Reason";
/// Failed attempts before it was given up.
pub const DLQ_ATTEMPTS: &str = "Iothub-Dlq-Attempts";
/// [`lifecycle::EventId`] of the event, or the name of the message where it could not be read.
pub const DLQ_EVENT_ID: &str = "Iothub-Dlq-Event-Id";
/// The subject that the original was received on.
pub const DLQ_SUBJECT: &str = "Iothub-Dlq-Subject";
/// The tenant as a subject token ([`lifecycle::encode_token`]); absent if unknown.
pub const DLQ_TENANT: &str = "Iothub-Dlq-Tenant";
/// The device as a subject token ([`lifecycle::encode_token`]); absent if unknown.
pub const DLQ_DEVICE: &str = "Iothub-Dlq-Device";
/// Goes before the name of each header that the original had.
pub const ORIGINAL: &str = "Iothub-Original-";

/// Text of an error reply of a NATS micro service (ADR-32).
pub const SERVICE_ERROR: &str = "Nats-Service-Error";
/// Number of an error reply of a NATS micro service (ADR-32).
pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// On a twin request: how long the requester waits for the reply, in milliseconds from when the
/// service receives it. Clocks of different machines are never compared.
pub const TIMEOUT_MS: &str = "Iothub-Timeout-Ms";
/// On an error reply of the twin service with code 409: the ETag that the twin has now.
pub const ETAG: &str = "Iothub-Etag";

/// It cannot be understood.
pub const CLASS_MALFORMED: &str = "malformed";
/// It will fail for ever.
pub const CLASS_PERMANENT: &str = "permanent";
/// It failed for too long.
pub const CLASS_EXHAUSTED: &str = "exhausted";
/// It was delivered too often without an end.
pub const CLASS_POISON: &str = "poison";
/// Somebody else took it off its queue.
pub const CLASS_TERMINATED: &str = "terminated";
/// Every value of [`DLQ_CLASS`].
pub const CLASSES: [&str; 5] = [
    CLASS_MALFORMED,
    CLASS_PERMANENT,
    CLASS_EXHAUSTED,
    CLASS_POISON,
    CLASS_TERMINATED,
];

/// The longest value that [`safe`] returns, in bytes.
const MAX_VALUE: usize = 512;

/// Makes any text fit for a header value: printable ASCII on one line, at most 512 bytes. A line
/// break in a value would start another header.
#[must_use]
pub fn safe(text: &str) -> String {
    let printable = |c: char| c == ' ' || c.is_ascii_graphic();
    let clean: String = text
        .chars()
        .take(MAX_VALUE)
        .map(|c| if printable(c) { c } else { '?' })
        .collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_neither_end_its_line_nor_grow_without_bound() {
        assert_eq!(safe("a\r\nNats-Msg-Id: b"), "a??Nats-Msg-Id: b");
        assert_eq!(safe("grün\0"), "gr?n?");
        assert_eq!(safe(&"x".repeat(9_999)).len(), MAX_VALUE);
    }
}
