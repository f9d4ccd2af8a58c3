//! Metrics, dashboard, alerts and runbook hold together: what one of them names, the worker shows.

mod page;
mod prometheus;

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use black_box::{Installation, until, workspace};
use reqwest::StatusCode;
use serde_json::json;

use crate::stage::{Parts, SOON, Stage, config};
use crate::twins::BackEnd;

const ALERTS: &str = "deploy/prometheus/alerts.yaml";

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace::root().join(path)).with_context(|| path.to_owned())
}

/// What stands behind `key: ` in a YAML file that has each value on its own line, or on the one below.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let found = lines.iter().enumerate().filter_map(|(at, line)| {
        let line = line.trim_start_matches("- ");
        let value = line.strip_prefix(key)?.strip_prefix(':')?.trim();
        Some(if value == ">-" {
            lines.get(at + 1)?.to_string()
        } else {
            value.to_owned()
        })
    });
    found.collect()
}

#[test]
fn each_alert_has_its_paragraph_in_the_runbook() -> Result<()> {
    let alerts = read(ALERTS)?;
    let names = values(&alerts, "alert");
    let links = values(&alerts, "runbook_url");
    assert!(
        names.len() > 10 && names.len() == links.len(),
        "{names:?} {links:?}"
    );
    let mut paragraphs = BTreeSet::new();
    for (name, link) in names.iter().zip(&links) {
        let (page, anchor) = link.split_once('#').context("no anchor")?;
        assert_eq!(anchor, name.to_lowercase(), "{link}");
        let text = read(page)?;
        let heading = format!("\n## {name}\n");
        let (_, paragraph) = text
            .split_once(&heading)
            .with_context(|| format!("{page} has no {name}"))?;
        let paragraph = paragraph.split("\n## ").next().unwrap_or_default();
        assert!(
            paragraph.len() > 200,
            "{name}: what is to be done? {paragraph}"
        );
        paragraphs.insert(name.clone());
        if paragraphs.len() == names.len() {
            assert_eq!(
                text.matches("\n## ").count(),
                names.len(),
                "a paragraph without an alert"
            );
        }
    }
    Ok(())
}

/// A fleet with some of every trouble that has series of its own.
async fn play() -> Result<Stage> {
    let (parts, _) = Parts::start("monitoring").await?;
    let usual = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    let apis =
        "[iot_manager]\ninternal_listen = \"127.0.0.1:0\"\nmanagement_listen = \"127.0.0.1:0\"\n";
    let installation = Installation::new(parts.dir.path(), &format!("{usual}\n{apis}")).await?;
    let set = ["integration", "set", "--tier", "s1", "--units", "20"];
    for arguments in [&["setup"][..], &set, &["sweep"]] {
        let done = installation
            .cli_with_input(arguments, parts.hub.connection_string())
            .await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    let stage = parts.with(installation.start().await?);
    let trouble = json!({"rules": [
        {"name": "busy", "operation": "create", "device": "busy", "times": 1, "status": 429},
        {"name": "down", "operation": "create", "device": "down", "times": 1, "status": 503},
        {"name": "full", "operation": "create", "path": "/devices/full*", "status": 403, "error": "IotHubQuotaExceeded"},
        {"name": "twin", "path": "/twins/ok", "skip": 2, "times": 20, "status": 503},
    ]});
    stage.hub.faults(&trouble).await?;
    for device in ["ok", "busy", "down"] {
        stage
            .publish(
                &format!("=.{device}"),
                r#"{"status":"accepted","revision":1}"#,
            )
            .await?;
    }
    stage.publish("=.broken", "{").await?;
    stage.hub_shows("ok", Some("enabled")).await?;
    stage.outcomes(4).await?;
    let back_end = BackEnd::of(&stage).await?;
    let code = async |tail: &str| -> Result<u16> {
        Ok(back_end
            .ask(tail, "")
            .await?
            .map_or_else(|(code, _)| code, |_| 200))
    };
    until(SOON, "a twin request that fails", async || {
        Ok((code("get.=.ok").await? >= 500).then_some(()))
    })
    .await?;
    ensure!(code("get.=.nobody").await? == 404);
    let internal = stage.worker.internal()?;
    internal.text("/api/internal/v1/iot-manager/alive").await?;
    for nowhere in ["/", "/api/internal/v1/iot-manager/0123456789", "/metrics"] {
        ensure!(internal.ask(nowhere).await?.0 == StatusCode::NOT_FOUND);
    }
    Ok(stage)
}
