//! Judges workflow definitions (see `deploy/mender`).
//!
//! Of several definitions with one name the one with the highest version is used, and an upgrade
//! of Mender, or somebody else's override, silently replaces one without our task.

use serde_json::Value;

use super::finding::Finding;

const CHECK: &str = "workflow definitions";

/// A definition that must tell us: its name, the version that `deploy/mender` has of it (the older
/// where there are two), and what does not reach us without it.
const NEEDED: [(&str, u64, &str); 3] = [
    (
        "update_device_status",
        1008,
        "no change of a device's status",
    ),
    ("provision_device", 1011, "no newly accepted device"),
    ("decommission_device", 1011, "no decommission"),
];

/// What is wrong with `definitions`. `whose` has them; events are to arrive in `stream` on subjects
/// that `filter` takes.
pub(super) fn judge(
    whose: &str,
    definitions: &[Value],
    stream: &str,
    filter: &str,
) -> Vec<Finding> {
    let found = NEEDED.map(|(name, ours, without)| {
        let file = format!("zz-{name}.json");
        let used = definitions.iter().filter(|it| it["name"] == name);
        // The last of those with the highest version.
        let Some(used) = used.max_by_key(|it| version(it)) else {
            return Some(
                Finding::problem(CHECK, format!("{whose} has no definition {name}: {without} reaches us"))
                    .with_advice(format!("mount {file} as deploy/mender/README.md says, and restart workflows server and worker")),
            );
        };
        let version = version(used);
        let subjects = subjects(used, stream);
        if subjects.is_empty() {
            return Some(
                Finding::problem(CHECK, format!("{whose}: version {version} of {name} publishes nothing to NATS: {without} reaches us"))
                    .with_advice(format!("mount {file} under a version above {version}, and restart workflows server and worker")),
            );
        }
        if !subjects.iter().any(|subject| matches(filter, subject)) {
            let subject = &subjects[0];
            return Some(
                Finding::problem(CHECK, format!("{whose}: {name} publishes on {subject}, which `source.filter` {filter} does not take"))
                    .with_advice("make the two agree"),
            );
        }
        (version < ours).then(|| {
            Finding::advice(CHECK, format!("{whose}: version {version} of {name} is used, and {file} has {ours} or later"))
                .with_advice("compare the two (see deploy/mender/README.md), and mount the newer one")
        })
    });
    let found: Vec<_> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return vec![Finding::ok(CHECK, format!("{whose}: all three tell NATS"))];
    }
    found
}

fn version(definition: &Value) -> u64 {
    definition["version"].as_u64().unwrap_or(0)
}

/// The subjects that its tasks publish on.
fn subjects(definition: &Value, stream: &str) -> Vec<String> {
    let tasks = definition["tasks"].as_array().into_iter().flatten();
    let nats = tasks.filter(|task| task["type"] == "nats");
    nats.filter_map(|task| task["nats"]["subject"].as_str())
        .map(|subject| format!("{stream}.{subject}"))
        .collect()
}

/// Whether a filter takes a subject.
fn matches(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(a), Some(b)) if a == "*" || a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::super::finding::Severity::{self, Advice, Ok, Problem};
    use super::*;

    /// Those of `deploy/mender`.
    fn ours() -> Vec<Value> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/mender");
        let read = |(name, ..): &(&str, u64, &str)| {
            let text = fs::read(dir.join(format!("zz-{name}.json"))).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        NEEDED.iter().map(read).collect()
    }

    #[track_caller]
    fn check(definitions: &[Value], severity: Severity, text: &str) {
        let found = judge("Mender", definitions, "WORKFLOWS", "WORKFLOWS.lifecycle.>");
        assert_eq!((found.len(), found[0].severity), (1, severity), "{found:?}");
        assert!(found[0].what.contains(text), "{found:?}");
    }

    #[test]
    fn ours_pass() {
        check(&ours(), Ok, "all three");
        let mut reversed = ours();
        reversed.reverse();
        check(&reversed, Ok, "all three");
    }

    #[test]
    fn each_fault_is_found() {
        check(&ours()[..2], Problem, "no definition decommission_device");
        let mut built_in = ours();
        built_in[0] =
            json!({"name": "update_device_status", "version": 7, "tasks": [{"type": "http"}]});
        check(
            &built_in,
            Problem,
            "version 7 of update_device_status publishes nothing",
        );
        let mut overridden = ours();
        overridden.push(json!({"name": "provision_device", "version": 2_000, "tasks": []}));
        check(&overridden, Problem, "version 2000 of provision_device");
        let mut elsewhere = ours();
        elsewhere[2]["tasks"][0]["nats"]["subject"] = json!("other.subject");
        check(&elsewhere, Problem, "WORKFLOWS.other.subject");
        let mut old = ours();
        old[0]["version"] = json!(1_000);
        check(&old, Advice, "version 1000");
    }

    #[test]
    fn definitions_that_are_no_such_thing_are_missing() {
        let found = judge("Mender", &[json!(7), json!({"name": 3})], "W", "W.>");
        assert_eq!(found.len(), 3);
    }
}
