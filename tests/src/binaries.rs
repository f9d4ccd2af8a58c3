//! Where our own binaries are.
//!
//! `MENDER_IOTHUB_BIN_DIR` names a folder of built ones (a release build, say). Without it cargo is
//! asked, once in a process for each that is needed, so that a test never runs against yesterday's
//! worker, nor fails for a binary it does not use; and cargo itself says where it put them, so that
//! no target folder has to be guessed.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::workspace;

/// Names a folder that holds the binaries.
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
    fn name(self) -> &'static str {
        match self {
            Self::MenderIothub => "mender-iothub",
            Self::IothubEmulator => "iothub-emulator",
            Self::MenderSimulator => "mender-simulator",
        }
    }

    /// The executable, built first if need be.
    pub async fn path(self) -> Result<PathBuf> {
        tokio::task::spawn_blocking(move || self.find_once()).await?
    }

    fn find_once(self) -> Result<PathBuf> {
        static FOUND: [OnceLock<Result<PathBuf, String>>; 3] = [const { OnceLock::new() }; 3];
        let find = || match env::var_os(BIN_DIR).filter(|dir| !dir.is_empty()) {
            Some(dir) => self.in_dir(Path::new(&dir)),
            None => self.build(),
        };
        let found =
            FOUND[self as usize].get_or_init(|| find().map_err(|error| format!("{error:#}")));
        found.clone().map_err(|error| anyhow!(error))
    }

    fn in_dir(self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(self.name());
        if !path.is_file() {
            bail!("{BIN_DIR} names {}, which holds no {self}", dir.display());
        }
        Ok(path)
    }

    fn build(self) -> Result<PathBuf> {
        let mut cargo = workspace::cargo();
        // Of the whole workspace, as the test command builds them: a package by itself has other
        // features switched on, and all that it depends on would be built once more.
        cargo.args(["build", "--workspace", "--locked", "--bin", self.name()]);
        cargo
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit());
        let output = cargo.output().context("failed to run cargo")?;
        if !output.status.success() {
            bail!("failed to build {self}: cargo says above why");
        }
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let mut artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
        let executable = artifacts.find_map(|artifact| artifact.executable);
        executable.with_context(|| format!("cargo does not say where it put {self}"))
    }
}

/// The part of cargo's messages that says where an executable is; only binaries have one.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
