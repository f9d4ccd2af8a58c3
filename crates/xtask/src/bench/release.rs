//! Builds what is measured, as it is released, and goes on as a released program.

use std::{
    convert::Infallible,
    env,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use black_box::{
    binaries::BIN_DIR,
    tools::{self, Mongo},
    workspace,
};
use serde::Deserialize;

use super::names::Name;

/// What is built, beside this program itself.
const PRODUCTS: [&str; 3] = ["bridge", "iothub-emulator", "mender-simulator"];

/// Builds everything with cargo, which shows its own progress, and becomes the release build of this
/// program, with the same arguments. Returns only if that fails.
pub(super) fn go_on_as_one(names: &[Name]) -> Result<bool> {
    eprintln!("building what is measured, as it is released: some minutes the first time ...");
    let mut command = Command::new(built("xtask", &["xtask"])?);
    if names.iter().any(|name| *name != Name::Core) {
        let asked = env::var_os(BIN_DIR).filter(|dir| !dir.is_empty());
        let dir = match asked {
            Some(dir) => PathBuf::from(dir),
            None => built("mender-iothub", &PRODUCTS)?
                .parent()
                .map(Path::to_owned)
                .context("a binary is in no folder")?,
        };
        command.env(BIN_DIR, dir);
    }
    let never: Result<Infallible, _> = Err(command.args(env::args_os().skip(1)).exec());
    never
        .map(|_| true)
        .context("failed to start the release build")
}

/// Builds these packages and returns where the executable of this name is.
fn built(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--locked", "--bins"]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.context("failed to run cargo")?;
    if !output.status.success() {
        bail!(
            "failed to build {}: cargo says above why",
            packages.join(", ")
        );
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let mut executables = artifacts.filter_map(|artifact| artifact.executable);
    let found = executables.find(|path| path.file_stem().is_some_and(|stem| stem == name));
    found.with_context(|| format!("cargo does not say where it put {name}"))
}

/// The part of cargo's messages that says where an executable is.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// Fetches what the benchmarks need beside our own programs, before any clock runs.
pub(super) async fn equip(names: &[Name]) -> Result<()> {
    if names.iter().all(|name| *name == Name::Core) {
        return Ok(());
    }
    let nats = tokio::task::spawn_blocking(tools::nats_server).await??;
    eprintln!("nats-server {} ({})", nats.version, nats.path.display());
    if names.iter().any(|name| name.needs_mongo()) {
        match tokio::task::spawn_blocking(tools::mongo).await? {
            Ok(Mongo::Uri(_)) => eprintln!("MongoDB that {} names", tools::MONGODB_URI),
            Ok(Mongo::Server(path)) => eprintln!("stand-in for MongoDB ({})", path.display()),
            Err(error) => eprintln!("no MongoDB: {error:#}"),
        }
    }
    Ok(())
}
