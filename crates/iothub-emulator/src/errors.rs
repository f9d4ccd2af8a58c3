//! What the service answers when it refuses: a status, a name and a text, in its own odd shape.
//!
//! Clients tell errors apart by the `iothub-errorcode` header or by the `ErrorCode:` name inside
//! `Message`, so both are always there. There are three styles of body, and which part of the service
//! speaks decides which one it is.

mod common;
mod names;
mod services;

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dates::Ticks;

/// Which part of the service speaks; the registry marks its tracking ids, twins do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Identities, and everything that fails before an operation is chosen.
    Registry,
    /// Twins.
    Twins,
    /// Direct methods, which put one JSON text inside another.
    Methods,
    /// The newer parts, which send that JSON as it is.
    Newer,
}

/// A refusal, before it is tied to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The name sent as `iothub-errorcode`.
    pub(crate) name: Cow<'static, str>,
    /// The text after `ErrorCode:<name>;`.
    pub(crate) text: String,
    /// Who refuses.
    pub(crate) speaker: Speaker,
    /// Whether something was too large, rather than wrong.
    pub(crate) oversize: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "ExceptionMessage")]
    exception: &'a str,
}

impl ServiceError {
    fn new(status: StatusCode, name: &'static str, text: impl Into<String>) -> Self {
        let (name, text) = (Cow::Borrowed(name), text.into());
        Self {
            status,
            name,
            text,
            speaker: Speaker::Registry,
            oversize: false,
        }
    }

    /// The same refusal, spoken by the twin service.
    pub(crate) fn by_twins(self) -> Self {
        Self {
            speaker: Speaker::Twins,
            ..self
        }
    }

    /// The same refusal, by what is larger than the service takes.
    pub(crate) fn of_oversize(self) -> Self {
        Self {
            oversize: true,
            ..self
        }
    }

    /// The same refusal as a hub words it that has 413 for what is too large.
    pub(crate) fn with_413(self) -> Self {
        if !self.oversize {
            return self;
        }
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            name: Cow::Borrowed("RequestEntityTooLarge"),
            ..self
        }
    }

    fn newer(self) -> Self {
        Self {
            speaker: Speaker::Newer,
            ..self
        }
    }

    fn nested(self) -> Self {
        Self {
            speaker: Speaker::Methods,
            ..self
        }
    }

    /// A refusal made up by a fault rule; without a name it gets the usual one of its status.
    pub(crate) fn injected(status: StatusCode, name: Option<&str>) -> Self {
        let usual = Cow::Borrowed(names::usual(status));
        let name = name.map_or(usual, |name| Cow::Owned(name.to_owned()));
        let text = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            status,
            name,
            text,
            speaker: Speaker::Registry,
            oversize: false,
        }
    }

    /// The number that goes with the name.
    pub(crate) fn number(&self) -> u32 {
        names::number(&self.name, self.status)
    }

    /// The body, as compact JSON. The tracking id is the request id without its dashes.
    pub(crate) fn body(&self, request_id: &str, now: Ticks) -> String {
        let group = match self.speaker {
            Speaker::Registry => "-G:1",
            Speaker::Twins => "",
            Speaker::Methods => return self.nested_body(request_id, now),
            Speaker::Newer => return self.newer_body(request_id, now).to_string(),
        };
        let message = format!("ErrorCode:{};{}", self.name, self.text);
        let tracking = request_id.replace('-', "");
        let exception = format!("Tracking ID:{tracking}{group}-TimeStamp:{}", now.american());
        let body = Body {
            message: &message,
            exception: &exception,
        };
        serde_json::to_string(&body).expect("two strings always serialize")
    }

    /// The body as a device gets it.
    pub(crate) fn device_body(&self, request_id: &str, now: Ticks) -> String {
        self.newer_body(request_id, now).to_string()
    }

    fn newer_body(&self, request_id: &str, now: Ticks) -> Value {
        json!({
            "errorCode": self.number(),
            "message": self.text,
            "trackingId": request_id.replace('-', ""),
            "timestampUtc": now,
        })
    }

    fn nested_body(&self, request_id: &str, now: Ticks) -> String {
        let mut inner = self.newer_body(request_id, now);
        inner["info"] = Value::Null;
        let body = Body {
            message: &inner.to_string(),
            exception: "",
        };
        serde_json::to_string(&body).expect("two strings always serialize")
    }
}

#[cfg(test)]
mod tests;
