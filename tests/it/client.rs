//! Our client of the hub goes through the scenarios that Azure's SDKs go through.
//!
//! What it does otherwise is in the list of the scenarios, with the reason: it has no unconditional
//! updates, and it refuses itself what a hub would refuse.

mod bulk;
mod identities;
mod methods;
mod modules;
mod queries;
mod twins;

use std::fs;

use anyhow::{Context as _, Result, bail};
use black_box::{Emulator, TestDir};
use iothub::{
    AllowedHosts, ConnectionString, Credential, DeviceId, Hub, Kind, NewIdentity, Options,
};

use crate::conformance::{Outcome, Who, judge};

/// Two good keys of devices.
const KEYS: [&str; 2] = [
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
    outcomes: Vec<Outcome>,
}

impl Steps {
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
    scenario: &str,
    go: impl AsyncFnOnce(&mut Steps) -> Result<()>,
) -> Result<()> {
    let dir = TestDir::new(&format!("client-{scenario}"))?;
    let emulator = Emulator::start(dir.path(), &[]).await?;
    let from = prepare(&emulator, scenario).await?;
    let connection_string = emulator.connection_string();
    let (rest, _) = connection_string
        .rsplit_once("SharedAccessKey=")
        .context("a key")?;
    let mut steps = Steps {
        hub: client(&emulator, connection_string)?,
        stranger: client(&emulator, &format!("{rest}SharedAccessKey={}", KEYS[0]))?,
        outcomes: Vec::new(),
    };
    go(&mut steps).await?;
    judge(
        Who::Client,
        test,
        scenario,
        &steps.outcomes,
        &emulator.journal_since(from).await?,
    )?;
    dir.passed();
    Ok(())
}

/// Makes what a scenario finds, and returns the number of the last request that took.
pub(crate) async fn prepare(emulator: &Emulator, scenario: &str) -> Result<u64> {
    if scenario == "methods" {
        methods::prepare(emulator).await?;
    }
    let journal = emulator.journal().await?;
    Ok(journal.last().map_or(0, |entry| entry.seq))
}

/// A client that trusts the emulator.
fn client(emulator: &Emulator, connection_string: &str) -> Result<Hub> {
    let connection: ConnectionString = connection_string.parse()?;
    let host = AllowedHosts::new([connection.host()])?.check(connection.host())?;
    let credential: Credential = connection.credential()?;
    let options = Options {
        extra_root_pem: Some(fs::read(emulator.ca_file())?),
        ..Options::default()
    };
    Ok(Hub::new(host, credential, options)?)
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

fn id(device: &str) -> Result<DeviceId> {
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
