//! Three nats-servers that are one: what is stored by two of them is stored.
//!
//! The servers must be told each other's addresses before they have any, so each route leads through
//! a [`Proxy`]: the ports are the servers' own choice, as everywhere in this harness.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use async_nats::{ConnectOptions, jetstream};
use serde_json::{Value, json};

use crate::{NatsServer, Proxy, until};

const SERVERS: usize = 3;
/// An election takes up to nine seconds; the rest is for a loaded machine.
const START: Duration = Duration::from_secs(60);
const REQUEST: Duration = Duration::from_secs(5);
/// Name and password of who may ask about the cluster as a whole; everybody else needs neither.
const SYSTEM: &str = "system";

/// A running cluster.
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    routes: Vec<Proxy>,
    /// Boxed, for it is large.
    login: Box<ConnectOptions>,
}

impl NatsCluster {
    /// Starts the servers, each in a folder `nats-N` of `dir`, and waits until JetStream answers.
    pub async fn start(dir: &Path) -> Result<Self> {
        let write = |dir: &Path, index, routes: &[Proxy]| {
            let file = dir.join("nats.conf");
            fs::write(&file, configuration(index, routes))?;
            Ok(file)
        };
        Self::start_from(dir, ConnectOptions::new(), write).await
    }

    /// Starts servers that are configured otherwise: `write` puts a server's files into its folder, given its
    /// number and the ways to all of them, and returns the one to start it with. Asks as `login`.
    pub async fn start_from(
        dir: &Path,
        login: ConnectOptions,
        write: impl Fn(&Path, usize, &[Proxy]) -> Result<PathBuf>,
    ) -> Result<Self> {
        let mut routes = Vec::new();
        for _ in 0..SERVERS {
            routes.push(Proxy::start().await?);
        }
        let mut servers = Vec::new();
        for index in 0..SERVERS {
            let dir = dir.join(format!("nats-{index}"));
            fs::create_dir_all(&dir)?;
            let config = write(&dir, index, &routes)?;
            let arguments = ["-c", &config.display().to_string()];
            let server = NatsServer::start_unready(&dir, &arguments).await?;
            lead(&routes[index], &server)?;
            servers.push(server);
        }
        let cluster = Self {
            servers,
            routes,
            login: Box::new(login),
        };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// The addresses of all servers, separated by commas, as the worker takes them.
    #[must_use]
    pub fn urls(&self) -> String {
        let urls: Vec<&str> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// A new connection, to whichever server is there.
    pub async fn jetstream(&self) -> Result<jetstream::Context> {
        let options = ConnectOptions::clone(&self.login).request_timeout(Some(REQUEST));
        let urls: Vec<&str> = self.servers.iter().map(NatsServer::url).collect();
        let client = options.connect(urls).await;
        Ok(jetstream::new(
            client.context("no server of the cluster is there")?,
        ))
    }

    /// Waits until JetStream answers.
    pub async fn ready(&self) -> Result<()> {
        let answer = async || {
            // An answer, whatever it is: not everybody may ask everything.
            let asked = self.jetstream().await?.get_stream("none").await.map(drop);
            let answered = asked.map_err(|error| error.to_string());
            Ok(match answered {
                Err(text) if text.contains("timed out") => None,
                _ => Some(()),
            })
        };
        until(START, "an answer of the cluster", answer).await
    }

    /// Which server leads a stream.
    pub async fn leader(&self, stream: &str) -> Result<usize> {
        let leader = self.leader_of(stream, None).await?;
        let index = leader.strip_prefix("nats-").and_then(|it| it.parse().ok());
        index.with_context(|| format!("{leader} is none of ours"))
    }

    /// Has the leader of a stream, or of one of its consumers, step down, and waits for the next one.
    /// Whether that is another one.
    pub async fn step_down(&self, stream: &str, consumer: Option<&str>) -> Result<bool> {
        let before = self.leader_of(stream, consumer).await?;
        let context = self.jetstream().await?;
        let subject = match consumer {
            None => format!("STREAM.LEADER.STEPDOWN.{stream}"),
            Some(consumer) => format!("CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}"),
        };
        let answer: Value = context.request(subject, &()).await?;
        ensure!(answer["success"] == json!(true), "{stream}: {answer}");
        Ok(self.leader_of(stream, consumer).await? != before)
    }

    /// Has the leader of JetStream as a whole step down.
    pub async fn step_down_meta(&self) -> Result<()> {
        let system = ConnectOptions::with_user_and_password(SYSTEM.into(), SYSTEM.into());
        let urls: Vec<&str> = self.servers.iter().map(NatsServer::url).collect();
        let client = system.request_timeout(Some(REQUEST)).connect(urls).await?;
        let asked = client.request("$JS.API.META.LEADER.STEPDOWN", "".into());
        let answer: Value = serde_json::from_slice(&asked.await?.payload)?;
        ensure!(answer["success"] == json!(true), "{answer}");
        self.ready().await
    }

    async fn leader_of(&self, stream: &str, consumer: Option<&str>) -> Result<String> {
        let what = format!("a leader of {stream} {}", consumer.unwrap_or_default());
        until(START, &what, async || {
            let mut of = self.jetstream().await?.get_stream(stream).await?;
            let cluster = match consumer {
                None => of.info().await?.cluster.clone(),
                Some(consumer) => of.consumer_info(consumer).await?.cluster,
            };
            Ok(cluster.and_then(|it| it.leader))
        })
        .await
    }

    /// Kills one server as a crash would.
    pub fn kill9(&mut self, index: usize) -> Result<()> {
        self.server(index)?.process().kill9()
    }

    /// Starts a killed server again and waits until it serves.
    pub async fn restart(&mut self, index: usize) -> Result<()> {
        self.restart_unready(index).await?;
        self.ready().await
    }

    /// Starts a killed server again; alone it may be unable to serve.
    pub async fn restart_unready(&mut self, index: usize) -> Result<()> {
        self.server(index)?.restart_unready().await?;
        lead(&self.routes[index], &self.servers[index])
    }

    fn server(&mut self, index: usize) -> Result<&mut NatsServer> {
        let server = self.servers.get_mut(index);
        server.with_context(|| format!("there is no server {index}"))
    }
}

/// Lets the others find a server at the port that it has chosen.
fn lead(route: &Proxy, server: &NatsServer) -> Result<()> {
    match server.route_url() {
        Some(url) => route.set_target(url),
        None => bail!("a server of the cluster names no port for the others"),
    }
}

fn configuration(index: usize, routes: &[Proxy]) -> String {
    let others = routes.iter().enumerate().filter(|(it, _)| *it != index);
    let urls: Vec<String> = others
        .map(|(_, route)| format!("\"nats://{}\"", route.address()))
        .collect();
    format!(
        "server_name: nats-{index}\n\
         cluster {{\n  name: harness\n  listen: \"127.0.0.1:-1\"\n  \
         routes: [{}]\n}}\n\
         accounts {{\n  \
         ALL: {{ jetstream: enabled, users: [{{ user: all, password: all }}] }}\n  \
         SYS: {{ users: [{{ user: {SYSTEM}, password: {SYSTEM} }}] }}\n}}\n\
         system_account: SYS\nno_auth_user: all\n",
        urls.join(", ")
    )
}
