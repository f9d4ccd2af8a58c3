//! Where the service is known to depart from its description, and SDKs from both.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// One departure, and how it is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Departure {
    pub(super) at: Place,
    /// What may be there besides what is described. Nothing for headers and paths.
    #[serde(default)]
    pub(super) also: Value,
    /// The kinds of rows (`x-ms-item-type`) for which it is so; for all answers if there are none.
    #[serde(default)]
    pub(super) for_rows: Vec<String>,
    /// A value that only the departure lets pass.
    #[serde(default)]
    pub(super) example: Value,
    /// Who has seen or documented it.
    pub(super) source: String,
}

/// What departs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// `Definition.property`, a new property or one with further values.
    Property(String),
    /// A format of texts, such as `date-time`.
    Format(String),
    /// The body of an operation's good answers.
    Answer(String),
    /// `Operation header`: a header in requests.
    RequestHeader(String),
    /// An operation whose path may end with a slash.
    TrailingSlash(String),
}

/// The list.
pub(super) fn departures() -> Result<Vec<Departure>> {
    serde_json::from_str(include_str!("../../data/departures.json")).context("departures.json")
}
