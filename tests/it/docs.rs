//! What the documents and `deploy/` say is what the binary does.
//!
//! A key that is documented under another name, or a command that lost an option, costs every
//! reader an hour and nobody sees it in a review. So the documents are read here as they are.

mod links;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use black_box::{Installation, NatsServer, TestDir, workspace};
use serde_json::{Value, json};

const EXAMPLE: &str = "deploy/mender-iothub.toml";
const DOCUMENTS: [&str; 16] = [
    "README.md",
    "crates/README.md",
    "deploy/README.md",
    "deploy/configuration.md",
    "deploy/helm/mender-iothub/README.md",
    "deploy/upgrade.md",
    "deploy/prometheus/README.md",
    "deploy/runbook/README.md",
    "deploy/runbook/alerts.md",
    "deploy/runbook/dead-letters.md",
    "deploy/runbook/restore.md",
    "deploy/mender/README.md",
    "deploy/replace-iot-manager.md",
    "deploy/sizing.md",
    "deploy/threats.md",
    "deploy/tutorial.md",
];

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = workspace::root().join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn is_of_a_key(c: char) -> bool {
    c.is_ascii_lowercase() || c == '_' || c == '.'
}

/// Keys of the example with their values, `None` where the line is commented out.
fn exemplified(text: &str) -> BTreeMap<String, Option<String>> {
    let mut section = "";
    let mut keys = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let (shown, off) = line
            .strip_prefix("# ")
            .map_or((line, false), |rest| (rest, true));
        if let Some((key, value)) = shown.split_once(" = ")
            && key.chars().all(is_of_a_key)
        {
            let value = (!off).then(|| value.trim_matches('"').to_owned());
            keys.insert(format!("{section}.{key}"), value);
        }
    }
    keys
}

/// The example with every key set, also those that are commented out.
fn with_every_key(text: &str) -> String {
    let keys = exemplified(text);
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let shown = line.strip_prefix("# ").unwrap_or(line);
        let key = shown.split(" = ").next().unwrap_or_default();
        let known = keys.contains_key(&format!("{section}.{key}"));
        lines.push(if known { shown } else { line });
    }
    lines.join("\n")
}

#[tokio::test]
async fn the_example_configuration_is_one_that_works() -> Result<()> {
    let dir = TestDir::new("example-config")?;
    let nats = NatsServer::start(dir.path()).await?;
    let installation = Installation::new(dir.path(), &read(EXAMPLE)?)
        .await?
        .variable("MENDER_IOTHUB__NATS__URL", nats.url());
    for arguments in [&["setup"][..], &["status"]] {
        let done = installation.cli(arguments).await?;
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn the_binary_knows_every_key_of_the_example() -> Result<()> {
    let dir = TestDir::new("example-keys")?;
    let every = with_every_key(&read(EXAMPLE)?);
    let done = Installation::new(dir.path(), &every).await?;
    let done = done.cli(&["status"]).await?;
    // It names several ways to log in, so it is refused; but not for a key.
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(!done.stderr.contains("unknown key"), "{}", done.stderr);
    let wrong = every.replace("prefix = ", "prefiks = ");
    let done = Installation::new(dir.path(), &wrong).await?;
    let done = done.cli(&["status"]).await?;
    assert!(done.stderr.contains("unknown key"), "{}", done.stderr);
    dir.passed();
    Ok(())
}

/// Every `mender-iothub ...` of the documents: its subcommands and its options.
fn commands() -> Result<BTreeSet<(Vec<String>, Vec<String>)>> {
    let mut commands = BTreeSet::new();
    for document in DOCUMENTS {
        for piece in read(document)?.split("mender-iothub ").skip(1) {
            let end = piece.find(['`', '\n', '|', '<']).unwrap_or(piece.len());
            let words: Vec<&str> = piece[..end].split_whitespace().collect();
            let is_command = |word: &&&str| {
                let dash = |c: char| c.is_ascii_lowercase() || c == '-';
                !word.starts_with('-') && word.chars().all(dash)
            };
            let path = words.iter().take_while(is_command).map(ToString::to_string);
            let options = words.iter().map(|word| word.trim_matches(['[', ']']));
            let options = options
                .filter(|word| word.starts_with("--"))
                .map(str::to_owned);
            commands.insert((path.collect(), options.collect()));
        }
    }
    Ok(commands)
}

#[tokio::test]
async fn every_command_in_the_documents_exists() -> Result<()> {
    let dir = TestDir::new("documented-commands")?;
    let installation = Installation::new(dir.path(), "").await?;
    let commands = commands()?;
    assert!(commands.len() > 8, "{commands:?}");
    for (path, options) in commands {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = installation.cli(&arguments).await?;
        assert_eq!(help.code, Some(0), "{path:?}: {}", help.stderr);
        let said = path.last().map_or("", String::as_str);
        assert!(help.stdout.contains(said), "{path:?}: {}", help.stdout);
        for option in options {
            assert!(help.stdout.contains(&option), "{path:?} has no {option}");
        }
    }
    dir.passed();
    Ok(())
}

/// The workflow definitions, by their path below `deploy/mender`.
fn definitions() -> Result<BTreeMap<String, Value>> {
    let root = workspace::root().join("deploy/mender");
    let mut found = BTreeMap::new();
    for dir in [root.clone(), root.join("v4")] {
        for entry in fs::read_dir(dir)? {
            let path: PathBuf = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let name = path.strip_prefix(&root)?.display().to_string();
                let text = fs::read(&path)?;
                let parsed = serde_json::from_slice(&text).with_context(|| name.clone())?;
                found.insert(name, parsed);
            }
        }
    }
    Ok(found)
}

/// The NATS task's data as the workflows worker would send it: a text that is exactly one
/// reference becomes the input itself.
fn expand(data: &Value, input: &Value) -> Value {
    match data {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), expand(value, input)))
            .collect(),
        Value::String(text) => text
            .strip_prefix("${workflow.input.")
            .and_then(|rest| rest.strip_suffix('}'))
            .map_or(data.clone(), |name| input[name].clone()),
        other => other.clone(),
    }
}

