//! Looking for twins among the devices of a tenant, page by page.

use std::fmt;
use std::str::FromStr;

use lifecycle::{DeviceId, decode_token};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BadRequest, Condition, MAX_REQUEST, TwinDocument, fields, invalid, only, take_number, take_text,
};
use crate::{Malformed, ModuleId, json};

/// Most twins in a page, and as many as there are if the caller does not say.
pub const MAX_PAGE: u64 = 100;

/// What is looked for, and where to go on (`schemas/twin-query-request.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// Which twins.
    pub condition: Condition,
    /// At most so many in the reply, 1 to [`MAX_PAGE`].
    pub page_size: usize,
    /// Behind which twin to go on.
    pub after: Option<Place>,
}

impl Default for QueryRequest {
    fn default() -> Self {
        Self {
            condition: Condition::default(),
            page_size: usize::try_from(MAX_PAGE).unwrap_or(usize::MAX),
            after: None,
        }
    }
}

/// A twin by its place in the order of a query: by the tokens of device and module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The device.
    pub device: DeviceId,
    /// The last module of it that was looked at; `None` if it is done.
    pub module: Option<ModuleId>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.device.to_token())?;
        match &self.module {
            Some(module) => write!(f, ".{}", module.to_token()),
            None => Ok(()),
        }
    }
}

impl FromStr for Place {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let wrong = || invalid("continuation is not one that a reply holds");
        let id = |token: &str| decode_token(token).map_err(|_| wrong());
        let (device, module) = match text.split_once('.') {
            Some((device, module)) => (device, Some(module)),
            None => (text, None),
        };
        let module = module.map(|module| id(module)?.parse().map_err(|_| wrong()));
        Ok(Self {
            device: id(device)?.parse().map_err(|_| wrong())?,
            module: module.transpose()?,
        })
    }
}

/// Reads the request of a `query`.
pub fn parse_query(body: &[u8]) -> Result<QueryRequest, BadRequest> {
    let mut fields = fields(body, MAX_REQUEST)?;
    only(&fields, &["query", "page_size", "continuation"], "a query")?;
    let query = take_text(&mut fields, "query")?;
    let page_size = take_number(&mut fields, "page_size", 1..=MAX_PAGE)?.unwrap_or(MAX_PAGE);
    let after = take_text(&mut fields, "continuation")?;
    Ok(QueryRequest {
        condition: query.map_or(Ok(Condition::default()), |text| text.parse())?,
        page_size: usize::try_from(page_size).unwrap_or(usize::MAX),
        after: after.map(|text| text.parse()).transpose()?,
    })
}

impl QueryRequest {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(&Written {
            query: self.condition.to_text(),
            page_size: self.page_size,
            continuation: self.after.as_ref().map(ToString::to_string),
        })
    }
}

#[derive(Serialize)]
struct Written {
    query: String,
    page_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<String>,
}

/// One twin that a query found.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundTwin {
    /// Whose twin it is.
    pub device: String,
    /// The module, if it is a module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The twin.
    pub twin: TwinDocument,
}

/// Shows the ids only.
impl fmt::Debug for FoundTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundTwin")
            .field("device", &self.device)
            .field("module", &self.module)
            .finish_non_exhaustive()
    }
}

/// A page of what a query found (`schemas/twin-query-reply.schema.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryReply {
    /// The twins, in the order of their ids' tokens; possibly none, also in the middle.
    pub twins: Vec<FoundTwin>,
    /// Send it along with the same query for the next page; there is none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation: Option<String>,
}

impl QueryReply {
    /// Without the hub's bookkeeping.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        for found in &mut self.twins {
            found.twin = std::mem::take(&mut found.twin).cleaned();
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
        serde_json::from_slice(body).map_err(|_| Malformed::because("not a page of twins"))
    }
}

/// How many bytes a twin takes in a reply.
impl FoundTwin {
    /// Its length as JSON, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        json::written(self).len()
    }
}

/// Nothing, for taking a document out of a place.
impl Default for TwinDocument {
    fn default() -> Self {
        Self {
            desired: Value::Null,
            reported: Value::Null,
            tags: Value::Null,
            etag: String::new(),
            version: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_asks_for_all_devices() {
        for body in ["", "{}", r#"{"query":null,"continuation":null}"#] {
            assert_eq!(parse_query(body.as_bytes()), Ok(QueryRequest::default()));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let request = QueryRequest {
            condition: "SELECT * FROM devices.modules WHERE tags.a = 1"
                .parse()
                .unwrap(),
            page_size: 7,
            after: Some("a=2Eb.m".parse().unwrap()),
        };
        assert_eq!(parse_query(&request.to_body()), Ok(request));
    }

    #[test]
    fn pages_and_places_have_limits() {
        for (body, reason) in [
            (
                r#"{"page_size":0}"#,
                "page_size is not a whole number from 1 to 100",
            ),
            (
                r#"{"page_size":101}"#,
                "page_size is not a whole number from 1 to 100",
            ),
            (
                r#"{"continuation":"a/b"}"#,
                "continuation is not one that a reply holds",
            ),
            (
                r#"{"continuation":"a.b.c"}"#,
                "continuation is not one that a reply holds",
            ),
            (
                r#"{"select":"*"}"#,
                "a query has no other fields than query, page_size, continuation",
            ),
        ] {
            let error = parse_query(body.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), reason, "{body}");
        }
    }
}
