//! `config`: what can be configured, and whether it is.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Says whether the worker would start with the configuration, without connecting to anything.
    ///
    /// Names the keys that are not left as they are. What is wrong is told in one line, exit code 2.
    Check,
    /// Prints a configuration file with every key, its default and its meaning.
    Example,
    /// Prints every key with type, default and meaning (Markdown; a JSON Schema with --output json).
    Reference,
}
