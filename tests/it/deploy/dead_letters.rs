//! The runbook says what to do about each dead letter that the code can write.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use black_box::workspace;

use super::read;

/// Where messages are refused before they are events: each text of these files that is a reason.
const REFUSALS: [&str; 6] = [
    "crates/messages/src/event.rs",
    "crates/messages/src/mender.rs",
    "crates/messages/src/json.rs",
    "crates/messages/src/time.rs",
    "crates/jetstream/src/headers.rs",
    "crates/jetstream/src/opened.rs",
];
/// Errors whose words become part of a reason.
const ERRORS: [&str; 3] = [
    "crates/lifecycle/src/id.rs",
    "crates/lifecycle/src/token.rs",
    "crates/lifecycle/src/retry.rs",
];
const REPLAY: &str = "crates/jetstream/src/replay.rs";

/// The code of a file without its tests.
fn code(path: impl AsRef<Path>) -> Result<String> {
    let path = workspace::root().join(path);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    Ok(code.to_owned())
}

/// The first text literal after each place where one of `marks` stands.
fn literals(code: &str, marks: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mark in marks {
        for rest in code.split(mark).skip(1) {
            let inside = rest.trim_start().strip_prefix('"');
            found.extend(
                inside
                    .and_then(|it| it.split('"').next())
                    .map(str::to_owned),
            );
        }
    }
    found
}

fn reasons() -> Result<BTreeSet<String>> {
    let mut reasons = BTreeSet::new();
    for file in REFUSALS {
        reasons.extend(literals(
            &code(file)?,
            &["Malformed::because(", "in_field(name,"],
        ));
    }
    // One place decides between several texts.
    let json = code("crates/messages/src/json.rs")?;
    reasons.extend(literals(&json, &["=> "]));
    for file in ERRORS {
        reasons.extend(literals(&code(file)?, &["#[error("]));
    }
    reasons.extend(literals(&code(REPLAY)?, &["Malformed::because("]));
    reasons.extend(literals(
        &code("crates/jetstream/src/ingest.rs")?,
        &["let why = format!("],
    ));
    reasons.extend(literals(
        &code("crates/jetstream/src/advisories.rs")?,
        &["return format!(", "        format!("],
    ));
    let deconfigured = code("crates/bridge/src/adapters/mender.rs")?;
    reasons.extend(literals(&deconfigured, &["return Err(refused("]));
    Ok(reasons)
}

#[test]
fn every_reason_of_the_code_has_its_line_in_the_runbook() -> Result<()> {
    let page = read("runbook/dead-letters.md")?;
    let spans: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let reasons = reasons()?;
    assert!(reasons.len() > 30, "{reasons:?}");
    for reason in reasons {
        // What is filled in is called N there, or stands at the end.
        let shown = reason.split(": {").next().unwrap_or_default();
        let shown = shown.split('{').next().unwrap_or_default().trim_end();
        let told = spans.iter().any(|span| span.contains(shown));
        assert!(told, "runbook/dead-letters.md does not know {reason:?}");
    }
    Ok(())
}

#[test]
fn every_class_of_the_code_has_its_section_in_the_runbook_and_the_other_way_round() -> Result<()> {
    let ports = code("crates/reconciler/src/ports.rs")?;
    let (_, classes) = ports
        .split_once("pub enum DeadClass {")
        .context("DeadClass")?;
    let (classes, _) = classes.split_once('}').context("its end")?;
    let lines = classes.lines().map(str::trim);
    let classes = lines
        .filter(|line| line.ends_with(','))
        .map(|line| line.trim_end_matches(',').to_lowercase());
    let classes: BTreeSet<String> = classes.collect();
    let page = read("runbook/dead-letters.md")?;
    let sections = page.lines().filter_map(|line| line.strip_prefix("## "));
    let sections = sections
        .filter(|title| !title.contains(' '))
        .map(str::to_owned);
    assert_eq!(classes, sections.collect());
    assert!(classes.len() >= 5, "{classes:?}");
    Ok(())
}
