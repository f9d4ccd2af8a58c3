//! Direct methods: a question to a connected device or module, and its answer.
//!
//! The hub holds the request open until the device answers, for as long as the call allows, so the
//! client's own limit must be longer than that or it would hang up on an answer that is coming.
//! What happened to a method that was not answered is not known, and methods do things; so this
//! crate never calls one twice by itself, and calls an unanswered one "not available" rather than
//! "transient".

use std::time::Duration;

use serde_json::{Value, json};

use crate::document::Document;
use crate::error::{Error, Result};

/// Longest payload either way, in bytes of JSON.
pub const MAX_METHOD_PAYLOAD: usize = 128 * 1024;

const NAME_EXCEPT: &[u8] = b"$()<>@,;:\\\"/[]?={}";
const MAX_NAME: usize = 128;
/// What the hub and the way there may take on top of the device's own time.
const SLACK: Duration = Duration::from_secs(30);

/// How long a device may take: to connect, and to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) connect: u64,
    pub(crate) response: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: 0,
            response: 30,
        }
    }
}

impl Patience {
    pub(crate) fn response(&mut self, timeout: Duration) -> Result<()> {
        self.response = whole_seconds(timeout);
        if (5..=300).contains(&self.response) {
            Ok(())
        } else {
            Err(Error::invalid("a device may take 5 to 300 s to answer"))
        }
    }

    pub(crate) fn connect(&mut self, timeout: Duration) -> Result<()> {
        self.connect = whole_seconds(timeout);
        if self.connect <= 300 {
            Ok(())
        } else {
            Err(Error::invalid("a device may take 0 to 300 s to connect"))
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.connect <= self.response {
            Ok(())
        } else {
            Err(Error::invalid(
                "the time to connect may not exceed the time to answer",
            ))
        }
    }

    /// The least time after which nothing will come any more.
    pub(crate) fn in_all(self) -> Duration {
        Duration::from_secs(self.connect + self.response) + SLACK
    }
}

/// A duration as the API counts, rounded up.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A direct method to call.
///
/// ```
/// use std::time::Duration;
/// use iothub::Method;
///
/// let method = Method::new("reboot")?
///     .payload(serde_json::json!({"delay_s": 5}))?
///     .response_timeout(Duration::from_secs(60))?
///     .connect_timeout(Duration::from_secs(20))?;
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Method {
    name: String,
    payload: Value,
    patience: Patience,
}

impl Method {
    /// A method without payload whose device must be connected now and answer within 30 s.
    ///
    /// A name has 1 to 128 printable ASCII characters without blanks and
    /// `$ ( ) < > @ , ; : \ " / [ ] ? = { }`.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let fits = |b: u8| b.is_ascii_graphic() && !NAME_EXCEPT.contains(&b);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(Error::invalid("the method's name is malformed"));
        }
        Ok(Self {
            name,
            payload: Value::Null,
            patience: Patience::default(),
        })
    }

    /// The same method with this payload, any JSON of at most [`MAX_METHOD_PAYLOAD`] bytes.
    pub fn payload(mut self, payload: Value) -> Result<Self> {
        check_payload(&payload)?;
        self.payload = payload;
        Ok(self)
    }

    /// How long the device may take to answer: 5 to 300 s, rounded up to seconds.
    pub fn response_timeout(mut self, timeout: Duration) -> Result<Self> {
        self.patience.response(timeout)?;
        Ok(self)
    }

    /// How long to wait for a device that is not connected: 0 to 300 s, rounded up to seconds, and
    /// not longer than it may take to answer.
    pub fn connect_timeout(mut self, timeout: Duration) -> Result<Self> {
        self.patience.connect(timeout)?;
        Ok(self)
    }

    /// The method's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// As the hub takes it, in a call of its own or in a job.
    pub(crate) fn to_json(&self) -> Result<Value> {
        self.patience.check()?;
        Ok(json!({
            "methodName": self.name,
            "payload": self.payload,
            "responseTimeoutInSeconds": self.patience.response,
            "connectTimeoutInSeconds": self.patience.connect,
        }))
    }
}

