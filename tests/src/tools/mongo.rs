//! Finds the MongoDB to test against, or builds a small server that speaks its protocol.
//!
//! No MongoDB comes through a package registry, so the pinned `secantusd-rs` stands in for one: a
//! program under a licence of its own, built once with `cargo install` into the tool cache, run as
//! a separate process and never linked. It needs cmake, which comes as a wheel where the machine
//! has none. The build takes minutes and may fail on some machine; then the tests that need it are
//! skipped, each saying so, and everything else is tested all the same.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};

use super::program::Program;
use super::{Environment, Wheel, make_executable};

/// The variable that names a MongoDB to test against, by its connection string; `skip` skips the
/// tests that need one.
pub const MONGODB_URI: &str = "TEST_MONGODB_URI";

const SERVER: Program = Program {
    package: "secantus-mdb",
    version: "0.5.3-beta.196",
    binary: "secantusd-rs",
    version_arguments: &["--version"],
    ignore_rust_version: true,
    without: "TEST_MONGODB_URI=skip does without",
};

/// Hashes of the wheels of [`cmake`], as the Python package index shows them: Linux x86-64, Linux
/// aarch64, macOS.
const CMAKE_HASHES: [&str; 3] = [
    "2f766bb46367e5e0559fa33184653754bce044583a06014dcaebf8e6dff8a1f1",
    "a4a5615f31f692c9b9aa8b365704e4b76172348af6fa40e16fea3f118bb01194",
    "ad697643a00d9ba85179590a383c4f7401169b55ebf4b8b2938daf28c6bdeb6d",
];

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
        let server = SERVER.install(&self.cache(), |work| self.path_with_cmake(work))?;
        Ok(Mongo::Server(server))
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
