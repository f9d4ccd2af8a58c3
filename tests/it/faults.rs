//! The table of faults in `tests/README.md`: every one of them, and each with tests that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use black_box::workspace;

const TABLE: &str = "tests/README.md";
const HEAD: &str = "| fault | what happens | it ends in | tests |";
const ALL: usize = 44;
/// A cell that begins so says why no test is possible or needed.
const NOT: &str = "not applicable: ";

struct Row {
    fault: String,
    cells: Vec<String>,
}

/// The rows below [`HEAD`], cut into cells.
fn rows() -> Result<Vec<Row>> {
    let text = fs::read_to_string(workspace::root().join(TABLE))?;
    let (_, rest) = text.split_once(HEAD).context("no table of faults")?;
    let lines = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line
            .trim_matches('|')
            .split(" | ")
            .map(|it| it.trim().to_owned());
        let fault = cells.next().unwrap_or_default();
        let cells = cells.collect();
        Row { fault, cells }
    };
    Ok(lines.map(row).collect())
}

/// The names in backquotes.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The names of all functions of all Rust files of ours.
fn functions() -> Result<BTreeSet<String>> {
    let mut functions = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["crates", "tests"]
        .iter()
        .map(|it| workspace::root().join(it))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                functions.extend(tests_in(&path)?);
            }
        }
    }
    Ok(functions)
}

/// Functions right below a `#[test]` or a `#[tokio::test]`, or named in the conformance suite, whose
/// tests a macro makes.
fn tests_in(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let suite = path.components().any(|it| it.as_os_str() == "conformance");
    let mut marked = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let name = line
            .split_once("fn ")
            .filter(|(before, _)| {
                before
                    .split(' ')
                    .all(|it| ["", "pub", "async"].contains(&it))
            })
            .and_then(|(_, rest)| rest.split(['(', '<']).next());
        match name {
            Some(name) if marked || suite => found.push(name.to_owned()),
            _ => {}
        }
        let attribute = line.starts_with("#[");
        let begins = line == "#[test]" || line.starts_with("#[tokio::test");
        marked = begins || (marked && attribute);
    }
    Ok(found)
}

#[test]
fn every_fault_is_in_the_table_once_and_in_order() -> Result<()> {
    let found: Vec<String> = rows()?.into_iter().map(|row| row.fault).collect();
    let wanted: Vec<String> = (1..=ALL).map(|number| format!("F{number}")).collect();
    assert_eq!(found, wanted);
    Ok(())
}

#[test]
fn every_fault_names_tests_that_exist_or_a_reason() -> Result<()> {
    let functions = functions()?;
    for row in rows()? {
        let fault = &row.fault;
        ensure!(row.cells.len() == 3, "{fault}: {} cells", row.cells.len());
        let tests = &row.cells[2];
        let names = names(tests);
        let reason = tests.strip_prefix(NOT).is_some_and(|it| it.len() > 20);
        ensure!(
            reason || !names.is_empty(),
            "{fault}: no test and no reason"
        );
        for name in names {
            ensure!(functions.contains(name), "{fault}: there is no test {name}");
        }
    }
    Ok(())
}
