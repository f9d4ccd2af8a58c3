//! Which message a line of the log is about, and which trace that belongs to.
//!
//! The trace is the one that the header `traceparent` names (<https://www.w3.org/TR/trace-context/>). Without
//! one it is made of the event's name, so that the lines of each attempt, of whatever worker, have the same.

use reconciler::ports::Task;
use ring::digest;
use tracing::Span;

/// Name of the header.
const HEADER: &str = "traceparent";

/// The span of a message. Its fields are in each line that is written inside.
pub(crate) fn span_of<A>(task: &Task<A>) -> Span {
    let event = task.carries.as_ref().map(|id| id.0.as_str());
    let header = task.payload.headers.iter().find(|(name, _)| name == HEADER);
    let named = header.and_then(|(_, text)| trace_in(text));
    let trace_id = named.map(str::to_owned).or_else(|| event.map(trace_of));
    // At this level, so that no `log.level` takes whom a line is about away from it.
    tracing::error_span!(
        "event",
        tenant = %task.about.tenant,
        device = %task.about.device,
        event,
        trace_id = trace_id.as_deref(),
    )
}

/// The trace that a header names. Read strictly: what comes with a message may be anything.
fn trace_in(header: &str) -> Option<&str> {
    let fields: Vec<&str> = header.split('-').collect();
    let [version, trace, parent, flags, ..] = fields[..] else {
        return None;
    };
    // Version ff is forbidden; later ones may have more fields behind those that we know.
    let complete = version != "ff" && (fields.len() == 4 || version != "00");
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    let is_hex = |text: &&str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let hex = fields[..4].iter().all(is_hex);
    let is_set = |id: &str| id.bytes().any(|digit| digit != b'0');
    let valid = complete && lengths == [2, 32, 16, 2] && hex && is_set(trace) && is_set(parent);
    valid.then_some(trace)
}

/// The trace of an event that brings none.
fn trace_of(event: &str) -> String {
    let hash = digest::digest(&digest::SHA256, event.as_bytes());
    let hex = |byte: &u8| format!("{byte:02x}");
    hash.as_ref()[..16].iter().map(hex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_header_names_a_trace() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(trace_in(&good), Some(TRACE));
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later");
        assert_eq!(trace_in(&later), Some(TRACE));
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
            "00-4bf92f3577b34da6a3ce929d0e0e47\u{1b}x-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_in(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_event_has_one_trace() {
        assert_eq!(trace_of("WORKFLOWS-7"), trace_of("WORKFLOWS-7"));
        assert_ne!(trace_of("WORKFLOWS-7"), trace_of("WORKFLOWS-8"));
        assert_eq!(trace_of("WORKFLOWS-7").len(), 32);
    }
}
