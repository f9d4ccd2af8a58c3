//! The id of a request: `X-MEN-RequestID`, which Mender's services hand on.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-men-requestid");
/// The longest id of a caller that is used.
const LONGEST: usize = 128;

/// The caller's id, or one made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// An id that is no short plain text is replaced: it goes into logs.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let plain = |text: &&str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let given = given.filter(plain).map(str::to_owned);
        Self(given.unwrap_or_else(|| Uuid::new_v4().to_string()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("none"))
    }
}
