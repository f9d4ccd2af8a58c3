//! Reads the hub's refusals, which come in several styles.
//!
//! Older parts of the service send a header `iothub-errorcode` and `ErrorCode:<Name>;<text>` in
//! `Message`; newer ones a JSON object with a numeric `errorCode`, either alone or again inside
//! `Message`, as an object or as a string. They are read in this order, and the first that says
//! something wins; the HTTP status alone is the last resort. The free text is never looked at.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Effect, Error, Kind, codes};
use crate::clock::http_date;

const ERROR_CODE: &str = "iothub-errorcode";
const REQUEST_ID: &str = "x-ms-request-id";
/// However long the hub asks to wait, an hour later is early enough to look again.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Longest error name and tracking id that are kept; real ones have at most 48 characters.
const MAX_WORD: usize = 64;

/// The error that an unsuccessful answer means.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let said = Said::by(headers, body);
    let number = said
        .number
        .or_else(|| codes::by_name(said.name.as_deref()?).map(|code| code.number));
    let name = said
        .name
        .or_else(|| codes::by_number(said.number?).map(|code| code.name.to_owned()));
    let mut kind = classify(status.as_u16(), name.as_deref(), number);
    if let Kind::Throttled { retry_after: pause } = &mut kind {
        *pause = retry_after(headers);
    }
    let mut error = Error::new(kind, effect(status)).with_status(status);
    error.0.name = name;
    error.0.number = number;
    error.0.tracking_id = said.tracking_id;
    error
}

/// The error of one item of a bulk call, of which only the code is told, as a name or a number.
pub(crate) fn read_item(code: Option<&Value>) -> Error {
    let mut said = Said::default();
    match code {
        Some(Value::Number(number)) => said.take_code(&number.to_string()),
        Some(Value::String(text)) => said.take_code(text),
        _ => {}
    }
    let listed = said.name.as_deref().and_then(codes::by_name);
    let number = said.number.or_else(|| listed.map(|code| code.number));
    let name = said
        .name
        .or_else(|| codes::by_number(said.number?).map(|code| code.name.to_owned()));
    let class = number.and_then(|number| u16::try_from(number / 1000).ok());
    let class = class.filter(|class| (400..600).contains(class));
    let named = name.as_deref().and_then(codes::kind_of_name);
    let kind = named.or_else(|| class.map(codes::kind_of_status));
    let mut error = match kind {
        Some(Kind::Transient) if class.is_none_or(|class| class >= 500) => {
            Error::new(Kind::Transient, Effect::Unknown)
        }
        Some(kind) => Error::new(kind, Effect::None),
        // Neither name nor number says what has to happen, so the caller has to look.
        None => Error::malformed("the item's error is not known"),
    };
    error.0.name = name;
    error.0.number = number;
    error
}

fn classify(status: u16, name: Option<&str>, number: Option<u32>) -> Kind {
    let named = name
        .and_then(codes::kind_of_name)
        .or_else(|| Some(codes::by_number(number?)?.kind));
    match status {
        // A failing server may name anything; only "you are too fast" is worth hearing then.
        500.. => named
            .filter(|kind| matches!(kind, Kind::Throttled { .. }))
            .unwrap_or(Kind::Transient),
        400.. => {
            let class = number.and_then(|number| u16::try_from(number / 1000).ok());
            let class = class
                .filter(|class| (400..600).contains(class))
                .unwrap_or(status);
            named.unwrap_or_else(|| codes::kind_of_status(class))
        }
        _ => codes::kind_of_status(status),
    }
}

/// A refusal is final. After a server error, a time-out of a gateway (408 among them) or a
/// redirect, the request may still be under way somewhere.
fn effect(status: StatusCode) -> Effect {
    if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
        Effect::None
    } else {
        Effect::Unknown
    }
}

/// The pause that an answer asks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, SystemTime::now())
}

/// `Retry-After` as seconds or as a date, which is compared with the answer's own date.
fn retry_after_at(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pause = if all_digits {
        // Digits that do not fit are a very long time.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let until = http_date(headers, RETRY_AFTER.as_str())?;
        let now = http_date(headers, "date").unwrap_or(now);
        until.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

/// What an answer says about its error.
#[derive(Default)]
struct Said {
    name: Option<String>,
    number: Option<u32>,
    tracking_id: Option<String>,
}

impl Said {
    fn by(headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let mut said = Self::default();
        if let Some(text) = header(ERROR_CODE) {
            said.take_code(text);
        }
        if let Ok(body) = serde_json::from_slice::<Value>(body) {
            said.take_body(&body, 2);
        }
        said.tracking_id = said
            .tracking_id
            .or_else(|| header(REQUEST_ID).and_then(word));
        said
    }

    /// Reads an object, and those inside its `Message` down to `depth`. What is known already stays.
    fn take_body(&mut self, body: &Value, depth: u8) {
        if depth == 0 {
            return;
        }
        let message = body.get("Message").or_else(|| body.get("message"));
        match message {
            Some(Value::String(text)) => {
                if let Some(rest) = text.strip_prefix("ErrorCode:") {
                    self.take_code(rest.split(';').next().unwrap_or_default());
                } else if let Ok(inner) = serde_json::from_str::<Value>(text) {
                    self.take_body(&inner, depth - 1);
                }
            }
            Some(inner @ Value::Object(_)) => self.take_body(inner, depth - 1),
            _ => {}
        }
        match body.get("errorCode") {
            Some(Value::Number(number)) => self.take_code(&number.to_string()),
            Some(Value::String(text)) => self.take_code(text),
            _ => {}
        }
        let id = body.get("trackingId").and_then(Value::as_str).or_else(|| {
            let text = body.get("ExceptionMessage")?.as_str()?;
            text.strip_prefix("Tracking ID:")?.split('-').next()
        });
        self.tracking_id = self.tracking_id.take().or_else(|| id.and_then(word));
    }

    /// Takes a name or a number, unless an earlier place gave one.
    fn take_code(&mut self, text: &str) {
        let text = text.trim();
        if self.name.is_some() || self.number.is_some() {
            return;
        }
        match text.parse() {
            Ok(number) => self.number = Some(number),
            Err(_) => self.name = word(text).filter(|name| !name.contains('-')),
        }
    }
}

/// A text that is safe to show: letters, digits and dashes.
pub(super) fn word(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let ok = (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(fits);
    ok.then(|| text.to_owned())
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
