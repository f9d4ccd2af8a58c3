//! The stage: every process of the play, each of them real, in one folder.

use std::{fs, path::Path};

use anyhow::{Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use black_box::{Emulator, Installation, MongoServer, NatsServer, Simulator, Worker};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Devices that the worker has in work at once, and so may have in work when it is killed.
pub(super) const IN_FLIGHT: u64 = 128;

/// All that runs. Dropped in this order, so that the worker does not outlive what it talks to.
pub(super) struct Stage {
    pub(super) worker: Worker,
    pub(super) installation: Installation,
    pub(super) simulator: Simulator,
    pub(super) emulator: Emulator,
    pub(super) nats: NatsServer,
    pub(super) ingress: Ingress,
    /// Where the records are, if not in NATS.
    _mongo: Option<MongoServer>,
}

/// Where the worker keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Store {
    /// A bucket in NATS.
    Jetstream,
    /// A server that speaks MongoDB's protocol, or the one that `TEST_MONGODB_URI` names.
    Mongodb,
}

/// How Mender's events come to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ingress {
    /// From Mender's stream, as workflow definitions put them there.
    Stream,
    /// By HTTP, as Mender's built-in workflows call iot-manager.
    Http,
}

impl Stage {
    /// Starts everything in `dir`; the worker is ready for work, and its hub is integrated.
    pub(super) async fn set(dir: &Path, store: Store, ingress: Ingress) -> Result<Self> {
        let mongo = match store {
            Store::Jetstream => None,
            Store::Mongodb => Some(MongoServer::start(dir).await?),
        };
        let nats = NatsServer::start(dir).await?;
        let emulator = Emulator::start(dir, &[]).await?;
        let iot_manager = match ingress {
            Ingress::Stream => None,
            Ingress::Http => Some(free_address()?),
        };
        let mut arguments = Vec::new();
        if let Some(address) = &iot_manager {
            arguments = vec!["--hub-events", "iot-manager", "--iot-manager", address];
        }
        let simulator = Simulator::start(dir, nats.url(), &arguments).await?;
        fs::write(dir.join("secrets.key"), random_key()?)?;
        let configuration = configuration(dir, &nats, &emulator, &simulator);
        let mut installation = Installation::new(dir, &configuration).await?;
        if let Some(mongo) = &mongo {
            let database = dir.file_name().unwrap_or_default().to_string_lossy();
            installation = installation
                .variable("MENDER_IOTHUB__STORE__KIND", "mongodb")
                .variable("MENDER_IOTHUB__STORE__URI", mongo.uri())
                .variable("MENDER_IOTHUB__STORE__DATABASE", &database);
        }
        if let Some(address) = &iot_manager {
            let key = "MENDER_IOTHUB__IOT_MANAGER__INTERNAL_LISTEN";
            installation = installation.variable(key, address);
        }
        command(&installation, &["setup"], "").await?;
        let integrate = ["integration", "set", "--tier", "unlimited"];
        command(&installation, &integrate, emulator.connection_string()).await?;
        let worker = installation.start().await?;
        Ok(Self {
            worker,
            installation,
            simulator,
            emulator,
            nats,
            ingress,
            _mongo: mongo,
        })
    }
}

/// Times are far shorter than for a hub on the other side of the world, because they decide how long
/// a device waits after a fault, and a fault is what every twentieth request meets here.
fn configuration(
    dir: &Path,
    nats: &NatsServer,
    emulator: &Emulator,
    simulator: &Simulator,
) -> String {
    let port = emulator.listen().rsplit(':').next().unwrap_or_default();
    let mender = simulator.listen();
    format!(
        r#"[nats]
url = "{nats}"

[mender]
deviceauth_url = "http://{mender}"
deviceconfig_url = "http://{mender}"
request_timeout_ms = 3000

[hub]
request_timeout_ms = 3000
lease_ms = 6500
allowed_hosts = ["localhost:{port}"]
ca_file = "{ca}"

[worker]
in_flight = {IN_FLIGHT}

[retry]
first_ms = 200
cap_ms = 2000

[secrets]
key_file = "{key}"

[http]
listen = "127.0.0.1:0"

[log]
level = "info"
"#,
        nats = nats.url(),
        ca = emulator.ca_file().display(),
        key = dir.join("secrets.key").display(),
    )
}

/// An address that was free just now. The worker keeps it over its restarts, so it cannot choose.
fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// A new key to seal the hub's credential with; 32 bytes, as base64.
fn random_key() -> Result<String> {
    let mut key = [0; 32];
    if SystemRandom::new().fill(&mut key).is_err() {
        bail!("this system has no source of randomness");
    }
    Ok(BASE64_STANDARD.encode(key))
}

async fn command(installation: &Installation, arguments: &[&str], input: &str) -> Result<()> {
    let all: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(["--output", "json"])
        .collect();
    let finished = installation.cli_with_input(&all, input).await?;
    if finished.code != Some(0) {
        bail!(
            "`mender-iothub {}` failed ({:?}): {}",
            arguments.join(" "),
            finished.code,
            finished.stderr.trim()
        );
    }
    Ok(())
}
