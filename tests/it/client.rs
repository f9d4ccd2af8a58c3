//! Our client of the hub goes through the scenarios that Azure's SDKs go through.
//!
//! What it does otherwise is in the list of the scenarios, with the reason: it has no unconditional
//! updates, and it refuses itself what a hub would refuse.

mod bulk;
mod configurations;
mod digital_twins;
mod edge;
mod entra;
mod identities;
mod jobs;
mod methods;
mod modules;
mod queries;
mod transfers;
mod twins;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use black_box::Emulator;
use iothub::{
    AllowedHosts, ConnectionString, Credential, DeviceId, Hub, Kind, NewIdentity, Options,
};

use crate::{
    conformance::{Outcome, Who},
    scenario::Scene,
};

/// Two good keys of devices.
pub(crate) const KEYS: [&str; 2] = [
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "HxAdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=",
];
/// An ETag that nothing has.
const OLD: &str = "b2xk";
/// An id that nothing has.
const UNKNOWN: &str = "no-such-device";

/// A client of the emulator, and how its steps went.
struct Steps {
    hub: Hub,
    /// A client with a key that nobody gave out.
    stranger: Hub,
    /// Where the hub's blobs are.
    blobs: PathBuf,
    outcomes: Vec<Outcome>,
}

impl Steps {
    fn new(scene: &Scene) -> Result<Self> {
        let connection_string = scene.emulator.connection_string();
        let key = connection_string.rsplit_once("SharedAccessKey=");
        let (rest, _) = key.context("a key")?;
        let strange = format!("{rest}SharedAccessKey={}", KEYS[0]);
        Ok(Self {
            hub: client(&scene.emulator, connection_string)?,
            stranger: client(&scene.emulator, &strange)?,
            blobs: scene.blobs(),
            outcomes: Vec::new(),
        })
    }

    /// Goes one step. The next one follows either way, so that one run tells everything.
    async fn step(&mut self, name: &str, step: impl AsyncFnOnce(&Hub) -> Result<()>) {
        let error = step(&self.hub)
            .await
            .err()
            .map(|error| format!("{error:#}"));
        let step = name.to_owned();
        self.outcomes.push(Outcome { step, error });
    }
}

/// Goes through a scenario and judges the outcome.
async fn run(
    test: &str,
    scenario: &'static str,
    go: impl AsyncFnOnce(&mut Steps) -> Result<()>,
) -> Result<()> {
    let scene = Scene::set("client", scenario, &[]).await?;
    let mut steps = Steps::new(&scene)?;
    go(&mut steps).await?;
    scene.judge(Who::Client, test, &steps.outcomes).await
}

/// A client that trusts the emulator.
pub(crate) fn client(emulator: &Emulator, connection_string: &str) -> Result<Hub> {
    let connection: ConnectionString = connection_string.parse()?;
    with_credential(emulator, connection.credential()?)
}

fn with_credential(emulator: &Emulator, credential: Credential) -> Result<Hub> {
    let host = AllowedHosts::new([emulator.hub()])?.check(emulator.hub())?;
    Ok(Hub::new(host, credential, options(emulator)?)?)
}

fn options(emulator: &Emulator) -> Result<Options> {
    Ok(Options {
        extra_root_pem: Some(fs::read(emulator.ca_file())?),
        ..Options::default()
    })
}

/// The error must be of this kind.
fn refused<T: std::fmt::Debug>(kind: Kind, result: iothub::Result<T>) -> Result<()> {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => bail!("{error} is {:?}, not {kind:?}", error.kind()),
        Ok(answer) => bail!("not refused: {answer:?}"),
    }
}

fn new(device: &str) -> Result<NewIdentity> {
    Ok(NewIdentity::new(id(device)?))
}

pub(crate) fn id(device: &str) -> Result<DeviceId> {
    device.parse().context("an id")
}

#[tokio::test]
async fn our_client_manages_identities() -> Result<()> {
    run(
        "client::our_client_manages_identities",
        "identities",
        identities::go,
    )
    .await
}

#[tokio::test]
async fn our_client_builds_edge_hierarchies() -> Result<()> {
    run(
        "client::our_client_builds_edge_hierarchies",
        "edge",
        edge::go,
    )
    .await
}

#[tokio::test]
async fn our_client_changes_many_at_once() -> Result<()> {
    run("client::our_client_changes_many_at_once", "bulk", bulk::go).await
}

#[tokio::test]
async fn our_client_manages_modules() -> Result<()> {
    run("client::our_client_manages_modules", "modules", modules::go).await
}

#[tokio::test]
async fn our_client_edits_twins() -> Result<()> {
    run("client::our_client_edits_twins", "twins", twins::go).await
}

#[tokio::test]
async fn our_client_queries() -> Result<()> {
    run("client::our_client_queries", "queries", queries::go).await
}

#[tokio::test]
async fn our_client_calls_methods() -> Result<()> {
    run("client::our_client_calls_methods", "methods", methods::go).await
}

#[tokio::test]
async fn our_client_schedules_jobs() -> Result<()> {
    run("client::our_client_schedules_jobs", "jobs", jobs::go).await
}

#[tokio::test]
async fn our_client_deploys_configurations() -> Result<()> {
    run(
        "client::our_client_deploys_configurations",
        "configurations",
        configurations::go,
    )
    .await
}

#[tokio::test]
async fn our_client_imports_and_exports() -> Result<()> {
    run(
        "client::our_client_imports_and_exports",
        "transfers",
        transfers::go,
    )
    .await
}

#[tokio::test]
async fn our_client_uses_digital_twins() -> Result<()> {
    run(
        "client::our_client_uses_digital_twins",
        "digital_twins",
        digital_twins::go,
    )
    .await
}

#[tokio::test]
async fn our_client_uses_entra_tokens() -> Result<()> {
    let scene = Scene::set("client", "entra", &[]).await?;
    let mut steps = Steps::new(&scene)?;
    entra::go(&scene, &mut steps).await?;
    let test = "client::our_client_uses_entra_tokens";
    scene.judge(Who::Client, test, &steps.outcomes).await
}
