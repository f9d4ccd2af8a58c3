//! The OpenAPI document, held against the running service by schemathesis.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use black_box::{Process, dir, skips, tools, workspace};
use serde_json::json;

use super::{Place, device, token};

/// It is told to end within this time.
const BUDGET: Duration = Duration::from_secs(45);
/// Python starts, and a loaded machine is slow.
const LIMIT: Duration = Duration::from_secs(180);
/// What is held against the document: an answer is none of 5xx but 503, has a status, headers and a
/// body that are described, and another method is 405.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_is_not_in_the_openapi_document() -> Result<()> {
    let test = "http_api::described";
    let installed = match tokio::task::spawn_blocking(tools::schemathesis).await? {
        Ok(installed) => installed,
        Err(reason) => {
            skips::skip(test, &format!("no schemathesis: {reason:#}"));
            return Ok(());
        }
    };
    let place = Place::new("http-described").await?;
    place.integrate().await?;
    let id = device(&place).await?;
    let provision = json!({"id": id, "status": "accepted", "revision": 1});
    place.internal("POST /tenants//devices", &provision).await?;
    place.hub_shows(&id, Some("enabled")).await?;
    for (part, to) in [
        ("internal", place.worker.internal()?),
        ("management", place.worker.management()?),
    ] {
        let mut command = Command::new(&installed.interpreter);
        let budget = (BUDGET.as_secs() / 2).to_string();
        command
            .args(["-m", "schemathesis.cli", "run", "--url", to.base()])
            .args([
                "--include-tag",
                part,
                "--checks",
                CHECKS,
                "--max-time",
                &budget,
            ])
            .args([
                "--phases",
                "coverage,fuzzing",
                "--max-examples",
                "30",
                "--no-shrink",
            ])
            .args([
                "--max-redirects",
                "0",
                "--warnings",
                "off",
                "--workers",
                "1",
            ])
            .args(["--header", &format!("Authorization: Bearer {}", token(""))])
            .arg(workspace::root().join("schemas/iot-manager.openapi.json"))
            .env(installed.path_variable, &installed.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1")
            .env("NO_COLOR", "1")
            .current_dir(place.dir.path());
        let name = format!("schemathesis-{part}");
        let mut process = Process::start(&name, command, place.dir.path())?;
        let status = process.exit(LIMIT).await?;
        let said = std::fs::read_to_string(place.dir.path().join(format!("{name}.out")));
        let said = said.unwrap_or_default();
        ensure!(
            status.success(),
            "{status}: {said}\n{}",
            dir::tail(process.log())
        );
    }
    place.dir.passed();
    Ok(())
}
