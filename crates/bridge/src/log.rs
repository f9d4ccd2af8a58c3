//! What is logged and how.
//!
//! Levels say who must act. `error`: somebody must. `warn`: it will heal by itself, but look. `info`: what
//! was decided. `debug`: details. A line carries tenant, device, event and trace of the message that was
//! in work; warnings and errors that repeat are told once a minute, with the number left out.

mod fields;
mod lines;
mod repeats;
mod shape;

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{ConfigError, Log, LogFormat};
use crate::telemetry::Traces;
use lines::Lines;
use shape::Shape;

/// Whether the filter is one.
pub(crate) fn check(log: &Log) -> Result<(), ConfigError> {
    filter(log).map(drop)
}

fn filter(log: &Log) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&log.level).map_err(|error| ConfigError(format!("`log.level`: {error}")))
}

/// Sends log lines to standard error, which leaves standard output to results, and spans to where `traces`
/// go.
pub(crate) fn start(log: &Log, traces: Option<&Traces>) -> Result<(), ConfigError> {
    // The hint keeps what the filter leaves out from being looked at each time, in all libraries.
    let harmless = filter_fn(is_harmless).with_max_level_hint(LevelFilter::TRACE);
    let filter = filter(log)?.and(harmless);
    let shape = match log.format {
        LogFormat::Text if std::io::stderr().is_terminal() => Shape::Coloured,
        LogFormat::Text => Shape::Text,
        LogFormat::Json => Shape::Json,
    };
    let lines = Lines::new(shape, std::io::stderr).with_filter(filter);
    let registry = tracing_subscriber::registry().with(lines);
    // A layer that is not there would undo that: it seems to want everything.
    match traces {
        None => registry.init(),
        Some(traces) => registry.with(traces.layer()).init(),
    }
    Ok(())
}

/// Whether something may be logged at all. The NATS client shows URLs with their passwords at `debug`,
/// and whole messages, their callers' tokens included, at `trace`.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("async_nats") || *metadata.level() <= Level::INFO
}
