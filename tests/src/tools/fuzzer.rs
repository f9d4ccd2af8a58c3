//! Finds cargo-fuzz, or builds it.

use std::path::PathBuf;

use anyhow::Result;

use super::Environment;
use super::program::Program;

const CARGO_FUZZ: Program = Program {
    package: "cargo-fuzz",
    version: "0.13.2",
    binary: "cargo-fuzz",
    version_arguments: &["fuzz", "--version"],
    ignore_rust_version: false,
    without: "only fuzzing needs it",
};

/// The executable of cargo-fuzz, built into the tool cache if need be.
pub fn cargo_fuzz() -> Result<PathBuf> {
    let environment = Environment(&|name| std::env::var_os(name));
    CARGO_FUZZ.install(&environment.cache(), |_| Ok(None))
}
