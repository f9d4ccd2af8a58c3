//! `compose.yaml`: what it refers to is there, the programs take its command lines, and its demo works.

mod demo;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use black_box::binaries::Binary;
use serde_json::Value;
use tokio::process::Command;

use super::{deploy, members, read, texts, yaml};

fn compose() -> Result<Value> {
    let mut documents = yaml(&read("compose.yaml")?)?;
    documents.pop().context("compose.yaml is empty")
}

/// Names in a list, or keys of an object: how compose lets networks and dependencies be written.
fn names(value: &Value) -> Vec<String> {
    let keys = members(value).map(|(name, _)| name.clone());
    keys.chain(texts(value).into_iter().map(str::to_owned))
        .collect()
}

/// The program of a service that runs one of our images, and its arguments.
fn command(service: &Value) -> Option<(Binary, Vec<&str>)> {
    let image = service["image"].as_str()?;
    let entry = texts(&service["entrypoint"]);
    let program = match (image, entry.first()) {
        ("mender-iothub", None) | ("mender-iothub-demo", Some(&"mender-iothub")) => {
            Binary::MenderIothub
        }
        ("mender-iothub-demo", Some(&"iothub-emulator")) => Binary::IothubEmulator,
        ("mender-iothub-demo", Some(&"mender-simulator")) => Binary::MenderSimulator,
        _ => return None,
    };
    Some((program, texts(&service["command"])))
}

#[test]
fn every_reference_in_it_leads_somewhere() -> Result<()> {
    let compose = compose()?;
    for (name, service) in members(&compose["services"]) {
        for (kind, used) in [
            ("services", names(&service["depends_on"])),
            ("networks", names(&service["networks"])),
            ("secrets", names(&service["secrets"])),
        ] {
            for used in used {
                let there = compose[kind].get(&used).is_some();
                assert!(there, "{name}: there is no {used} in {kind}");
            }
        }
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap_or_default();
            let there = match source.strip_prefix("./") {
                Some(path) => deploy(path).exists(),
                None => compose["volumes"].get(source).is_some(),
            };
            assert!(there, "{name}: {source}");
        }
        let file = service["build"]["dockerfile"].as_str();
        let file = file
            .map(|file| read(file.trim_start_matches("deploy/")))
            .transpose()?;
        if let (Some(file), Some(target)) = (file, service["build"]["target"].as_str()) {
            assert!(
                file.contains(&format!(" AS {target}\n")),
                "{name}: {target}"
            );
        }
        assert!(service["image"].is_string(), "{name}");
    }
    Ok(())
}

/// With `--profile demo up demo` only the demo and what it depends on is started.
#[test]
fn the_demo_needs_nothing_of_mender_and_nothing_that_must_be_prepared() -> Result<()> {
    let compose = compose()?;
    let (mut seen, mut open) = (BTreeSet::new(), vec!["demo".to_owned()]);
    while let Some(name) = open.pop() {
        let service = &compose["services"][&name];
        assert_eq!(texts(&service["profiles"]), ["demo"], "{name}");
        assert_eq!(names(&service["networks"]), ["demo"], "{name}");
        assert!(service["secrets"].is_null(), "{name}");
        let mounts = texts(&service["volumes"]);
        assert!(
            mounts.iter().all(|it| !it.starts_with('.')),
            "{name}: {mounts:?}"
        );
        let more = names(&service["depends_on"]);
        open.extend(more.into_iter().filter(|more| !seen.contains(more)));
        seen.insert(name);
    }
    let all = members(&compose["services"]).filter(|(_, it)| !it["profiles"].is_null());
    assert_eq!(seen, all.map(|(name, _)| name.clone()).collect());
    Ok(())
}

#[test]
fn containers_have_no_rights_and_nothing_to_write_to() -> Result<()> {
    for (name, service) in members(&compose()?["services"]) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(
            texts(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
        if command(service).is_some() {
            assert_eq!(service["user"], "10001:10001", "{name}");
        }
        for port in texts(&service["ports"]) {
            assert!(
                port.starts_with("127.0.0.1:"),
                "{name}: {port} is open to others"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_programs_take_their_command_lines() -> Result<()> {
    let compose = compose()?;
    let mut tried = 0;
    for (name, service) in members(&compose["services"]) {
        let Some((program, arguments)) = command(service) else {
            assert!(
                service["image"]
                    .as_str()
                    .is_some_and(|it| it.contains("/nats:")),
                "{name}"
            );
            continue;
        };
        // What is unknown is refused before help is given.
        let mut command = Command::new(program.path().await?);
        let output = command.args(arguments).arg("--help").output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {said}");
        tried += 1;
    }
    assert!(tried >= 7, "{tried}");
    Ok(())
}
