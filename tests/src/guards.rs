//! Rules about the project itself that no compiler checks.
//!
//! Each is a function, so that `cargo xtask test` can run them before anything is compiled and the
//! black-box tests can hold them too.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

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

/// Which of our crates may use which others of ours; `*` is all of them. Tests may use more.
const ARROWS: [(&str, &[&str]); 21] = [
    ("black-box", &[]),
    ("bridge", &["*"]),
    (
        "fuzz-targets",
        &[
            "iothub",
            "iothub-emulator",
            "lifecycle",
            "messages",
            "sealing",
            "twin",
        ],
    ),
    ("http-api", &["lifecycle", "messages"]),
    ("iot-manager-db", &["lifecycle"]),
    ("iothub", &["outbound"]),
    ("iothub-emulator", &[]),
    ("jetstream", &["lifecycle", "messages", "reconciler"]),
    ("lifecycle", &[]),
    ("mender", &[]),
    ("mender-simulator", &["messages"]),
    ("messages", &["lifecycle"]),
    ("mongo", &["lifecycle", "reconciler"]),
    ("outbound", &[]),
    ("protocol-model", &["lifecycle"]),
    ("reconciler", &["lifecycle"]),
    ("sealing", &[]),
    ("simulation", &["lifecycle", "reconciler"]),
    ("twin", &["messages"]),
    ("webhook", &["outbound"]),
    ("xtask", &["*"]),
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

/// Our crates use each other only in the directions of the layout.
pub fn crates_follow_the_arrows() -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let output = cargo.output().context("failed to run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let wrong: Vec<String> = metadata.packages.iter().flat_map(wrong_arrows).collect();
    if !wrong.is_empty() {
        bail!("{}: see the table in tests/src/guards.rs", wrong.join("; "));
    }
    Ok(())
}

/// The part of `cargo metadata` that tells who uses whom.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for a normal one.
    kind: Option<String>,
    /// Only our own have one.
    path: Option<String>,
}

fn wrong_arrows(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{} is not part of the layout", package.name)];
    };
    let ours = package
        .dependencies
        .iter()
        .filter(|other| other.path.is_some());
    let shipped = ours.filter(|other| other.kind.as_deref() != Some("dev"));
    let wrong =
        shipped.filter(|other| !allowed.contains(&"*") && !allowed.contains(&other.name.as_str()));
    wrong
        .map(|other| format!("{} must not use {}", package.name, other.name))
        .collect()
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
    fn a_crate_that_reaches_against_an_arrow_is_named() {
        let package: Package = serde_json::from_value(serde_json::json!({
            "name": "reconciler",
            "dependencies": [
                {"name": "lifecycle", "kind": null, "path": "crates/lifecycle"},
                {"name": "jetstream", "kind": null, "path": "crates/jetstream"},
                {"name": "iothub", "kind": "dev", "path": "crates/iothub"},
                {"name": "tokio", "kind": null},
            ],
        }))
        .unwrap();
        assert_eq!(
            wrong_arrows(&package),
            ["reconciler must not use jetstream"]
        );
    }

    #[test]
    fn what_is_in_the_tree_is_found_and_what_is_not_is_missing() {
        let invert = |name| tree(&["--workspace", "--edges", "all", "--invert", name]).unwrap();
        assert!(invert("ring").is_some_and(|users| users.len() > 1));
        assert_eq!(invert("no-such-package"), None);
    }
}
