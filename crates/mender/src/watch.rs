//! For whoever measures and traces: who hears of the requests.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::error::{Error, Service};

/// Hears of every request to Mender's services.
pub trait Watch: fmt::Debug + Send + Sync {
    /// The value of the header `traceparent` for a request that is about to be sent, if it is traced
    /// (<https://www.w3.org/TR/trace-context/>). Mender's services ignore the header.
    fn traceparent(&self) -> Option<HeaderValue>;

    /// A request has ended; `error` says what was wrong, if anything.
    fn ended(&self, service: Service, error: Option<&Error>, took: Duration);
}