/// Shows name and times only: payloads may hold anything.
impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method")
            .field("name", &self.name)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

pub(crate) fn check_payload(payload: &Value) -> Result<()> {
    if payload.to_string().len() > MAX_METHOD_PAYLOAD {
        return Err(Error::invalid("a payload has at most 128 KiB"));
    }
    Ok(())
}

/// What a device answered. Also a device's refusal is an answer: look at the status.
///
/// ```
/// let answer = iothub::MethodAnswer::from_json(br#"{"status":200,"payload":{"done":true}}"#)?;
/// assert_eq!((answer.status, &answer.payload["done"]), (200, &true.into()));
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MethodAnswer {
    /// Whatever number the device chose; by custom those of HTTP.
    pub status: i64,
    /// Any JSON; null if there was none.
    pub payload: Value,
}

impl MethodAnswer {
    /// Reads the hub's answer.
    pub fn from_json(body: &[u8]) -> Result<Self> {
        let document = Document::parse(body, &[])?;
        let status = document.get("status").and_then(Value::as_i64);
        Ok(Self {
            status: status.ok_or_else(|| Error::malformed("the device's status is missing"))?,
            payload: document.get("payload").cloned().unwrap_or_default(),
        })
    }
}

/// A method or command that was not answered may have been carried out, and asking again would do
/// it again.
pub(crate) fn unanswered(error: Error) -> Error {
    if error.status() == Some(http::StatusCode::GATEWAY_TIMEOUT.as_u16()) {
        error.with_kind(crate::error::Kind::NotAvailable)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn method() -> Method {
        Method::new("reboot").unwrap()
    }

    #[test]
    fn names_are_printable_and_hold_no_delimiters() {
        for name in ["reboot", "a.b-c_d!#%&'*+^`|~", "component*command"] {
            assert!(Method::new(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a/b", "a$", "a=b", "ä", "a\n", &"a".repeat(129)] {
            assert!(Method::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn times_have_limits_and_count_in_whole_seconds() {
        for (seconds, fits) in [(4, false), (5, true), (300, true), (301, false)] {
            assert_eq!(method().response_timeout(s(seconds)).is_ok(), fits);
        }
        assert!(method().connect_timeout(s(301)).is_err());
        let millis = method()
            .response_timeout(Duration::from_millis(5001))
            .unwrap();
        assert_eq!(millis.to_json().unwrap()["responseTimeoutInSeconds"], 6);
    }

    #[test]
    fn connecting_may_not_take_longer_than_answering() {
        let late = method().connect_timeout(s(31)).unwrap();
        assert!(late.to_json().is_err());
        let both = late.response_timeout(s(31)).unwrap();
        assert_eq!(
            both.to_json().unwrap(),
            json!({"methodName": "reboot", "payload": null,
                "responseTimeoutInSeconds": 31, "connectTimeoutInSeconds": 31})
        );
        assert!(both.patience().in_all() > s(62));
    }

    #[test]
    fn a_payload_is_any_json_up_to_a_size() {
        let text = |bytes: usize| Value::from("x".repeat(bytes - 2));
        assert!(method().payload(text(MAX_METHOD_PAYLOAD)).is_ok());
        assert!(method().payload(text(MAX_METHOD_PAYLOAD + 1)).is_err());
    }

    #[test]
    fn an_answer_without_a_status_is_malformed() {
        for body in ["", "{}", r#"{"status":"200"}"#, "[200]"] {
            assert!(MethodAnswer::from_json(body.as_bytes()).is_err(), "{body}");
        }
        let bare = MethodAnswer::from_json(br#"{"status":-1}"#).unwrap();
        assert_eq!((bare.status, bare.payload), (-1, Value::Null));
    }
}
