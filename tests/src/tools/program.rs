//! Programs that `cargo install` builds into the tool cache, once.
//!
//! Each is pinned, and its lock file with it, so the registry's index vouches for every byte. Two
//! processes may want one at once: the second waits for the first and finds its work done; and a
//! file appears under its final name only when it is whole.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Lines shown of a build that failed.
const TAIL: usize = 15;

/// A program to build.
pub(super) struct Program {
    /// The crate.
    pub(super) package: &'static str,
    /// Its exact version.
    pub(super) version: &'static str,
    /// The executable that is wanted of it.
    pub(super) binary: &'static str,
    /// How it is asked for its version.
    pub(super) version_arguments: &'static [&'static str],
    /// Whether it builds with an older compiler than it says.
    pub(super) ignore_rust_version: bool,
    /// How to do without it; ends the line that says it is being built.
    pub(super) without: &'static str,
}

impl Program {
    /// The executable in `cache`, built if need be. `path` makes the `PATH` of the build, given its
    /// folder; `None` leaves it as it is. Blocks while it builds, which takes minutes.
    pub(super) fn install(
        &self,
        cache: &Path,
        path: impl Fn(&Path) -> Result<Option<OsString>>,
    ) -> Result<PathBuf> {
        let executable = cache.join(format!("{}-{}", self.binary, self.version));
        if self.runs(&executable) {
            return Ok(executable);
        }
        self.build(cache, &executable, path)
            .with_context(|| format!("failed to build {} {}", self.package, self.version))?;
        Ok(executable)
    }

    fn build(
        &self,
        cache: &Path,
        executable: &Path,
        path: impl Fn(&Path) -> Result<Option<OsString>>,
    ) -> Result<()> {
        let Self {
            package,
            version,
            binary,
            without,
            ..
        } = self;
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join(format!("{binary}.lock")))?;
        lock.lock().context("failed to lock the tool cache")?;
        if self.runs(executable) {
            return Ok(());
        }
        crate::skips::tell(&format!(
            "building {package} {version} into {} (once; some minutes; {without})",
            cache.display()
        ));
        // Always the same folder, so that a build that was interrupted goes on where it was.
        let work = cache.join(format!("{binary}-{version}.build"));
        fs::create_dir_all(&work)?;
        let built = path(&work).and_then(|path| self.compile(&work, path));
        if let Ok(built) = &built {
            fs::rename(built, executable)?;
        }
        fs::remove_dir_all(&work)?;
        built?;
        if !self.runs(executable) {
            bail!("what was built does not run on this machine");
        }
        Ok(())
    }

    fn compile(&self, work: &Path, path: Option<OsString>) -> Result<PathBuf> {
        let mut cargo = workspace::cargo();
        cargo.args(["install", self.package, "--version", self.version]);
        cargo.args(["--bin", self.binary, "--locked", "--no-track", "--force"]);
        if self.ignore_rust_version {
            cargo.arg("--ignore-rust-version");
        }
        cargo.arg("--root").arg(work);
        // Not the workspace's: it is another program, with settings of its own.
        cargo.env("CARGO_TARGET_DIR", work.join("target"));
        for inherited in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
            cargo.env_remove(inherited);
        }
        if let Some(path) = path {
            cargo.env("PATH", path);
        }
        let output = cargo.output().context("failed to run cargo")?;
        if !output.status.success() {
            bail!("{}", tail(&String::from_utf8_lossy(&output.stderr)));
        }
        Ok(work.join("bin").join(self.binary))
    }

    fn runs(&self, executable: &Path) -> bool {
        let mut command = Command::new(executable);
        command.args(self.version_arguments).stdin(Stdio::null());
        let output = command.output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(self.version))
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