fn inputs() -> Value {
    let device = json!({"id": "d1", "status": "accepted", "revision": 3});
    json!({
        "request_id": "r-1", "tenant_id": "t1", "device_id": "d1", "status": "accepted",
        "device": device, "device_status": "accepted", "devices": [{"id": "d1", "revision": 3}],
    })
}

#[test]
fn each_workflow_definition_publishes_one_event_that_we_understand() -> Result<()> {
    let expected = [
        ("decommission_device", "decommission", "decommissioned"),
        ("provision_device", "provision", "accepted"),
        ("update_device_status", "status", "accepted"),
    ];
    let definitions = definitions()?;
    assert_eq!(definitions.len(), 4, "{:?}", definitions.keys());
    for (file, definition) in definitions {
        let name = definition["name"].as_str().context("name")?;
        assert!(file.ends_with(&format!("zz-{name}.json")), "{file}");
        assert!(definition["version"].as_u64() >= Some(1000), "{file}");
        let tasks = definition["tasks"].as_array().context("tasks")?;
        let nats: Vec<_> = tasks.iter().filter(|task| task["type"] == "nats").collect();
        assert_eq!(nats.len(), 1, "{file}");
        let wanted = expected.iter().find(|(workflow, ..)| *workflow == name);
        let (_, subject, status) = wanted.with_context(|| format!("{file}: {name}"))?;
        let subject = format!("lifecycle.device.{subject}");
        assert_eq!(nats[0]["nats"]["subject"], json!(subject), "{file}");

        let sent = expand(&nats[0]["nats"]["data"], &inputs());
        let read = messages::parse_mender(sent.to_string().as_bytes())?;
        assert_eq!(read.tenant.as_str(), "t1", "{file}");
        let [Ok(device)] = &read.devices[..] else {
            panic!("{file}: {read:?}");
        };
        let told = (device.device.as_str(), device.status.to_string());
        assert_eq!(told, ("d1", (*status).to_owned()), "{file}");
    }
    Ok(())
}

#[test]
fn workflow_definitions_use_only_the_inputs_they_declare() -> Result<()> {
    for (file, definition) in definitions()? {
        let declared = definition["inputParameters"].as_array().context("inputs")?;
        let text = definition.to_string();
        let used: Vec<&str> = text
            .split("workflow.input.")
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        assert!(!used.is_empty());
        for name in used {
            assert!(declared.contains(&json!(name)), "{file}: {name}");
        }
    }
    Ok(())
}

#[test]
fn the_newer_definition_wins_over_that_for_old_servers() -> Result<()> {
    let definitions = definitions()?;
    let version = |file: &str| definitions[file]["version"].as_u64();
    assert!(version("v4/zz-provision_device.json") < version("zz-provision_device.json"));
    let old = definitions["v4/zz-provision_device.json"].to_string();
    assert!(!old.contains("DEVICEAUTH"), "4.x has no provisioned mark");
    Ok(())
}
