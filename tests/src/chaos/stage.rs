//! Everything that an episode needs, running: NATS (one server or three), a hub behind a proxy, a
//! Mender server, and one to four workers on one consumer and one store.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::{self, stream};

use crate::{Clock, Emulator, Installation, NatsCluster, NatsServer, Proxy, Simulator, Worker};

/// How long a request of a worker may take effect after its intent was stored.
pub const LEASE: Duration = Duration::from_millis(4_500);
/// The worker's name for what holds the events.
pub(super) const EVENTS: &str = "IOTHUB_EVENTS";

/// What is to be started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// Workers.
    pub workers: usize,
    /// Whether NATS is a cluster of three.
    pub cluster: bool,
    /// Whether each worker gets a wall clock of its own, which can be stepped.
    pub clocks: bool,
    /// How many files each worker may have open at once; `None` is as many as the tests may.
    pub open_files: Option<u32>,
}

/// NATS in one of its sizes.
pub enum Bus {
    /// One server, each worker behind a proxy of its own.
    Single(Box<NatsServer>, Vec<Proxy>),
    /// Three servers.
    Cluster(NatsCluster),
}

impl Bus {
    /// A new connection of the harness's own.
    pub async fn jetstream(&self) -> Result<jetstream::Context> {
        match self {
            Self::Single(server, _) => server.jetstream().await,
            Self::Cluster(cluster) => cluster.jetstream().await,
        }
    }

    /// The proxy between a worker and NATS.
    pub fn proxy(&self, worker: usize) -> Result<&Proxy> {
        match self {
            Self::Single(_, proxies) => proxies.get(worker).context("no such worker"),
            Self::Cluster(_) => bail!("there is no proxy before a cluster"),
        }
    }
}

/// The running parts. Fields end in the order in which they are declared.
pub struct Stage {
    /// Running or killed.
    pub workers: Vec<Worker>,
    /// The workers' wall clocks, if they have their own.
    pub clocks: Vec<Clock>,
    /// Each in a folder `worker-N`.
    pub installations: Vec<Installation>,
    /// The Mender server.
    pub mender: Simulator,
    /// The hub.
    pub hub: Emulator,
    /// Between the workers and the hub.
    pub hub_proxy: Proxy,
    /// NATS.
    pub bus: Bus,
    /// The connection strings that the integration has held: the hub's, by way of the proxy. The
    /// last one is the present one.
    pub connection_strings: Vec<String>,
}

impl Stage {
    /// Starts everything in `dir`; the workers are ready for work.
    pub async fn set(dir: &Path, sizes: Sizes) -> Result<Self> {
        let (bus, nats_urls, nats_url) = start_bus(dir, sizes).await?;
        let hub = Emulator::start(dir, &[]).await?;
        let hub_proxy = Proxy::before(hub.listen()).await?;
        let mender = Simulator::start(dir, &nats_url, &[]).await?;
        let host = format!("localhost:{}", hub_proxy.address().port());
        let connection_string = hub.connection_string().replace(hub.hub(), &host);
        let (mut installations, mut clocks) = (Vec::new(), Vec::new());
        for (index, url) in nats_urls.iter().enumerate() {
            let dir = dir.join(format!("worker-{index}"));
            fs::create_dir_all(&dir)?;
            let replicas = if sizes.cluster { 3 } else { 1 };
            let config = configuration(url, replicas, mender.listen(), &host, hub.ca_file());
            let mut installation = Installation::new(&dir, &config).await?;
            if let Some(most) = sizes.open_files {
                installation = installation.open_files(most);
            }
            if sizes.clocks {
                let clock = Clock::new(&dir)?;
                for (name, value) in clock.variables() {
                    installation = installation.variable(name, &value);
                }
                clocks.push(clock);
            }
            installations.push(installation);
        }
        let mut stage = Self {
            workers: Vec::new(),
            clocks,
            installations,
            mender,
            hub,
            hub_proxy,
            bus,
            connection_strings: vec![connection_string],
        };
        stage.command(&["setup"], "").await?;
        stage.integrate().await?;
        for installation in &stage.installations {
            stage.workers.push(installation.start().await?);
        }
        Ok(stage)
    }

    /// Gives the integration the present connection string.
    pub async fn integrate(&self) -> Result<()> {
        let arguments = ["integration", "set", "--tier", "unlimited"];
        let present = self.connection_strings.last();
        let present = present.context("no connection string")?;
        self.command(&arguments, present).await
    }

    async fn command(&self, arguments: &[&str], input: &str) -> Result<()> {
        let done = self.installations[0]
            .cli_with_input(arguments, input)
            .await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
        Ok(())
    }
}

/// NATS, the address for each worker, and the one for Mender.
async fn start_bus(dir: &Path, sizes: Sizes) -> Result<(Bus, Vec<String>, String)> {
    if sizes.cluster {
        let cluster = NatsCluster::start(dir).await?;
        let context = cluster.jetstream().await?;
        context.create_stream(workflows()).await?;
        let urls = cluster.urls();
        let first = urls.split(',').next().unwrap_or_default().to_owned();
        return Ok((Bus::Cluster(cluster), vec![urls; sizes.workers], first));
    }
    let server = NatsServer::start(dir).await?;
    let mut proxies = Vec::new();
    for _ in 0..sizes.workers {
        proxies.push(Proxy::before(server.url()).await?);
    }
    let url = |proxy: &Proxy| format!("nats://{}", proxy.address());
    let urls = proxies.iter().map(url).collect();
    let first = server.url().to_owned();
    Ok((Bus::Single(Box::new(server), proxies), urls, first))
}

/// Mender's stream on all servers of a cluster. The simulator takes it as it finds it; by itself it
/// would make it with one copy, and its events would wait for one server.
fn workflows() -> stream::Config {
    stream::Config {
        name: "WORKFLOWS".to_owned(),
        subjects: vec!["WORKFLOWS.>".to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        num_replicas: 3,
        ..stream::Config::default()
    }
}

fn configuration(nats: &str, replicas: usize, mender: &str, host: &str, ca: &Path) -> String {
    format!(
        r#"[nats]
url = "{nats}"
replicas = {replicas}
[mender]
deviceauth_url = "http://{mender}"
deviceconfig_url = "http://{mender}"
request_timeout_ms = 2000
[hub]
request_timeout_ms = 2000
lease_ms = {lease}
throttle_wait_ms = 200
allowed_hosts = ["{host}"]
ca_file = "{ca}"
[worker]
in_flight = 64
[retry]
first_ms = 200
cap_ms = 2000
[secrets]
key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
[http]
listen = "127.0.0.1:0"
[iot_manager]
internal_listen = "127.0.0.1:0"
"#,
        lease = LEASE.as_millis(),
        ca = ca.display(),
    )
}
