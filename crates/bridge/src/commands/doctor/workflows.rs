//! Which workflow definitions Mender uses.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::definitions::judge;
use super::finding::Finding;
use super::{Findings, Scene};
use crate::adapters;

const CHECK: &str = "workflow definitions";
/// A definition takes some kilobytes.
const LARGEST: u64 = 1024 * 1024;
/// More files than this are no folder of definitions.
const MOST_FILES: usize = 1_000;

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let config = scene.config;
    if !config.source.enabled {
        return Ok(vec![Finding::ok(
            CHECK,
            "not needed: events do not come from Mender's stream",
        )]);
    }
    let source = &config.source;
    let mut found = Vec::new();
    if let Some(url) = &scene.args.workflows_url {
        let used = adapters::definitions(config, url).await?;
        found.extend(judge("Mender", &used, &source.stream, &source.filter));
    }
    if let Some(dir) = &scene.args.definitions {
        let mounted = read(dir)?;
        let whose = dir.display().to_string();
        found.extend(judge(&whose, &mounted, &source.stream, &source.filter));
    }
    if found.is_empty() {
        found.push(
            Finding::not_checked(CHECK, "whether Mender publishes its events to NATS").with_advice(
                "pass --workflows-url (from within Mender's network), or --definitions with the folder that is mounted",
            ),
        );
    }
    Ok(found)
}

/// All definitions of a folder, in the order of their names: of two with the same version Mender
/// takes the later.
fn read(dir: &Path) -> anyhow::Result<Vec<Value>> {
    let what = || format!("--definitions {}", dir.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(what)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
        ensure!(paths.len() < MOST_FILES, "{}: too many files", what());
    }
    ensure!(
        !paths.is_empty(),
        "{}: no file that ends in .json is there",
        what()
    );
    paths.sort();
    let parse = |path: &std::path::PathBuf| {
        let name = || path.display().to_string();
        ensure!(
            fs::metadata(path)?.len() <= LARGEST,
            "{}: too large",
            name()
        );
        let text = fs::read(path).with_context(name)?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{}: not JSON, so Mender ignores it", name()))
    };
    paths.iter().map(parse).collect()
}
