//! Finds the MongoDB to test against, or builds a small server that speaks its protocol.
//!
//! No MongoDB comes through a package registry, so the pinned `secantusd-rs` stands in for one: a
//! program under a licence of its own, built once with `cargo install` into the tool cache, run as
//! a separate process and never linked. It needs cmake, which comes as a wheel where the machine
//! has none. The build takes minutes and may fail on some machine; then the tests that need it are
//! skipped, each saying so, and everything else is tested all the same.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{Environment, Wheel, make_executable};
use crate::workspace;

/// The variable that names a MongoDB to test against, by its connection string; `skip` skips the
/// tests that need one.
pub const MONGODB_URI: &str = "TEST_MONGODB_URI";

const PACKAGE: &str = "secantus-mdb";
const BINARY: &str = "secantusd-rs";
const PINNED: &str = "0.5.3-beta.196";

/// Hashes of the wheels of [`cmake`], as the Python package index shows them: Linux x86-64, Linux
/// aarch64, macOS.
const CMAKE_HASHES: [&str; 3] = [
    "2f766bb46367e5e0559fa33184653754bce044583a06014dcaebf8e6dff8a1f1",
    "a4a5615f31f692c9b9aa8b365704e4b76172348af6fa40e16fea3f118bb01194",
    "ad697643a00d9ba85179590a383c4f7401169b55ebf4b8b2938daf28c6bdeb6d",
];

/// Lines shown of a build that failed.
const TAIL: usize = 15;

/// What speaks MongoDB's protocol here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mongo {
    /// A server somebody runs, by its connection string.
    Uri(String),
    /// The executable of a server to run.
    Server(PathBuf),
}

/// The MongoDB to test against, built if need be. Looks once in a process; blocks while it builds.
/// An error is the reason why the tests that need it are skipped.
pub fn mongo() -> Result<Mongo> {
    static FOUND: OnceLock<Result<Mongo, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        Environment(&|name| std::env::var_os(name))
            .mongo()
            .map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(|error| anyhow!(error))
}

impl Environment<'_> {
    pub(super) fn mongo(&self) -> Result<Mongo> {
        match (self.0)(MONGODB_URI).filter(|uri| !uri.is_empty()) {
            Some(uri) if uri == "skip" => bail!("{MONGODB_URI} says skip"),
            Some(uri) => {
                let uri = uri.into_string();
                let uri = uri.map_err(|_| anyhow!("{MONGODB_URI} is not UTF-8"))?;
                return Ok(Mongo::Uri(uri));
            }
            None => {}
        }
        let cache = self.cache();
        let server = cache.join(format!("{BINARY}-{PINNED}"));
        if !runs(&server) {
            self.build(&cache, &server)
                .with_context(|| format!("failed to build {PACKAGE} {PINNED}"))?;
        }
        Ok(Mongo::Server(server))
    }

    /// Builds into `cache`. As with nats-server, two processes may do so at once, and the file
    /// appears under its final name only when it is whole.
    fn build(&self, cache: &Path, server: &Path) -> Result<()> {
        fs::create_dir_all(cache)?;
        let lock = File::create(cache.join(format!("{BINARY}.lock")))?;
        lock.lock().context("failed to lock the tool cache")?;
        if runs(server) {
            return Ok(());
        }
        crate::skips::tell(&format!(
            "building {PACKAGE} {PINNED} into {} (once; some minutes; {MONGODB_URI}=skip does without)",
            cache.display()
        ));
        // Always the same folder, so that a build that was interrupted goes on where it was.
        let work = cache.join(format!("{BINARY}-{PINNED}.build"));
        fs::create_dir_all(&work)?;
        let built = self.compile(&work);
        if let Ok(built) = &built {
            fs::rename(built, server)?;
        }
        fs::remove_dir_all(&work)?;
        built?;
        if !runs(server) {
            bail!("what was built does not run on this machine");
        }
        Ok(())
    }

    /// Builds it in `work`.
    fn compile(&self, work: &Path) -> Result<PathBuf> {
        let mut cargo = workspace::cargo();
        cargo.args(["install", PACKAGE, "--version", PINNED, "--bin", BINARY]);
        cargo.args(["--locked", "--ignore-rust-version", "--no-track", "--force"]);
        cargo.arg("--root").arg(work);
        // Not the workspace's: it is another program, with settings of its own.
        cargo.env("CARGO_TARGET_DIR", work.join("target"));
        for inherited in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
            cargo.env_remove(inherited);
        }
        if let Some(path) = self.path_with_cmake(work)? {
            cargo.env("PATH", path);
        }
        let output = cargo.output().context("failed to run cargo")?;
        if !output.status.success() {
            bail!("{}", tail(&String::from_utf8_lossy(&output.stderr)));
        }
        Ok(work.join("bin").join(BINARY))
    }

    /// A `PATH` that begins with a cmake of our own; `None` where the machine has one.
    fn path_with_cmake(&self, work: &Path) -> Result<Option<OsString>> {
        if self.on_path("cmake").is_some() {
            return Ok(None);
        }
        let python = self.on_path("python3");
        let python = python.context("it needs cmake, or python3 with pip to fetch it")?;
        let dir = work.join("cmake");
        fs::create_dir_all(&dir)?;
        let bin = cmake().fetch(&python, &dir)?.join("cmake/data/bin");
        make_executable(&bin.join("cmake"))?;
        let path = (self.0)("PATH").unwrap_or_default();
        let folders = [bin].into_iter().chain(std::env::split_paths(&path));
        Ok(Some(std::env::join_paths(folders)?))
    }
}

fn cmake() -> Wheel {
    Wheel {
        tool: "cmake".to_owned(),
        requirement: "cmake==3.31.10".to_owned(),
        hashes: CMAKE_HASHES,
        otherwise: "or install cmake",
    }
}

fn runs(server: &Path) -> bool {
    let mut version = Command::new(server);
    version.arg("--version").stdin(Stdio::null());
    let output = version.output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(PINNED))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
