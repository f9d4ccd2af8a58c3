//! Requests and replies of the twin service: `<prefix>.twin.<verb>.<tenant>[.<device>[.<module>]]`.
//!
//! The hub interleaves a twin's sections with bookkeeping of its own, `$metadata` and `$version`.
//! Callers never see it and cannot write it. Numbers keep their digits on the way through. What a
//! hub would refuse is refused here, with the place in the request.

mod condition;
mod edit;
mod error_code;
mod job;
mod limits;
mod method;
mod query;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use condition::{Condition, Source};
pub use edit::{PatchRequest, SetRequest, parse_get, parse_patch, parse_set};
pub use error_code::ErrorCode;
pub use job::{
    JobCounts, JobName, JobReply, JobRequest, JobStatus, JobWork, parse_job_create, parse_job_name,
};
pub use method::{MAX_METHOD_REQUEST, MethodReply, MethodRequest, parse_method};
pub use query::{FoundTwin, MAX_PAGE, Place, QueryReply, QueryRequest, parse_query};

use crate::{Malformed, json, strict};

/// The longest request that is read, in bytes. A hub keeps 32 KiB of desired properties and
/// 8 KiB of tags.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What the hub adds to every section.
const BOOKKEEPING: [&str; 2] = ["$metadata", "$version"];

/// A device's twin as callers see it (`schemas/twin-reply.schema.json`).
///
/// `Debug` shows the versions only: what stands in a twin is its owner's affair.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct TwinDocument {
    /// What the back end wants of the device.
    pub desired: Value,
    /// What the device says of itself.
    pub reported: Value,
    /// What the device does not see.
    pub tags: Value,
    /// Names this version of the twin; an edit that carries it fails if the twin has changed.
    pub etag: String,
    /// Grows with each edit of tags or desired properties.
    pub version: u64,
}

impl TwinDocument {
    /// The document without the hub's bookkeeping, and with an empty section where there is none.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        for section in [&mut self.desired, &mut self.reported, &mut self.tags] {
            if section.is_null() {
                *section = Value::Object(Map::new());
            }
            strip_bookkeeping(section);
        }
        self
    }

    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = json::checked(body)?;
        serde_json::from_str(text).map_err(|_| Malformed::because("not a twin"))
    }
}

impl fmt::Debug for TwinDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwinDocument")
            .field("etag", &self.etag)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Removes `$metadata` and `$version` at any depth.
pub fn strip_bookkeeping(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
            fields.values_mut().for_each(strip_bookkeeping);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_bookkeeping),
        _ => {}
    }
}

/// Why a request is refused before the hub is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The request, or a section in it, is longer than it may be.
    #[error("{0}")]
    TooLarge(String),
    /// Anything else. The text may name a path in the request.
    #[error("{0}")]
    Invalid(String),
}

pub(crate) fn invalid(reason: &str) -> BadRequest {
    BadRequest::Invalid(reason.to_owned())
}

/// The fields of a request that is an object of at most `longest` bytes. Every key that begins
/// with `$` is the hub's, and refused.
pub(crate) fn fields(body: &[u8], longest: usize) -> Result<Map<String, Value>, BadRequest> {
    read_fields(body, longest, strict::value)
}

/// As [`fields`], for requests whose values are no twin's: any key may be in them.
fn free_fields(body: &[u8], longest: usize) -> Result<Map<String, Value>, BadRequest> {
    read_fields(body, longest, strict::any_value)
}

fn read_fields(
    body: &[u8],
    longest: usize,
    read: fn(&str) -> Result<Value, String>,
) -> Result<Map<String, Value>, BadRequest> {
    if body.len() > longest {
        let kib = longest / 1024;
        let reason = format!("the request is longer than {kib} KiB");
        return Err(BadRequest::TooLarge(reason));
    }
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let text = json::checked(body).map_err(|error| BadRequest::Invalid(error.to_string()))?;
    match read(text).map_err(BadRequest::Invalid)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid("not a JSON object")),
    }
}

/// A misspelt field would silently do nothing, so unknown ones are refused.
pub(crate) fn only(
    fields: &Map<String, Value>,
    known: &[&str],
    what: &str,
) -> Result<(), BadRequest> {
    if fields.keys().all(|key| known.contains(&key.as_str())) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(BadRequest::Invalid(format!(
        "{what} has no other fields than {known}"
    )))
}

/// Takes a field that is a text, or missing or null.
pub(crate) fn take_text(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<String>, BadRequest> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BadRequest::Invalid(format!("{name} is not a text"))),
    }
}

/// Takes a field that is a whole number in `range`, or missing or null.
pub(crate) fn take_number(
    fields: &mut Map<String, Value>,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, BadRequest> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(BadRequest::Invalid(format!(
                "{name} is not a whole number from {} to {}",
                range.start(),
                range.end()
            ))),
        },
    }
}

#[cfg(test)]
#[path = "twin_tests.rs"]
mod tests;
