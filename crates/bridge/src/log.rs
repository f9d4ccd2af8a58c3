//! What is logged and how.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{ConfigError, Log, LogFormat};

/// Whether the filter is one.
pub(crate) fn check(log: &Log) -> Result<(), ConfigError> {
    filter(log).map(drop)
}

fn filter(log: &Log) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&log.level).map_err(|error| ConfigError(format!("`log.level`: {error}")))
}

/// Sends log lines to standard error, which leaves standard output to results.
pub(crate) fn start(log: &Log) -> Result<(), ConfigError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(std::io::stderr);
    let harmless = filter_fn(is_harmless);
    match log.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            lines.finish().with(harmless).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines.finish().with(harmless).init();
        }
    }
    Ok(())
}

/// Whether something may be logged at all. The NATS client shows URLs with their passwords at `debug`,
/// and whole messages, their callers' tokens included, at `trace`.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("async_nats") || *metadata.level() <= Level::INFO
}
