//! Rules about the project itself that no compiler checks.
//!
//! Each is a function, so that `cargo xtask test` can run them before anything is compiled and the
//! black-box tests can hold them too.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Everything the `lifecycle` crate may depend on, directly or not: derive macros and what they
/// are made of. Nothing here reads a clock, does I/O or rolls dice.
const PURE: [&str; 10] = [
    "lifecycle",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
];

/// One TLS stack (rustls) with one provider (ring): these would be a second one.
const OTHER_TLS: [&str; 4] = ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"];

/// What the project's root holds, beside dot-files; `target` is cargo's.
const ROOT: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "deploy",
    "justfile",
    "schemas",
    "target",
    "tests",
];

/// `lifecycle` depends on nothing with a clock, I/O or randomness.
pub fn lifecycle_is_pure() -> Result<()> {
    let tree = tree(&["--package", "lifecycle", "--edges", "normal,build"])?;
    let packages = tree.context("cargo knows no package lifecycle")?;
    let impure: Vec<&str> = packages
        .iter()
        .map(String::as_str)
        .filter(|name| !PURE.contains(name))
        .collect();
    if !impure.is_empty() {
        bail!(
            "lifecycle must stay free of clock, I/O and randomness, but depends on {}: take that out, or \
             add it to the list in tests/src/guards.rs if it is pure",
            impure.join(", ")
        );
    }
    Ok(())
}

/// Nothing in the workspace, on any platform, brings a TLS library or provider of its own.
pub fn one_tls_stack() -> Result<()> {
    for other in OTHER_TLS {
        let found = tree(&["--workspace", "--edges", "all", "--invert", other])?;
        if found.is_some_and(|packages| !packages.is_empty()) {
            bail!(
                "{other} is in the tree (`cargo tree --target all --invert {other}` shows why): only rustls with ring is wanted"
            );
        }
    }
    Ok(())
}

/// The root holds what the layout names, and nothing else.
pub fn root_is_tidy() -> Result<()> {
    let mut strangers = Vec::new();
    for entry in fs::read_dir(workspace::root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !ROOT.contains(&name.as_str()) {
            strangers.push(name);
        }
    }
    strangers.sort();
    if !strangers.is_empty() {
        bail!(
            "the project's root holds {}, which is not part of the layout: move it",
            strangers.join(", ")
        );
    }
    Ok(())
}

/// The names in a `cargo tree`; `None` when the package it starts from is in no tree.
fn tree(arguments: &[&str]) -> Result<Option<Vec<String>>> {
    let mut cargo = workspace::cargo();
    cargo.args([
        "tree", "--locked", "--quiet", "--target", "all", "--prefix", "none", "--format", "{p}",
    ]);
    let output = cargo
        .args(arguments)
        .output()
        .context("failed to run cargo tree")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("did not match any packages") {
            return Ok(None);
        }
        bail!("cargo tree failed: {}", stderr.trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(Some(names.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_lists_every_package_by_name() {
        let names = tree(&["--package", "lifecycle", "--edges", "normal"])
            .unwrap()
            .unwrap();
        assert_eq!(names[0], "lifecycle");
        assert!(names.iter().any(|name| name == "serde_derive"));
    }

    #[test]
    fn what_is_in_the_tree_is_found_and_what_is_not_is_missing() {
        let invert = |name| tree(&["--workspace", "--edges", "all", "--invert", name]).unwrap();
        assert!(invert("ring").is_some_and(|users| users.len() > 1));
        assert_eq!(invert("no-such-package"), None);
    }
}
