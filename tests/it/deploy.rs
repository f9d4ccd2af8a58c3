//! What `deploy/` holds is taken by the programs that it is for, and does what its pages say.

mod chart;
mod compose;
mod dead_letters;
mod image;
mod nats;
mod releases;
mod systemd;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use black_box::workspace;
use serde_json::Value;

/// A file or folder of `deploy/`.
fn deploy(path: &str) -> PathBuf {
    workspace::root().join("deploy").join(path)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(deploy(path)).with_context(|| format!("deploy/{path}"))
}

/// The documents of a YAML text, those that are empty left out.
fn yaml(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let some = documents.into_iter().filter(|document| !document.is_null());
    Ok(some.collect())
}

/// The texts of a list; none if there is no list.
fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// The members of an object; none if there is no object.
fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
