//! Edits of one twin: `set` replaces the desired properties, `patch` merges.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::limits::{self, Nulls, Section};
use super::{BadRequest, MAX_REQUEST, fields, invalid, only};
use crate::json;

/// The longest ETag that a caller may send; the hub's have 12 characters.
const MAX_ETAG: usize = 128;

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

/// Shows the ETag only: what stands in a twin is its owner's affair.
impl fmt::Debug for SetRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetRequest")
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

/// As for [`SetRequest`].
impl fmt::Debug for PatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatchRequest")
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

/// Accepts the request of a `get`: no body, or an empty object.
pub fn parse_get(body: &[u8]) -> Result<(), BadRequest> {
    if fields(body, MAX_REQUEST)?.is_empty() {
        return Ok(());
    }
    Err(invalid("get takes an empty body or {}"))
}

/// Reads the request of a `set`. A reply of `get` may be sent back edited: `reported`, `tags` and
/// `version` are not looked at, further than that they may not hold keys that begin with `$`.
pub fn parse_set(body: &[u8]) -> Result<SetRequest, BadRequest> {
    let mut fields = edit(body)?;
    let desired = section(&mut fields, "desired")?.ok_or(invalid("desired is missing"))?;
    limits::check(Section::Desired, &desired, Nulls::Refused)?;
    Ok(SetRequest {
        desired,
        etag: etag(&mut fields)?,
    })
}

/// Reads the request of a `patch`.
pub fn parse_patch(body: &[u8]) -> Result<PatchRequest, BadRequest> {
    let mut fields = edit(body)?;
    let (desired, tags) = sections(&mut fields)?;
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

/// A misspelt section would be an edit that silently does nothing, so other fields are refused.
fn edit(body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    const KNOWN: [&str; 5] = ["desired", "tags", "etag", "reported", "version"];
    let fields = fields(body, MAX_REQUEST)?;
    only(&fields, &KNOWN, "an edit")?;
    Ok(fields)
}

/// Takes the sections of a merging edit: at least one, both checked.
pub(super) fn sections(
    fields: &mut Map<String, Value>,
) -> Result<(Option<Value>, Option<Value>), BadRequest> {
    let desired = section(fields, "desired")?;
    let tags = section(fields, "tags")?;
    if desired.is_none() && tags.is_none() {
        return Err(invalid("neither desired nor tags is given"));
    }
    for (section, value) in [(Section::Desired, &desired), (Section::Tags, &tags)] {
        if let Some(value) = value {
            limits::check(section, value, Nulls::Remove)?;
        }
    }
    Ok((desired, tags))
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
