//! Which message a line of the log is about, and which trace that belongs to.
//!
//! The trace is the one that the header `traceparent` names (<https://www.w3.org/TR/trace-context/>). Without
//! one it is made of the event's name, so that each attempt, of whatever worker, is in the same: in the log, and
//! where traces are sent.

use lifecycle::EventId;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use reconciler::ports::Task;
use ring::digest;
use tracing::Span;

use crate::telemetry;

/// Name of the header.
const HEADER: &str = "traceparent";

/// The span of a message. Its fields are in each line that is written inside.
pub(crate) fn span_of<A>(task: &Task<A>) -> Span {
    let event = task.carries.as_ref();
    let header = task.payload.headers.iter().find(|(name, _)| name == HEADER);
    let parent = header.and_then(|(_, text)| parent_in(text));
    let named = parent.as_ref().map(SpanContext::trace_id);
    let trace = named.or_else(|| event.map(trace_of));
    // At this level, so that no `log.level` takes whom a line is about away from it.
    let span = tracing::error_span!(
        "event",
        otel.kind = "consumer",
        messaging.system = "nats",
        tenant = %task.about.tenant,
        device = %task.about.device,
        event = event.map(|id| id.0.as_str()),
        trace_id = trace.map(tracing::field::display),
    );
    match (parent, trace) {
        (Some(parent), _) => telemetry::follow(&span, parent),
        (None, Some(trace)) => telemetry::begin(&span, trace),
        (None, None) => {}
    }
    span
}

/// The span that a header names. Read strictly: what comes with a message may be anything.
fn parent_in(header: &str) -> Option<SpanContext> {
    let fields: Vec<&str> = header.split('-').collect();
    let [version, trace, parent, flags, ..] = fields[..] else {
        return None;
    };
    // Version ff is forbidden; later ones may have more fields behind those that we know.
    let complete = version != "ff" && (fields.len() == 4 || version != "00");
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    let is_hex = |text: &&str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !complete || lengths != [2, 32, 16, 2] || !fields[..4].iter().all(is_hex) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, parent) = (
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(parent).ok()?,
    );
    let parent = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
    parent.is_valid().then_some(parent)
}

/// The trace of an event that brings none.
fn trace_of(event: &EventId) -> TraceId {
    let hash = digest::digest(&digest::SHA256, event.0.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    TraceId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_header_names_a_trace() {
        let good = parent_in(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(good.trace_id().to_string(), TRACE);
        assert_eq!(good.span_id().to_string(), "00f067aa0ba902b7");
        assert!(good.is_sampled());
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-02-what-comes-later");
        let later = parent_in(&later).unwrap();
        assert_eq!(later.trace_id(), good.trace_id());
        assert!(!later.is_sampled());
    }

    #[test]
    fn whatever_else_there_is_names_none() {
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47\u{1b}x-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parent_in(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_event_has_one_trace() {
        let of = |name: &str| trace_of(&EventId(name.to_owned()));
        assert_eq!(of("WORKFLOWS-7"), of("WORKFLOWS-7"));
        assert_ne!(of("WORKFLOWS-7"), of("WORKFLOWS-8"));
    }
}
