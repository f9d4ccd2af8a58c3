//! For whoever measures: who hears of each answer.

use std::fmt;
use std::time::Duration;

use axum::http::StatusCode;

/// Hears of every answer.
pub trait Watch: fmt::Debug + Send + Sync {
    /// A request was answered.
    fn answered(&self, answered: &Answered);
}

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Its method; `OTHER` for those that no route has.
    pub method: &'static str,
    /// The route, one of [`crate::routes`]; empty if there is none for this method and path.
    pub route: &'static str,
    /// How it was answered.
    pub status: StatusCode,
    /// From the end of its head to the beginning of the answer.
    pub took: Duration,
}
