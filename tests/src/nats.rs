//! A real nats-server with JetStream on files, for one test alone.
//!
//! The server chooses its port itself and writes it into a file, so no two tests can ever race for
//! one. Started again it takes the same port and the same storage, as a server in the field would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectOptions, jetstream};
use serde::Deserialize;

use crate::{Process, tools};

/// Generous for a loaded machine; an idle one needs some ten milliseconds.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
/// The request time-out of the clients handed out; the crate's own ten seconds hide stalls.
const REQUEST: Duration = Duration::from_secs(5);

/// A running nats-server.
pub struct NatsServer {
    process: Process,
    binary: PathBuf,
    dir: PathBuf,
    arguments: Vec<String>,
    ports: Ports,
}

/// What the server writes once it listens.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
    #[serde(default)]
    cluster: Vec<String>,
}

impl NatsServer {
    /// Starts a server with its storage in `dir` and waits until JetStream answers.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &[]).await
    }

    /// Like [`NatsServer::start`], with further arguments (`["-c", "users.conf"]`).
    ///
    /// A configuration must let a client without credentials ask for the account's state, which is
    /// how this waits for JetStream.
    pub async fn start_with(dir: &Path, arguments: &[&str]) -> Result<Self> {
        let mut server = Self::start_unready(dir, arguments).await?;
        server.ready().await?;
        Ok(server)
    }

    /// Like [`NatsServer::start_with`], but waits only until it listens: one server of a cluster
    /// alone cannot do more.
    pub async fn start_unready(dir: &Path, arguments: &[&str]) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(tools::nats_server).await??.path;
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut process = launch(&binary, dir, &arguments, "-1")?;
        let ports = listening(&mut process, dir).await?;
        Ok(Self {
            process,
            binary,
            dir: dir.to_owned(),
            arguments,
            ports,
        })
    }

    /// `nats://127.0.0.1:PORT`, the same over restarts.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.ports.nats[0]
    }

    /// The base address of the monitoring port, another one after each restart.
    #[must_use]
    pub fn monitoring_url(&self) -> &str {
        &self.ports.monitoring[0]
    }

    /// The address for the other servers of its cluster, another one after each restart.
    #[must_use]
    pub fn route_url(&self) -> Option<&str> {
        self.ports.cluster.first().map(String::as_str)
    }

    /// A new connection.
    pub async fn client(&self) -> Result<Client> {
        let options = ConnectOptions::new().request_timeout(Some(REQUEST));
        let client = options.connect(self.url()).await;
        client.with_context(|| format!("failed to connect to {}", self.url()))
    }

    /// A new connection, as a JetStream context.
    pub async fn jetstream(&self) -> Result<jetstream::Context> {
        Ok(jetstream::new(self.client().await?))
    }

    /// The process, to freeze, kill or measure it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops the server in good order, if it still runs, and starts it again on the same port and
    /// storage.
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_unready().await?;
        self.ready().await
    }

    /// Like [`NatsServer::restart`], but waits only until it listens.
    pub async fn restart_unready(&mut self) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.process.stop(STOP).await?;
        }
        let port = self.url().rsplit(':').next().unwrap_or_default().to_owned();
        self.process = launch(&self.binary, &self.dir, &self.arguments, &port)?;
        self.ports = listening(&mut self.process, &self.dir).await?;
        Ok(())
    }

    /// Waits until JetStream answers.
    pub async fn ready(&mut self) -> Result<()> {
        let url = self.url().to_owned();
        let answer = async || {
            let client = async_nats::connect(&url).await?;
            jetstream::new(client).query_account().await?;
            Ok(Some(()))
        };
        self.process
            .while_running(START, "an answer of JetStream", answer)
            .await
    }
}

fn launch(binary: &Path, dir: &Path, arguments: &[String], port: &str) -> Result<Process> {
    let mut command = Command::new(binary);
    command.args([
        "--addr",
        "127.0.0.1",
        "--port",
        port,
        "--http_port",
        "-1",
        "--jetstream",
    ]);
    command
        .arg("--store_dir")
        .arg(dir.join("nats"))
        .arg("--ports_file_dir")
        .arg(dir);
    command.args(arguments);
    Process::start("nats-server", command, dir)
}

async fn listening(process: &mut Process, dir: &Path) -> Result<Ports> {
    // The server names the file after its executable, whatever that is called, and its process id.
    let end = format!("_{}.ports", process.id());
    let read = async || {
        let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
        let mut ours = files.filter(|file| file.to_string_lossy().ends_with(&end));
        let Some(file) = ours.next() else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice::<Ports>(&fs::read(file)?)?))
    };
    let ports = process.while_running(START, "its ports", read).await?;
    if ports.nats.is_empty() || ports.monitoring.is_empty() {
        bail!("nats-server names no port");
    }
    Ok(ports)
}
