//! Where our own binaries are.
//!
//! `MENDER_IOTHUB_BIN_DIR` names a folder of built ones (a release build, say). Without it cargo is
//! asked, once in a process, so that a test never runs against yesterday's worker; and cargo itself
//! says where it put them, so that no target folder has to be guessed.

use std::{
    collections::HashMap,
    env, fmt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::workspace;

/// Names a folder that holds all three binaries.
pub const BIN_DIR: &str = "MENDER_IOTHUB_BIN_DIR";

/// One of our binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// The product.
    MenderIothub,
    /// The hub.
    IothubEmulator,
    /// The Mender server.
    MenderSimulator,
}

impl Binary {
    const ALL: [Self; 3] = [
        Self::MenderIothub,
        Self::IothubEmulator,
        Self::MenderSimulator,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::MenderIothub => "mender-iothub",
            Self::IothubEmulator => "iothub-emulator",
            Self::MenderSimulator => "mender-simulator",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::MenderIothub => "bridge",
            Self::IothubEmulator | Self::MenderSimulator => self.name(),
        }
    }

    /// The executable, built first if need be.
    pub async fn path(self) -> Result<PathBuf> {
        let built = tokio::task::spawn_blocking(built).await??;
        built
            .get(self.name())
            .cloned()
            .with_context(|| format!("cargo built no {self}"))
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

type Paths = HashMap<String, PathBuf>;

/// All binaries by name; blocks while cargo builds them.
pub fn built() -> Result<&'static Paths> {
    static BUILT: OnceLock<Result<Paths, String>> = OnceLock::new();
    let find = || match env::var_os(BIN_DIR).filter(|dir| !dir.is_empty()) {
        Some(dir) => in_dir(Path::new(&dir)),
        None => build(),
    };
    let built = BUILT.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow!("{error}"))
}

fn in_dir(dir: &Path) -> Result<Paths> {
    let mut paths = Paths::new();
    for binary in Binary::ALL {
        let path = dir.join(binary.name());
        if !path.is_file() {
            bail!("{BIN_DIR} names {}, which holds no {binary}", dir.display());
        }
        paths.insert(binary.name().to_owned(), path);
    }
    Ok(paths)
}

/// The part of cargo's messages that says where an executable is.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn build() -> Result<Paths> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--message-format", "json-render-diagnostics"]);
    for binary in Binary::ALL {
        cargo.args(["--package", binary.package()]);
    }
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run cargo")?;
    if !output.status.success() {
        bail!("failed to build the binaries under test: cargo says above why");
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    Ok(artifacts
        .filter_map(|artifact| Some((artifact.target.name, artifact.executable?)))
        .collect())
}
