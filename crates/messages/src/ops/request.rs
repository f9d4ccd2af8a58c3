//! Asking for a replay.

use std::time::Duration;

use lifecycle::Timestamp;
use serde_json::{Map, Value};

use super::LetterFilter;
use crate::twin::{BadRequest, fields, invalid, only, take_number, take_text};
use crate::{header, time};

/// The longest request that is read, in bytes.
pub const MAX_OPS_REQUEST: usize = 64 * 1024;
/// Most letters of one request; a reply has to fit into one message.
pub const MAX_LETTERS: u64 = 500;
/// Letters of one request if it does not say how many.
pub const USUAL_LETTERS: u64 = 100;
/// Most letters a second.
pub const MAX_RATE: u64 = 1_000;
/// Letters a second if nobody says how many.
pub const USUAL_RATE: u64 = 100;
/// Longest wait for the ends of the events, in seconds.
pub const MAX_WAIT_S: u64 = 120;

/// Which letters are to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These, by their numbers, in this order.
    These(Vec<u64>),
    /// Those that match, oldest first.
    Matching(LetterFilter),
}

/// A request on `<prefix>.ops.dlq.replay` (`schemas/ops-dlq-replay-request.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Which letters.
    pub which: Which,
    /// Only tell which they are.
    pub dry_run: bool,
    /// At most so many, 1 to [`MAX_LETTERS`].
    pub limit: u64,
    /// At most so many a second, 1 to [`MAX_RATE`].
    pub rate: u64,
    /// How long to wait for the ends of the events before the reply is sent.
    pub wait: Duration,
}

/// Reads a request.
pub fn parse_replay(body: &[u8]) -> Result<ReplayRequest, BadRequest> {
    let mut fields = fields(body, MAX_OPS_REQUEST)?;
    let known = ["sequences", "filter", "dry_run", "limit", "rate", "wait_s"];
    only(&fields, &known, "a replay")?;
    let which = which(&mut fields)?;
    let dry_run = match fields.remove("dry_run") {
        None | Some(Value::Null) => {
            // As the command does: more than one is only done when it is meant.
            !matches!(&which, Which::These(sequences) if sequences.len() == 1)
        }
        Some(Value::Bool(dry_run)) => dry_run,
        Some(_) => return Err(invalid("dry_run is not true or false")),
    };
    let limit = take_number(&mut fields, "limit", 1..=MAX_LETTERS)?;
    let rate = take_number(&mut fields, "rate", 1..=MAX_RATE)?;
    let wait_s = take_number(&mut fields, "wait_s", 0..=MAX_WAIT_S)?;
    let said = match &which {
        Which::These(sequences) => sequences.len() as u64,
        Which::Matching(_) => USUAL_LETTERS,
    };
    Ok(ReplayRequest {
        which,
        dry_run,
        limit: limit.unwrap_or(said),
        rate: rate.unwrap_or(USUAL_RATE),
        wait: Duration::from_secs(wait_s.unwrap_or(0)),
    })
}

fn which(fields: &mut Map<String, Value>) -> Result<Which, BadRequest> {
    let sequences = fields.remove("sequences").filter(|value| !value.is_null());
    let filter = fields.remove("filter").filter(|value| !value.is_null());
    match (sequences, filter) {
        (Some(sequences), None) => Ok(Which::These(numbers(&sequences)?)),
        (None, Some(Value::Object(filter))) => Ok(Which::Matching(letter_filter(filter)?)),
        (None, Some(_)) => Err(invalid("filter is not a JSON object")),
        _ => Err(invalid(
            "exactly one of sequences and filter must be given; an empty filter is all letters",
        )),
    }
}

