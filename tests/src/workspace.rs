//! Where the project is, and how to call cargo in it.
//!
//! Cargo gives the programs it runs (`cargo test`, `cargo xtask`) variables about *their* package.
//! Handed on to a nested cargo they look like a changed environment to build scripts that watch
//! them (ring's does), and half the tree is built again each time. So every nested cargo starts
//! from [`cargo`], which takes them out.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What cargo sets for the package it runs, and never reads itself.
const PACKAGE_VARIABLES: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member).to_owned()
}

/// A cargo command in the project's root, with standard input closed.
#[must_use]
pub fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if PACKAGE_VARIABLES
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}
