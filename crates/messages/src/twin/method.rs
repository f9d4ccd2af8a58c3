//! Direct methods: a question to a connected device or module, and its answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BadRequest, free_fields, invalid, only, take_number, take_text};
use crate::{Malformed, json};

/// The longest request of a `method`, in bytes: a payload may have 128 KiB.
pub const MAX_METHOD_REQUEST: usize = 160 * 1024;

const MAX_PAYLOAD: usize = 128 * 1024;
const MAX_NAME: usize = 128;
const NAME_EXCEPT: &[u8] = b"$()<>@,;:\\\"/[]?={}";
/// How long a device usually gets to answer, in seconds.
const USUAL_RESPONSE: u64 = 30;
pub(super) const METHOD_FIELDS: [&str; 4] =
    ["name", "payload", "response_timeout_s", "connect_timeout_s"];

/// A method to call (`schemas/twin-method-request.schema.json`).
#[derive(Clone, PartialEq, Serialize)]
pub struct MethodRequest {
    /// 1 to 128 printable characters of ASCII without blanks and `$()<>@,;:\"/[]?={}`.
    pub name: String,
    /// Any JSON of at most 128 KiB.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// How long the device may take to answer, in seconds: 5 to 300, usually 30.
    pub response_timeout_s: u64,
    /// How long to wait for a device that is not connected, in seconds: 0 to
    /// `response_timeout_s`, usually 0.
    pub connect_timeout_s: u64,
}

/// Shows the name only: payloads may hold anything.
impl fmt::Debug for MethodRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MethodRequest {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    pub(super) fn of(mut fields: Map<String, Value>) -> Result<Self, BadRequest> {
        only(&fields, &METHOD_FIELDS, "a method")?;
        let name = take_text(&mut fields, "name")?.ok_or(invalid("name is missing"))?;
        let fits = |b: u8| b.is_ascii_graphic() && !NAME_EXCEPT.contains(&b);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(invalid("name is not the name of a method"));
        }
        let payload = fields.remove("payload").unwrap_or_default();
        if payload.to_string().len() > MAX_PAYLOAD {
            let reason = "payload has more than 128 KiB".to_owned();
            return Err(BadRequest::TooLarge(reason));
        }
        let response = take_number(&mut fields, "response_timeout_s", 5..=300)?;
        let response = response.unwrap_or(USUAL_RESPONSE);
        let connect = take_number(&mut fields, "connect_timeout_s", 0..=300)?.unwrap_or(0);
        if connect > response {
            return Err(invalid("connect_timeout_s is above response_timeout_s"));
        }
        Ok(Self {
            name,
            payload,
            response_timeout_s: response,
            connect_timeout_s: connect,
        })
    }
}

/// Reads the request of a `method`.
pub fn parse_method(body: &[u8]) -> Result<MethodRequest, BadRequest> {
    MethodRequest::of(free_fields(body, MAX_METHOD_REQUEST)?)
}

/// What the device answered (`schemas/twin-method-reply.schema.json`). Also its refusal is an
/// answer: the status tells.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodReply {
    /// The device's own number; by custom those of HTTP.
    pub status: i64,
    /// Any JSON.
    pub payload: Value,
}

/// Shows the status only: payloads may hold anything.
impl fmt::Debug for MethodReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodReply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl MethodReply {
    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_str(json::checked(body)?).map_err(|_| Malformed::because("not an answer"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(body: &str, reason: &str) {
        let error = parse_method(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }

    #[test]
    fn a_name_is_enough() {
        let method = parse_method(br#"{"name":"reboot"}"#).unwrap();
        assert_eq!(
            (method.response_timeout_s, method.connect_timeout_s),
            (30, 0)
        );
        assert_eq!(parse_method(&method.to_body()), Ok(method));
    }

    #[test]
    fn a_payload_is_any_json_to_the_last_digit() {
        let body = br#"{"name":"a","payload":{"$ref":[1.10,null]}}"#;
        let payload = parse_method(body).unwrap().payload;
        assert_eq!(payload.to_string(), r#"{"$ref":[1.10,null]}"#);
        let long = json!({"name": "a", "payload": "x".repeat(131_072)}).to_string();
        refused(&long, "payload has more than 128 KiB");
    }

    #[test]
    fn names_and_times_have_limits() {
        refused("{}", "name is missing");
        refused(r#"{"name":"a b"}"#, "name is not the name of a method");
        refused(
            r#"{"name":"a","response_timeout_s":4}"#,
            "response_timeout_s is not a whole number from 5 to 300",
        );
        refused(
            r#"{"name":"a","connect_timeout_s":31}"#,
            "connect_timeout_s is above response_timeout_s",
        );
        refused(
            r#"{"name":"a","timeout":5}"#,
            "a method has no other fields than name, payload, response_timeout_s, connect_timeout_s",
        );
    }
}
