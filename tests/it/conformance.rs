//! What a scenario has to show, whoever goes through it.
//!
//! `data/scenarios.json` names the steps, so that two SDKs and our client do the same and nobody
//! leaves one out unseen. `data/operations.json` says which test covers which operation of the
//! service; the emulator's journal is the witness: what a test is said to cover must have been asked
//! for in it, and answered well.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, Result, ensure};
use black_box::emulator::JournalEntry;
use serde::Deserialize;

/// Who goes through a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Our own client.
    Client,
    /// Azure's SDK for Python.
    Python,
    /// Azure's SDK for Node.
    Node,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Python => "python",
            Self::Node => "node",
        })
    }
}

/// How a step went.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) step: String,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// A step of the list, and who leaves it out for which reason.
#[derive(Deserialize)]
struct Listed {
    step: String,
    client: Option<String>,
    python: Option<String>,
    node: Option<String>,
}

impl Listed {
    fn is_for(&self, who: Who) -> bool {
        match who {
            Who::Client => &self.client,
            Who::Python => &self.python,
            Who::Node => &self.node,
        }
        .is_none()
    }
}

/// An operation of the service, and for each column the test that covers it, or `not: <reason>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path, with names in braces.
    pub(crate) path: String,
    /// What the service's description calls it.
    #[serde(rename = "operation")]
    pub(crate) name: String,
    /// Our client.
    pub(crate) client: String,
    /// The emulator.
    pub(crate) emulator: String,
    /// Azure's SDK for Python.
    pub(crate) python: String,
    /// Azure's SDK for Node.
    pub(crate) node: String,
}

impl Operation {
    /// What is said of somebody.
    pub(crate) fn of(&self, who: Who) -> &str {
        match who {
            Who::Client => &self.client,
            Who::Python => &self.python,
            Who::Node => &self.node,
        }
    }

    fn answered(&self, entry: &JournalEntry) -> bool {
        let fits = |(name, found): (&str, &str)| name.starts_with('{') || name == found;
        let (ours, theirs) = (self.path.split('/'), entry.path.split('/'));
        self.method == entry.method
            && ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(fits)
            && entry
                .status
                .is_some_and(|status| (200..300).contains(&status))
    }
}

/// All operations of the service.
pub(crate) fn operations() -> Result<Vec<Operation>> {
    serde_json::from_str(include_str!("../data/operations.json")).context("operations.json")
}

/// Holds what somebody did in a scenario against the lists.
pub(crate) fn judge(
    who: Who,
    test: &str,
    scenario: &str,
    outcomes: &[Outcome],
    journal: &[JournalEntry],
) -> Result<()> {
    let scenarios: BTreeMap<String, Vec<Listed>> =
        serde_json::from_str(include_str!("../data/scenarios.json")).context("scenarios.json")?;
    let listed = scenarios.get(scenario).context("no such scenario")?;
    let wanted: Vec<&str> = listed
        .iter()
        .filter(|it| it.is_for(who))
        .map(|it| it.step.as_str())
        .collect();
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|it| Some(format!("{}: {}", it.step, it.error.as_ref()?)))
        .collect();
    ensure!(
        failed.is_empty(),
        "{who}, {scenario}:\n{}",
        failed.join("\n")
    );
    let done: Vec<&str> = outcomes.iter().map(|it| it.step.as_str()).collect();
    ensure!(
        done == wanted,
        "{who}, {scenario}: went {done:?}, not {wanted:?}"
    );
    covers(who, test, journal)
}

fn covers(who: Who, test: &str, journal: &[JournalEntry]) -> Result<()> {
    let mut wrong = Vec::new();
    for operation in operations()? {
        let seen = journal.iter().any(|entry| operation.answered(entry));
        let said = operation.of(who);
        if said == test && !seen {
            wrong.push(format!("{} is not covered by {test}", operation.name));
        }
        if seen && said.starts_with("not:") {
            wrong.push(format!(
                "{} is covered by {test}, but listed as \"{said}\"",
                operation.name
            ));
        }
        if said == test && operation.emulator.starts_with("not:") {
            wrong.push(format!("{} is served by the emulator", operation.name));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}: see data/operations.json",
        wrong.join("; ")
    );
    Ok(())
}
