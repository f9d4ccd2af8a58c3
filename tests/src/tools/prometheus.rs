//! Prometheus and promtool from Debian's packages, to hold our rules and our page of metrics against.
//!
//! `apt-get download` fetches the package with the mirrors the machine has, `dpkg-deb` unpacks it; neither
//! needs to be root. Only packages that are known by their hash are run. A machine that cannot have one is no
//! reason to fail: the tests that need it are skipped, each saying so.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};
use ring::digest;

use super::{Environment, hex};

/// The variable that, set to `skip`, does without Prometheus.
pub const PROMETHEUS: &str = "TEST_PROMETHEUS";

/// Hashes (SHA-256) of the packages that we know: version, architecture, hash.
const KNOWN: [(&str, &str, &str); 1] = [(
    "2.42.0+ds-5+b6",
    "amd64",
    "3b0e0255b059a7696bd4a139a4a4eb24d71df067936a61ece5093559cbc7991c",
)];

/// Programs that are there to be used.
#[derive(Debug, Clone)]
pub struct PrometheusTool {
    /// The server.
    pub prometheus: PathBuf,
    /// The checker of rules.
    pub promtool: PathBuf,
}

/// Prometheus, fetched if need be. Looks once in a process; blocks while it fetches. An error is the reason
/// why the tests that need it are skipped.
pub fn prometheus() -> Result<PrometheusTool> {
    static FOUND: OnceLock<Result<PrometheusTool, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        Environment(&|name| std::env::var_os(name))
            .prometheus()
            .map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(|error| anyhow!(error))
}

impl Environment<'_> {
    pub(super) fn prometheus(&self) -> Result<PrometheusTool> {
        if (self.0)(PROMETHEUS).is_some_and(|value| value == "skip") {
            bail!("{PROMETHEUS} says skip");
        }
        let cache = self.cache();
        for (version, architecture, _) in KNOWN {
            let tool = tool_in(&cache.join(format!("prometheus-{version}-{architecture}")));
            if runs(&tool.promtool) {
                return Ok(tool);
            }
        }
        self.fetch_prometheus(&cache)
    }

    fn fetch_prometheus(&self, cache: &Path) -> Result<PrometheusTool> {
        let apt = self.on_path("apt-get").context("there is no apt-get")?;
        let dpkg = self.on_path("dpkg-deb").context("there is no dpkg-deb")?;
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join("prometheus.lock"))?;
        lock.lock().context("failed to lock the tool cache")?;
        let work = tempfile::tempdir_in(cache)?;
        run(Command::new(apt)
            .args(["download", "-qq", "prometheus"])
            .current_dir(work.path()))
        .context("apt-get cannot fetch prometheus (perhaps `apt-get update` has never been run)")?;
        let mut files = fs::read_dir(work.path())?.filter_map(|entry| Some(entry.ok()?.path()));
        let package = files
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get brought no package")?;
        let hash = hex(digest::digest(&digest::SHA256, &fs::read(&package)?).as_ref());
        let known = KNOWN.iter().find(|(.., known)| *known == hash);
        let Some((version, architecture, _)) = known else {
            let name = package.file_name().unwrap_or_default().display();
            bail!("{name} with the hash {hash} is not one that we know");
        };
        let unpacked = work.path().join("unpacked");
        run(Command::new(dpkg).arg("-x").arg(&package).arg(&unpacked))?;
        let folder = cache.join(format!("prometheus-{version}-{architecture}"));
        if !folder.is_dir() {
            fs::rename(&unpacked, &folder)?;
        }
        let tool = tool_in(&folder);
        if !runs(&tool.promtool) {
            bail!("what was fetched does not run on this machine");
        }
        Ok(tool)
    }
}

fn tool_in(folder: &Path) -> PrometheusTool {
    let program = |name: &str| folder.join("usr/bin").join(name);
    PrometheusTool {
        prometheus: program("prometheus"),
        promtool: program("promtool"),
    }
}

fn runs(promtool: &Path) -> bool {
    let mut command = Command::new(promtool);
    command.arg("--version").stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to run {program}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{program} failed: {}",
            stderr.trim().lines().last().unwrap_or("no reason given")
        );
    }
    Ok(())
}
