//! What the chart gives the programs: the worker starts with it, the job's arguments exist.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use black_box::{Installation, TestDir, binaries::Binary};
use serde_json::Value;
use tokio::process::Command;

use super::rendered::{self, Rendered, helm, render, values};
use super::{everything, least, members, texts};

/// Puts a pod's volumes on the disk, with something in each secret.
fn volumes(dir: &Path, all: &Rendered, pod: &Value) -> Result<()> {
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().context("name")?;
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder)?;
        for item in volume["secret"]["items"].as_array().into_iter().flatten() {
            let content = match name {
                "sealing" => "00".repeat(32),
                "mongodb" => "mongodb://u:p@h/?replicaSet=rs0".to_owned(),
                _ => "secret".to_owned(),
            };
            std::fs::write(folder.join(item["path"].as_str().context("path")?), content)?;
        }
        if name == "config" {
            for (file, text) in members(&all.one("ConfigMap")?["data"]) {
                std::fs::write(folder.join(file), text.as_str().context("text")?)?;
            }
        }
    }
    Ok(())
}

/// The text with the paths in a container in place of which there are folders here.
fn here(text: &str, container: &Value, dir: &Path) -> String {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    mounts.fold(text.to_owned(), |text, mount| {
        let (name, path) = (mount["name"].as_str(), mount["mountPath"].as_str());
        let folder = dir.join(name.unwrap_or_default()).display().to_string();
        text.replace(
            &format!("{}/", path.unwrap_or_default()),
            &format!("{folder}/"),
        )
    })
}

#[tokio::test]
async fn the_worker_would_start_with_what_the_chart_configures() -> Result<()> {
    let Some(helm) = helm("the_worker_would_start") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-config")?;
    for (given, changed) in [(least(), "http.listen"), (everything(), "retry.max_age_s")] {
        let all = render(&helm, &values(dir.path(), &given)?)?;
        let pod = &all.one("Deployment")?["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        volumes(dir.path(), &all, pod)?;
        let config = std::fs::read_to_string(dir.path().join("config/mender-iothub.toml"))?;
        let config = here(&config, container, dir.path());
        let mut worker = Installation::new(dir.path(), &config).await?;
        for variable in container["env"].as_array().into_iter().flatten() {
            let (name, value) = (variable["name"].as_str(), variable["value"].as_str());
            let value = here(value.context("value")?, container, dir.path());
            worker = worker.variable(name.context("name")?, &value);
        }
        let checked = worker
            .cli(&["config", "check", "--output", "json"])
            .await?
            .json()?;
        assert!(texts(&checked["set"]).contains(&changed), "{checked}");
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn the_job_sets_each_integration_with_arguments_that_exist() -> Result<()> {
    let Some(helm) = helm("the_job_sets_each_integration") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-job")?;
    let all = render(&helm, &values(dir.path(), &everything())?)?;
    let pod = &all.one("Job")?["spec"]["template"]["spec"];
    let program: PathBuf = Binary::MenderIothub.path().await?;
    let mut tried = Vec::new();
    for container in rendered::containers(pod) {
        let arguments = texts(&container["args"]);
        let output = Command::new(&program)
            .args(&arguments)
            .arg("--help")
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        tried.push(arguments[0].to_owned());
    }
    assert_eq!(tried, ["setup", "integration", "integration"]);
    let file = "--credential-file=/run/secrets/hub-0/credential";
    assert!(pod.to_string().contains(file));
    dir.passed();
    Ok(())
}
