//! The threat model names tests, and they exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use black_box::workspace;

/// Names of all functions in the Rust files below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            functions(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let names = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
    Ok(())
}

/// The tests in the last column of a table whose heading ends with "proved by".
fn named(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| ---") && !line.ends_with("| proved by |"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let tests = cells.last()?.split('`').skip(1).step_by(2);
        Some((row.to_owned(), tests.map(str::to_owned).collect()))
    })
    .collect()
}

#[test]
fn each_threat_names_a_test_that_exists() -> Result<()> {
    let root = workspace::root();
    let mut functions_there = BTreeSet::new();
    for folder in ["crates", "tests"] {
        functions(&root.join(folder), &mut functions_there)?;
    }
    let text = fs::read_to_string(root.join("deploy/threats.md")).context("deploy/threats.md")?;
    let rows = named(&text);
    assert!(rows.len() > 20, "{}", rows.len());
    for (row, tests) in rows {
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(
                functions_there.contains(&test),
                "no test is called {test}: {row}"
            );
        }
    }
    Ok(())
}
