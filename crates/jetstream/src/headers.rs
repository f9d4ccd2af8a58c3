//! Headers, to and from the client library.
//!
//! Headers that begin with `Nats-` are orders to the server that stores a message: to copy them
//! from one message to another would repeat the order (a schedule, a de-duplication, a trace sent
//! elsewhere). They are dropped from whatever is received.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use lifecycle::EventId;
use messages::header;

/// Makes the server tell repetitions, within the stream's window.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// When a scheduled message is to be published.
pub(crate) const SCHEDULE: &str = "Nats-Schedule";
/// Where a scheduled message is to be published.
pub(crate) const SCHEDULE_TARGET: &str = "Nats-Schedule-Target";
/// How the event of an outcome ended, so that outcomes can be counted by their headers alone.
pub(crate) const OUTCOME: &str = "Iothub-Outcome";
/// Marks the end of what is to be seen of a tenant: it was forgotten then.
pub(crate) const FORGOTTEN: &str = "Iothub-Forgotten";
/// Length of a dead letter's original body in bytes, where the letter holds only its beginning.
pub(crate) const TRUNCATED: &str = "Iothub-Dlq-Truncated";

/// The place of a device in the list of its message, on dead letters of one device of several.
pub(crate) const LIST_INDEX: &str = "Iothub-List-Index";

/// The trace that a message belongs to (<https://www.w3.org/TR/trace-context/>).
pub(crate) const TRACEPARENT: &str = "traceparent";
/// Length of the header in its present version.
const TRACEPARENT_LENGTH: usize = 55;

/// The longest event id that a header may bring.
const MAX_EVENT_ID: usize = 128;

/// All headers but the server's, by name.
pub(crate) fn pairs(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .filter(|(name, _)| !is_servers(name.as_ref()))
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    pairs.sort();
    pairs
}

pub(crate) fn is_servers(name: &str) -> bool {
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
}

/// Whether a message on the log of outcomes is none, but the end of what is to be seen of a tenant.
pub(crate) fn is_end_of_tenant(headers: Option<&HeaderMap>) -> bool {
    headers.is_some_and(|headers| headers.get(FORGOTTEN).is_some())
}

/// Appends a header, unless it cannot be one: a line break in it would start another.
pub(crate) fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.append(name, value);
    }
}

/// Says of `copy` that it belongs to the trace of the message it was made from.
pub(crate) fn copy_trace(copy: &mut HeaderMap, of: Option<&HeaderMap>) {
    let trace = of.and_then(|headers| headers.get(TRACEPARENT));
    if let Some(trace) = trace.filter(|trace| trace.as_str().len() == TRACEPARENT_LENGTH) {
        append(copy, TRACEPARENT, trace.as_str());
    }
}

/// The first value of a header in a list of pairs.
pub(crate) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(this, _)| this == name);
    found.map(|(_, value)| value.as_str())
}

/// The event id in a header; `Err` if it could not be one.
pub(crate) fn event_id(pairs: &[(String, String)]) -> Result<Option<EventId>, messages::Malformed> {
    let Some(id) = find(pairs, header::EVENT_ID) else {
        return Ok(None);
    };
    let graphic = id.bytes().all(|byte| byte.is_ascii_graphic());
    if id.is_empty() || id.len() > MAX_EVENT_ID || !graphic {
        return Err(messages::Malformed::because(
            "the event id in the header is not one",
        ));
    }
    Ok(Some(EventId(id.to_owned())))
}

/// How often the event has come out of the dead-letter stream; `Err` if that is no number.
pub(crate) fn replay(pairs: &[(String, String)]) -> Result<u64, messages::Malformed> {
    let replay = find(pairs, header::REPLAY).map(str::parse).transpose();
    let replay = replay.map_err(|_| messages::Malformed::because("the replay header is no number"));
    Ok(replay?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_the_server_are_not_copied() {
        let mut headers = HeaderMap::new();
        append(&mut headers, "Nats-Msg-Id", "1");
        append(&mut headers, "nats-trace-dest", "elsewhere");
        append(&mut headers, "b", "2");
        append(&mut headers, "a", "1");
        let expected = [("a", "1"), ("b", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pairs(Some(&headers)), expected);
    }

    #[test]
    fn a_value_with_a_line_break_is_no_header() {
        let mut headers = HeaderMap::new();
        append(&mut headers, "a", "1\r\nNats-Msg-Id: x");
        assert!(headers.is_empty());
    }

    #[test]
    fn an_event_stays_in_the_trace_of_its_message_unless_that_is_none() {
        let copy_of = |trace: &str| {
            let (mut message, mut copy) = (HeaderMap::new(), HeaderMap::new());
            append(&mut message, TRACEPARENT, trace);
            copy_trace(&mut copy, Some(&message));
            pairs(Some(&copy))
        };
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(copy_of(trace), [(TRACEPARENT.to_owned(), trace.to_owned())]);
        assert_eq!(copy_of(&"x".repeat(1_000)), []);
    }

    #[test]
    fn event_ids_are_short_and_printable() {
        let of = |id: &str| event_id(&[(header::EVENT_ID.to_owned(), id.to_owned())]);
        assert_eq!(
            of("WORKFLOWS-7"),
            Ok(Some(EventId("WORKFLOWS-7".to_owned())))
        );
        for bad in ["", "a b", "a\u{e4}", &"x".repeat(129)] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        assert_eq!(event_id(&[]), Ok(None));
    }
}
