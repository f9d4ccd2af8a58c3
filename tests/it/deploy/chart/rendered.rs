//! helm, and what it makes of the chart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use black_box::{skips::skip, tools};
use serde_json::Value;

use crate::deploy::{deploy, yaml};

const CHART: &str = "helm/mender-iothub";

/// The resources of a release.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) resources: Vec<Value>,
}

impl Rendered {
    /// The only resource of a kind.
    pub(super) fn one(&self, kind: &str) -> Result<&Value> {
        let mut of_kind = self.resources.iter().filter(|it| it["kind"] == kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(resource), None) => Ok(resource),
            _ => bail!("there is not exactly one {kind}"),
        }
    }
}

/// All containers of a pod, in the order in which they start.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let of = |kind: &str| pod[kind].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers"))
}

/// helm, or a line that says why the test is skipped.
pub(super) fn helm(test: &str) -> Option<PathBuf> {
    let found = tools::helm();
    found
        .inspect_err(|error| skip(test, &format!("{error:#}")))
        .ok()
}

/// Writes values into a file; helm takes JSON for the YAML that it is.
pub(super) fn values(dir: &Path, values: &Value) -> Result<PathBuf> {
    let file = dir.join("values.json");
    fs::write(&file, values.to_string())?;
    Ok(file)
}

fn run(helm: &Path, arguments: &[&str], values: &Path) -> Result<String> {
    let mut command = Command::new(helm);
    // Its own folders, so that nobody's settings or plug-ins are in it.
    let home = values.with_extension("home");
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, &home);
    }
    command.args(arguments).arg("--values").arg(values);
    let output = command.output().context("failed to run helm")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {arguments:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lets helm look for mistakes; a warning is one.
pub(super) fn lint(helm: &Path, values: &Path) -> Result<()> {
    let chart = deploy(CHART).display().to_string();
    run(helm, &["lint", "--strict", &chart], values).map(drop)
}

/// Renders the chart, with further arguments.
pub(super) fn template(helm: &Path, values: &Path, more: &[&str]) -> Result<Rendered> {
    let chart = deploy(CHART).display().to_string();
    let arguments = [&["template", "release", &chart], more].concat();
    let text = run(helm, &arguments, values)?;
    let resources = yaml(&text)?;
    Ok(Rendered { resources })
}

/// Renders the chart.
pub(super) fn render(helm: &Path, values: &Path) -> Result<Rendered> {
    template(helm, values, &[])
}

/// The JSON Schema of a resource's kind, whole in itself.
pub(super) fn schema(resource: &Value) -> Result<Value> {
    let folder = tools::kubernetes_schemas()?;
    let (kind, version) = (resource["kind"].as_str(), resource["apiVersion"].as_str());
    let (kind, version) = (kind.context("kind")?, version.context("apiVersion")?);
    // `networking.k8s.io/v1` is `networking-v1` there.
    let version = match version.split_once('/') {
        Some((group, version)) => format!("{}-{version}", group.split('.').next().unwrap_or(group)),
        None => version.to_owned(),
    };
    let file = folder.join(format!("{}-{version}.json", kind.to_lowercase()));
    let text = |file: &Path| fs::read_to_string(file).with_context(|| file.display().to_string());
    let text = |file: &Path| text(file).map(|it| it.replace("/api/_definitions.json#/", "#/"));
    let mut schema: Value = serde_json::from_str(&text(&file)?)?;
    let definitions: Value = serde_json::from_str(&text(&folder.join("_definitions.json"))?)?;
    schema["$defs"] = definitions["$defs"].clone();
    Ok(schema)
}