fn numbers(value: &Value) -> Result<Vec<u64>, BadRequest> {
    let wrong = || {
        BadRequest::Invalid(format!(
            "sequences is not a list of 1 to {MAX_LETTERS} different whole numbers above 0"
        ))
    };
    let items = value.as_array().ok_or_else(wrong)?;
    let number = |item: &Value| item.as_u64().filter(|number| *number > 0);
    let numbers: Vec<u64> = items.iter().filter_map(number).collect();
    let mut different = numbers.clone();
    different.sort_unstable();
    different.dedup();
    let all = numbers.len() == items.len() && different.len() == items.len();
    let few = !items.is_empty() && items.len() as u64 <= MAX_LETTERS;
    (all && few).then_some(numbers).ok_or_else(wrong)
}

fn letter_filter(mut fields: Map<String, Value>) -> Result<LetterFilter, BadRequest> {
    let known = ["tenant", "device", "class", "reason", "since", "until"];
    only(&fields, &known, "filter")?;
    let class = take_text(&mut fields, "class")?;
    if class
        .as_ref()
        .is_some_and(|class| !header::CLASSES.contains(&class.as_str()))
    {
        let known = header::CLASSES.join(", ");
        return Err(BadRequest::Invalid(format!("class is none of {known}")));
    }
    let wrong = |name: &str| BadRequest::Invalid(format!("{name} cannot be one"));
    let tenant = take_text(&mut fields, "tenant")?;
    let device = take_text(&mut fields, "device")?;
    Ok(LetterFilter {
        tenant: tenant
            .map(|id| id.parse().map_err(|_| wrong("tenant")))
            .transpose()?,
        device: device
            .map(|id| id.parse().map_err(|_| wrong("device")))
            .transpose()?,
        class,
        reason: take_text(&mut fields, "reason")?,
        since: take_time(&mut fields, "since")?,
        until: take_time(&mut fields, "until")?,
    })
}

fn take_time(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Timestamp>, BadRequest> {
    let Some(text) = take_text(fields, name)? else {
        return Ok(None);
    };
    match time::parse(&text) {
        Some(Some(time)) => Ok(Some(time)),
        _ => Err(BadRequest::Invalid(format!(
            "{name} is not an RFC 3339 time"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ReplayRequest, BadRequest> {
        parse_replay(text.as_bytes())
    }

    #[test]
    fn one_letter_is_replayed_and_more_are_only_shown_unless_it_is_said() {
        for (text, dry_run) in [
            (r#"{"sequences":[7]}"#, false),
            (r#"{"sequences":[7],"dry_run":true}"#, true),
            (r#"{"sequences":[7,8]}"#, true),
            (r#"{"filter":{}}"#, true),
            (r#"{"filter":{},"dry_run":false}"#, false),
        ] {
            assert_eq!(read(text).unwrap().dry_run, dry_run, "{text}");
        }
    }

    #[test]
    fn a_filter_is_read_whole() {
        let text = r#"{"filter":{"tenant":"","device":"d1","class":"permanent","reason":"hub",
            "since":"2026-01-02T03:04:05Z"},"limit":5,"rate":2,"wait_s":3}"#;
        let request = read(text).unwrap();
        let Which::Matching(filter) = &request.which else {
            panic!("{request:?}");
        };
        assert_eq!(filter.device.as_ref().unwrap().as_str(), "d1");
        assert_eq!(filter.since.unwrap().as_micros(), 1_767_323_045_000_000);
        assert_eq!((request.limit, request.rate), (5, 2));
        assert_eq!(request.wait, Duration::from_secs(3));
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"sequences":[]}"#,
            r#"{"sequences":[0]}"#,
            r#"{"sequences":[1,1]}"#,
            r#"{"sequences":["1"]}"#,
            r#"{"sequences":[1],"filter":{}}"#,
            r#"{"filter":{"tenent":"a"}}"#,
            r#"{"filter":{"class":"odd"}}"#,
            r#"{"filter":{"since":"yesterday"}}"#,
            r#"{"filter":{"device":".."}}"#,
            r#"{"filter":{},"dry_run":"no"}"#,
            r#"{"filter":{},"limit":501}"#,
            r#"{"filter":{},"rate":0}"#,
            r#"{"filter":{},"wait_s":-1}"#,
            r#"{"filter":{},"all":true}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
