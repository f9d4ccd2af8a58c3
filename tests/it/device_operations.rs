//! What devices do, and which test shows that Azure's device SDKs do it with the emulator.
//!
//! The list is `data/device_operations.json`; the emulator's journal is the witness, as for the
//! operations of the service.

use std::{env, fmt::Write as _, fs};

use anyhow::{Context as _, Result, ensure};
use black_box::{emulator::JournalEntry, workspace};
use serde::Deserialize;

use crate::conformance::Who;

const TABLE: &str = "tests/sdk/README.md";
const BEGIN: &str = "<!-- devices: begin -->\n";
const END: &str = "<!-- devices: end -->\n";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    /// What it is, for people.
    what: String,
    /// Where it stands in MQTT.
    packet: String,
    /// The journal's name for it.
    operation: String,
    /// How it ends.
    status: u16,
    /// What the journal adds, if that matters.
    query: Option<String>,
    python: String,
    node: String,
}

fn deeds() -> Result<Vec<Deed>> {
    let list = include_str!("../data/device_operations.json");
    serde_json::from_str(list).context("device_operations.json")
}

/// Holds the journal of a test against what it is said to show.
pub(crate) fn covers(who: Who, test: &str, journal: &[JournalEntry]) -> Result<()> {
    for it in deeds()? {
        let said = if who == Who::Python {
            &it.python
        } else {
            &it.node
        };
        let shows = |entry: &JournalEntry| {
            entry.operation == it.operation
                && entry.status == Some(it.status)
                && it.query.as_ref().is_none_or(|query| entry.query == *query)
        };
        let (said, seen) = (said == test, journal.iter().any(shows));
        ensure!(
            said == seen,
            "{}: {test} shows it: {seen}; listed so: {said}",
            it.what
        );
    }
    Ok(())
}

#[test]
fn every_test_of_the_list_exists() -> Result<()> {
    let source = fs::read_to_string(workspace::root().join("tests/it/devices.rs"))?;
    for it in deeds()? {
        for test in [&it.python, &it.node] {
            let name = test
                .strip_prefix("devices::")
                .context("a test of devices")?;
            ensure!(
                source.contains(&format!("async fn {name}()")),
                "no test {test}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_table_of_devices_says_what_the_list_says() -> Result<()> {
    let path = workspace::root().join(TABLE);
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("no table")?;
    let (_, after) = rest.split_once(END).context("a table without end")?;
    let mut table = "| what a device does | how | journal | emulator | Python SDK | Node SDK |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for it in deeds()? {
        let Deed {
            what,
            packet,
            operation,
            status,
            ..
        } = it;
        writeln!(
            table,
            "| {what} | {packet} | `{operation}` {status} | yes | yes | yes |"
        )?;
    }
    let wanted = format!("{before}{BEGIN}{table}{END}{after}");
    if env::var_os("WRITE_TABLE").is_some() {
        fs::write(&path, &wanted)?;
        return Ok(());
    }
    ensure!(
        wanted == text,
        "{TABLE} is older than the list: `WRITE_TABLE=1 cargo test -p black-box --test it the_table` writes it anew"
    );
    Ok(())
}
