//! Azure's own SDKs take the emulator for a hub.
//!
//! The scripts in `sdk/` use the SDKs as their users do and tell how each step went. A machine that
//! cannot have an SDK skips its tests, and says so.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use black_box::{
    Process, dir, skips,
    tools::{AzureSdk, InstalledSdk},
};

use crate::{
    conformance::{Outcome, Who},
    scenario::Scene,
};

/// Each script makes some hundred requests and is done in a second or two.
const LIMIT: Duration = Duration::from_secs(60);

async fn run(sdk: AzureSdk, test: &str, scenario: &'static str) -> Result<()> {
    run_with(sdk, test, scenario, &[]).await
}

/// Goes through a scenario with an emulator that is told more than usual.
async fn run_with(
    sdk: AzureSdk,
    test: &str,
    scenario: &'static str,
    arguments: &[&str],
) -> Result<()> {
    let installed = match tokio::task::spawn_blocking(move || sdk.installed()).await? {
        Ok(installed) => installed,
        Err(reason) => {
            skips::skip(test, &format!("no {sdk:?} SDK: {reason:#}"));
            return Ok(());
        }
    };
    let scene = Scene::set(&format!("{sdk:?}"), scenario, arguments).await?;
    let (who, ending) = match sdk {
        AzureSdk::Python => (Who::Python, "py"),
        AzureSdk::Node => (Who::Node, "js"),
    };
    let script = sdk.scripts().join(format!("{scenario}.{ending}"));
    let outcomes = outcomes(&installed, &script, &scene).await?;
    scene.judge(who, test, &outcomes).await
}

/// Runs a script to its end.
async fn outcomes(sdk: &InstalledSdk, script: &Path, scene: &Scene) -> Result<Vec<Outcome>> {
    let (emulator, dir) = (&scene.emulator, scene.dir.path());
    let mut command = Command::new(&sdk.interpreter);
    command
        .arg(script)
        .env(sdk.path_variable, &sdk.packages)
        .env("HUB_CONNECTION_STRING", emulator.connection_string())
        .env("ENTRA_AUTHORITY", format!("https://{}", emulator.hub()))
        .env("BLOB_DIR", scene.blobs())
        .env("REQUESTS_CA_BUNDLE", emulator.ca_file())
        .env("NODE_EXTRA_CA_CERTS", emulator.ca_file())
        .env("NO_PROXY", "localhost")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut process = Process::start("script", command, dir)?;
    let status = process.exit(LIMIT).await?;
    ensure!(status.success(), "{status}: {}", dir::tail(process.log()));
    let text = std::fs::read_to_string(dir.join("script.out"))?;
    let outcome = |line| serde_json::from_str(line).with_context(|| format!("{line:?}"));
    text.lines().map(outcome).collect()
}

#[tokio::test]
async fn python_manages_identities() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_manages_identities",
        "identities",
    )
    .await
}

#[tokio::test]
async fn python_changes_many_at_once() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_changes_many_at_once", "bulk").await
}

#[tokio::test]
async fn python_manages_modules() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_manages_modules", "modules").await
}

#[tokio::test]
async fn python_edits_twins() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_edits_twins", "twins").await
}

#[tokio::test]
async fn python_queries() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_queries", "queries").await
}

#[tokio::test]
async fn node_manages_identities() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_manages_identities", "identities").await
}

#[tokio::test]
async fn node_changes_many_at_once() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_changes_many_at_once", "bulk").await
}

#[tokio::test]
async fn node_manages_modules() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_manages_modules", "modules").await
}

#[tokio::test]
async fn node_edits_twins() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_edits_twins", "twins").await
}

#[tokio::test]
async fn node_queries() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_queries", "queries").await
}

#[tokio::test]
async fn python_calls_methods() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_calls_methods", "methods").await
}

#[tokio::test]
async fn node_calls_methods() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_calls_methods", "methods").await
}

#[tokio::test]
async fn python_schedules_jobs() -> Result<()> {
    // This SDK reads the list of jobs as the object of the OpenAPI file; what the service sends is
    // not known for certain, and the other SDK reads an array.
    let arguments = ["--jobs-query", "object"];
    let test = "sdk::python_schedules_jobs";
    run_with(AzureSdk::Python, test, "jobs", &arguments).await
}

#[tokio::test]
async fn node_schedules_jobs() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_schedules_jobs", "jobs").await
}

#[tokio::test]
async fn python_deploys_configurations() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_deploys_configurations",
        "configurations",
    )
    .await
}

#[tokio::test]
async fn node_deploys_configurations() -> Result<()> {
    run(
        AzureSdk::Node,
        "sdk::node_deploys_configurations",
        "configurations",
    )
    .await
}

#[tokio::test]
async fn python_imports_and_exports() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_imports_and_exports",
        "transfers",
    )
    .await
}

#[tokio::test]
async fn node_imports_and_exports() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_imports_and_exports", "transfers").await
}

#[tokio::test]
async fn python_uses_digital_twins() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_uses_digital_twins",
        "digital_twins",
    )
    .await
}

#[tokio::test]
async fn node_uses_digital_twins() -> Result<()> {
    run(
        AzureSdk::Node,
        "sdk::node_uses_digital_twins",
        "digital_twins",
    )
    .await
}

#[tokio::test]
async fn python_uses_entra_tokens() -> Result<()> {
    run(AzureSdk::Python, "sdk::python_uses_entra_tokens", "entra").await
}

#[tokio::test]
async fn node_uses_entra_tokens() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_uses_entra_tokens", "entra").await
}

#[tokio::test]
async fn python_asks_for_feedback() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_asks_for_feedback",
        "feedback",
    )
    .await
}

#[tokio::test]
async fn python_builds_edge_hierarchies() -> Result<()> {
    run(
        AzureSdk::Python,
        "sdk::python_builds_edge_hierarchies",
        "edge",
    )
    .await
}

#[tokio::test]
async fn node_builds_edge_hierarchies() -> Result<()> {
    run(AzureSdk::Node, "sdk::node_builds_edge_hierarchies", "edge").await
}
