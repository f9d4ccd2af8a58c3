//! Every operation of the service is covered by a test, or listed with the reason why not.
//!
//! The list is `data/operations.json`; that its claims are true is checked where the tests run
//! ([`crate::conformance`]). Here it is held against the service's description and
//! the sources, and the table for readers in `sdk/README.md` against it.

use std::{env, fmt::Write as _, fs};

use anyhow::{Context as _, Result, ensure};
use black_box::workspace;

use crate::{
    conformance::{Operation, operations},
    openapi,
};

/// Set to write the table instead of checking it.
const WRITE: &str = "WRITE_TABLE";
const TABLE: &str = "tests/sdk/README.md";
const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

fn cells(operation: &Operation) -> [&str; 4] {
    let Operation {
        client,
        emulator,
        python,
        node,
        ..
    } = operation;
    [client, emulator, python, node]
}

fn reason(cell: &str) -> Option<&str> {
    cell.strip_prefix("not: ")
}

#[test]
fn every_operation_of_the_description_is_listed_once() -> Result<()> {
    let mut described = openapi::operations()?;
    let listed = operations()?.into_iter();
    let mut listed: Vec<_> = listed.map(|it| (it.method, it.path, it.name)).collect();
    described.sort_unstable();
    listed.sort_unstable();
    ensure!(
        described == listed,
        "described {described:?}, listed {listed:?}"
    );
    Ok(())
}

#[test]
fn every_cell_names_a_test_that_exists_or_a_reason() -> Result<()> {
    for operation in operations()? {
        for cell in cells(&operation) {
            let of = &operation.name;
            if let Some(reason) = reason(cell) {
                ensure!(reason.len() > 10, "{of}: {reason:?} is no reason");
                continue;
            }
            let (file, test) = cell
                .split_once("::")
                .with_context(|| format!("{of}: {cell:?}"))?;
            let path = workspace::root().join(format!("tests/it/{file}.rs"));
            let source = fs::read_to_string(path).with_context(|| format!("{of}: {cell}"))?;
            ensure!(
                source.contains(&format!("async fn {test}()")),
                "{of}: no test {cell}"
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_tried_against_the_emulator_is_served_by_it() -> Result<()> {
    for operation in operations()? {
        let tried = cells(&operation).iter().any(|cell| reason(cell).is_none());
        let served = reason(&operation.emulator).is_none();
        ensure!(tried == served, "{}", operation.name);
    }
    Ok(())
}

#[test]
fn the_table_says_what_the_list_says() -> Result<()> {
    let path = workspace::root().join(TABLE);
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("no table")?;
    let (_, after) = rest.split_once(END).context("a table without end")?;
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table(&operations()?)?);
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &wanted)?;
        return Ok(());
    }
    ensure!(
        wanted == text,
        "{TABLE} is older than the list: `{WRITE}=1 cargo test -p black-box --test it the_table` writes it anew"
    );
    Ok(())
}

/// The list as a table, its reasons below it, each once.
fn table(operations: &[Operation]) -> Result<String> {
    let mut reasons: Vec<&str> = Vec::new();
    let mut table =
        "| operation | request | client | emulator | Python SDK | Node SDK |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for it in operations {
        write!(table, "| `{}` | `{} {}` |", it.name, it.method, it.path)?;
        for cell in cells(it) {
            let Some(reason) = reason(cell) else {
                table.push_str(" yes |");
                continue;
            };
            let known = reasons.iter().position(|known| *known == reason);
            let number = known.unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            write!(table, " no ({}) |", number + 1)?;
        }
        table.push('\n');
    }
    table.push('\n');
    for (position, reason) in reasons.iter().enumerate() {
        writeln!(table, "{}. {reason}", position + 1)?;
    }
    Ok(table)
}
