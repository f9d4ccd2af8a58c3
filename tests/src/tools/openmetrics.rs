//! The strict parser of OpenMetrics that Prometheus's own client for Python has.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{Environment, Wheel};

const VERSION: &str = "0.26.0";
/// Hash of the wheel, which is the same for all machines, as the Python package index shows it.
const HASH: &str = "fa93d06737aa02bacd05794768508bb97d2fbee28cb3bca04eaae92f0ca953d6";

/// Reads a page and prints each family as JSON: name, type, unit, and the names of its samples' labels.
const SCRIPT: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = []
for family in text_string_to_metric_families(sys.stdin.read()):
    labels = sorted({name for sample in family.samples for name in sample.labels})
    families.append({'name': family.name, 'type': family.type, 'unit': family.unit, 'help': family.documentation,
                     'labels': labels, 'samples': len(family.samples)})
json.dump(families, sys.stdout)
";

/// The parser.
#[derive(Debug, Clone)]
pub struct OpenMetrics {
    python: PathBuf,
    packages: PathBuf,
}

impl OpenMetrics {
    /// Finds the parser, or fetches it. An error is the reason why the tests that need it are skipped.
    pub fn installed() -> Result<Self> {
        Environment(&|name| std::env::var_os(name)).open_metrics()
    }

    /// Parses a page strictly; the families as a JSON list, or what is wrong with it.
    pub fn parse(&self, page: &str) -> Result<serde_json::Value> {
        let mut input = tempfile::tempfile()?;
        std::io::Write::write_all(&mut input, page.as_bytes())?;
        std::io::Seek::rewind(&mut input)?;
        let mut command = Command::new(&self.python);
        command.args([OsStr::new("-c"), OsStr::new(SCRIPT)]);
        command
            .env("PYTHONPATH", &self.packages)
            .stdin(Stdio::from(input));
        let output = command.output().context("failed to run python3")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}",
                stderr.trim().lines().last().unwrap_or("no reason given")
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Environment<'_> {
    fn open_metrics(&self) -> Result<OpenMetrics> {
        let python = self.on_path("python3").context("there is no python3")?;
        let cache = self.cache();
        let packages = cache.join(format!("openmetrics-{VERSION}"));
        if !packages.is_dir() {
            fs::create_dir_all(&cache)?;
            let lock = File::create(cache.join("openmetrics.lock"))?;
            lock.lock().context("failed to lock the tool cache")?;
            let work = tempfile::tempdir_in(&cache)?;
            let wheel = Wheel {
                tool: "the parser of OpenMetrics".to_owned(),
                requirement: format!("prometheus-client=={VERSION}"),
                hashes: [HASH; 3],
                otherwise: "or do without its test",
            };
            let unpacked = wheel.fetch(&python, work.path())?;
            if !packages.is_dir() {
                fs::rename(&unpacked, &packages)?;
            }
        }
        Ok(OpenMetrics { python, packages })
    }
}
