//! Requests and replies of the twin service: `<prefix>.twin.<verb>.<tenant>.<device>`.
//!
//! The hub interleaves a twin's sections with bookkeeping of its own, `$metadata` and `$version`.
//! Callers never see it and cannot write it. Numbers keep their digits on the way through.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Malformed, json, strict};

/// The longest request that is read, in bytes. A hub keeps 32 KiB of desired properties and
/// 8 KiB of tags.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What the hub adds to every section.
const BOOKKEEPING: [&str; 2] = ["$metadata", "$version"];
/// The longest ETag that a caller may send; the hub's have 12 characters.
const MAX_ETAG: usize = 128;

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
    /// Longer than [`MAX_REQUEST`].
    #[error("the request is longer than 64 KiB")]
    TooLarge,
    /// Anything else. The text may name a path in the request.
    #[error("{0}")]
    Invalid(String),
}

/// Replaces the desired properties; tags stay.
#[derive(Clone, PartialEq, Serialize)]
pub struct SetRequest {
    /// An object.
    pub desired: Value,
    /// The version that the caller has seen, if the edit depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Merges into desired properties, tags or both: objects merge, null removes a key, anything else
/// replaces.
#[derive(Clone, PartialEq, Serialize)]
pub struct PatchRequest {
    /// An object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// An object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Value>,
    /// The version that the caller has seen, if the edit depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Accepts the request of a `get`: no body, or an empty object.
pub fn parse_get(body: &[u8]) -> Result<(), BadRequest> {
    if body.trim_ascii().is_empty() || fields(body)?.is_empty() {
        return Ok(());
    }
    Err(invalid("get takes an empty body or {}"))
}

/// Reads the request of a `set`. A reply of `get` may be sent back edited: `reported`, `tags` and
/// `version` are not looked at, further than that they may not hold keys that begin with `$`.
pub fn parse_set(body: &[u8]) -> Result<SetRequest, BadRequest> {
    let mut fields = edit(body)?;
    Ok(SetRequest {
        desired: section(&mut fields, "desired")?.ok_or(invalid("desired is missing"))?,
        etag: etag(&mut fields)?,
    })
}

/// Reads the request of a `patch`.
pub fn parse_patch(body: &[u8]) -> Result<PatchRequest, BadRequest> {
    let mut fields = edit(body)?;
    let desired = section(&mut fields, "desired")?;
    let tags = section(&mut fields, "tags")?;
    if desired.is_none() && tags.is_none() {
        return Err(invalid("neither desired nor tags is given"));
    }
    Ok(PatchRequest {
        desired,
        tags,
        etag: etag(&mut fields)?,
    })
}

impl SetRequest {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }
}

impl PatchRequest {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }
}

fn invalid(reason: &str) -> BadRequest {
    BadRequest::Invalid(reason.to_owned())
}

fn fields(body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    if body.len() > MAX_REQUEST {
        return Err(BadRequest::TooLarge);
    }
    let text = json::checked(body).map_err(|error| BadRequest::Invalid(error.to_string()))?;
    match strict::value(text).map_err(BadRequest::Invalid)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid("not a JSON object")),
    }
}

/// A misspelt section would be an edit that silently does nothing, so other fields are refused.
fn edit(body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    const KNOWN: [&str; 5] = ["desired", "tags", "etag", "reported", "version"];
    let fields = fields(body)?;
    if fields.keys().all(|key| KNOWN.contains(&key.as_str())) {
        Ok(fields)
    } else {
        Err(invalid(
            "an edit has the fields desired, tags and etag only",
        ))
    }
}

fn section(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, BadRequest> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(section) if section.is_object() => Ok(Some(section)),
        Some(_) => Err(BadRequest::Invalid(format!("{name} is not an object"))),
    }
}

/// `*` would match anything, which is what no ETag at all says; quotes are added on the way out.
fn etag(fields: &mut Map<String, Value>) -> Result<Option<String>, BadRequest> {
    let plain = |etag: &str| {
        (1..=MAX_ETAG).contains(&etag.len())
            && etag
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"*\\,".contains(&b))
    };
    match fields.remove("etag") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(etag)) if plain(&etag) => Ok(Some(etag)),
        Some(_) => Err(invalid("etag is not one that a reply holds")),
    }
}

/// Value of the header [`crate::header::SERVICE_ERROR_CODE`]: HTTP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// The request is wrong.
    Invalid = 400,
    /// The caller did not say who it is.
    Unauthenticated = 401,
    /// The caller may not do this.
    Forbidden = 403,
    /// No such device, or the tenant has no integration.
    NotFound = 404,
    /// The twin is not the one of the caller's ETag.
    Conflict = 409,
    /// Request or twin too large.
    TooLarge = 413,
    /// Too many requests.
    Throttled = 429,
    /// The hub refused, or cannot be reached.
    BadHub = 502,
    /// Whether it is allowed cannot be found out now, or what is done cannot be recorded. Nothing
    /// was done.
    Unavailable = 503,
    /// No answer in time. An edit may have taken effect.
    TimedOut = 504,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Throttled,
        Self::BadHub,
        Self::Unavailable,
        Self::TimedOut,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number, if it is one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}

#[cfg(test)]
#[path = "twin_tests.rs"]
mod tests;
