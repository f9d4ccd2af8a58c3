//! What a benchmark runs on: every part a process of its own, as in the field.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, stream};
use black_box::{
    Emulator, Installation, MongoServer, NatsCluster, NatsServer, Proxy, Simulator, Worker,
};
use futures::future::try_join_all;

/// What is to be started.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) workers: usize,
    /// Whether NATS is a cluster of three.
    pub(super) cluster: bool,
    /// Whether records are kept in MongoDB.
    pub(super) mongo: bool,
    /// Arguments of the emulator.
    pub(super) hub: &'a [&'a str],
    /// Edition and units that the workers are told.
    pub(super) tier: (&'a str, u32),
    /// Tenants, all of one hub: `t0`, `t1` and so on. Without any there is the empty one.
    pub(super) tenants: usize,
    /// Whether the hub is reached by way of a proxy, which can be closed.
    pub(super) proxy: bool,
    /// Variables of the workers.
    pub(super) variables: &'a [(&'a str, &'a str)],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            workers: 1,
            cluster: false,
            mongo: false,
            hub: &[],
            tier: ("unlimited", 1),
            tenants: 0,
            proxy: false,
            variables: &[],
        }
    }
}

/// NATS in one of its sizes.
pub(super) enum Bus {
    Single(NatsServer),
    Cluster(NatsCluster),
}

impl Bus {
    pub(super) fn urls(&self) -> String {
        match self {
            Self::Single(server) => server.url().to_owned(),
            Self::Cluster(cluster) => cluster.urls(),
        }
    }

    pub(super) async fn jetstream(&self) -> Result<jetstream::Context> {
        match self {
            Self::Single(server) => server.jetstream().await,
            Self::Cluster(cluster) => cluster.jetstream().await,
        }
    }
}

/// All that runs. Dropped in this order, so that no worker outlives what it talks to.
pub(super) struct Stage {
    pub(super) workers: Vec<Worker>,
    /// Each in a folder of its own.
    pub(super) installations: Vec<Installation>,
    pub(super) mender: Simulator,
    pub(super) hub: Emulator,
    pub(super) bus: Bus,
    pub(super) context: jetstream::Context,
    pub(super) mongo: Option<MongoServer>,
    /// Before the hub, if one was asked for.
    pub(super) proxy: Option<Proxy>,
}

impl Stage {
    /// Starts everything in `dir`; the workers are ready for work.
    pub(super) async fn set(dir: &Path, plan: &Plan<'_>) -> Result<Self> {
        let mut stage = Self::prepare(dir, plan).await?;
        stage.start_workers().await?;
        Ok(stage)
    }

    /// Like [`Stage::set`], but the workers are not started yet.
    pub(super) async fn prepare(dir: &Path, plan: &Plan<'_>) -> Result<Self> {
        let bus = start_bus(dir, plan.cluster).await?;
        let mongo = if plan.mongo {
            Some(MongoServer::start(dir).await?)
        } else {
            None
        };
        let hub = Emulator::start(dir, plan.hub).await?;
        let proxy = if plan.proxy {
            Some(Proxy::before(hub.listen()).await?)
        } else {
            None
        };
        let urls = bus.urls();
        let first = urls.split(',').next().unwrap_or_default();
        let mender = Simulator::start(dir, first, &[]).await?;
        let context = bus.jetstream().await?;
        let mut stage = Self {
            workers: Vec::new(),
            installations: Vec::new(),
            mender,
            hub,
            bus,
            context,
            mongo,
            proxy,
        };
        for index in 0..plan.workers {
            let dir = dir.join(format!("worker-{index}"));
            fs::create_dir_all(&dir)?;
            stage.install(&dir, plan).await?;
        }
        stage.command(&["setup"], "").await?;
        stage.integrate(plan).await?;
        Ok(stage)
    }

    pub(super) async fn start_workers(&mut self) -> Result<()> {
        for installation in &self.installations {
            self.workers.push(installation.start().await?);
        }
        Ok(())
    }

    async fn install(&mut self, dir: &Path, plan: &Plan<'_>) -> Result<()> {
        let replicas = if plan.cluster { 3 } else { 1 };
        let config = configuration(self, replicas);
        let mut installation = Installation::new(dir, &config).await?;
        if let Some(mongo) = &self.mongo {
            installation = installation
                .variable("MENDER_IOTHUB__STORE__KIND", "mongodb")
                .variable("MENDER_IOTHUB__STORE__URI", mongo.uri())
                .variable("MENDER_IOTHUB__STORE__DATABASE", "bench");
        }
        for (name, value) in plan.variables {
            installation = installation.variable(name, value);
        }
        self.installations.push(installation);
        Ok(())
    }

    async fn integrate(&self, plan: &Plan<'_>) -> Result<()> {
        let (tier, units) = (plan.tier.0, plan.tier.1.to_string());
        let set = ["integration", "set", "--tier", tier, "--units", &units];
        let key = self.hub.connection_string();
        let key = &key.replace(self.hub.hub(), &self.host());
        if plan.tenants == 0 {
            return self.command(&set, key).await;
        }
        // Each takes the second after which workers know of it: all at once.
        let names: Vec<String> = (0..plan.tenants).map(|n| format!("t{n}")).collect();
        let setting = names.iter().map(async |name| {
            let arguments: Vec<&str> = set.into_iter().chain(["--tenant", name]).collect();
            self.command(&arguments, key).await
        });
        try_join_all(setting).await.map(drop)
    }

    /// The hub's host and port, as the workers know it.
    fn host(&self) -> String {
        let address = match &self.proxy {
            Some(proxy) => proxy.address().to_string(),
            None => self.hub.listen().to_owned(),
        };
        let port = address.rsplit(':').next().unwrap_or_default();
        format!("localhost:{port}")
    }

    /// Runs a command of the first installation, which must end well.
    pub(super) async fn command(&self, arguments: &[&str], input: &str) -> Result<()> {
        let first = self.installations.first().context("nothing is installed")?;
        let done = first.cli_with_input(arguments, input).await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
        Ok(())
    }
}

async fn start_bus(dir: &Path, cluster: bool) -> Result<Bus> {
    if !cluster {
        return Ok(Bus::Single(NatsServer::start(dir).await?));
    }
    let cluster = NatsCluster::start(dir).await?;
    // By itself the simulator would make its stream with one copy.
    let workflows = stream::Config {
        name: "WORKFLOWS".to_owned(),
        subjects: vec!["WORKFLOWS.>".to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        num_replicas: 3,
        ..stream::Config::default()
    };
    let context = cluster.jetstream().await?;
    context.create_stream(workflows).await?;
    Ok(Bus::Cluster(cluster))
}

/// What has no place here has its default: that is what is measured.
fn configuration(stage: &Stage, replicas: usize) -> String {
    format!(
        r#"[nats]
url = "{nats}"
replicas = {replicas}
[mender]
deviceauth_url = "http://{mender}"
deviceconfig_url = "http://{mender}"
[hub]
allowed_hosts = ["{host}"]
ca_file = "{ca}"
[sweep]
enabled = false
[secrets]
key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
[http]
listen = "127.0.0.1:0"
"#,
        nats = stage.bus.urls(),
        mender = stage.mender.listen(),
        host = stage.host(),
        ca = stage.hub.ca_file().display(),
    )
}
