//! A server that speaks MongoDB's protocol: one for a test alone, or one that somebody runs.
//!
//! `--sync-on-commit` is not an option here. Without it the server confirms writes that it loses
//! when it is killed, and a test would blame the store for that.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    Process, skips,
    tools::{self, Mongo},
};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);

/// A running server.
pub struct MongoServer {
    uri: String,
    own: Option<Own>,
}

/// A server of our own.
struct Own {
    process: Process,
    binary: PathBuf,
    dir: PathBuf,
    arguments: Vec<String>,
    port: String,
}

impl MongoServer {
    /// Starts a server with its storage in `dir`, or takes the one that `TEST_MONGODB_URI` names.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &[]).await
    }

    /// Like [`MongoServer::start`], with further arguments for a server of our own.
    pub async fn start_with(dir: &Path, arguments: &[&str]) -> Result<Self> {
        let binary = match tokio::task::spawn_blocking(tools::mongo).await?? {
            Mongo::Uri(uri) => return Ok(Self { uri, own: None }),
            Mongo::Server(binary) => binary,
        };
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let (process, port) = launch(&binary, dir, &arguments, "0").await?;
        Ok(Self {
            uri: format!("mongodb://127.0.0.1:{port}/?directConnection=true"),
            own: Some(Own {
                process,
                binary,
                dir: dir.to_owned(),
                arguments,
                port,
            }),
        })
    }

    /// Like [`MongoServer::start`]; where there is no MongoDB, says that `test` is skipped, and
    /// returns `None`.
    pub async fn start_or_skip(dir: &Path, test: &str) -> Result<Option<Self>> {
        if let Err(reason) = tokio::task::spawn_blocking(tools::mongo).await? {
            skips::skip(test, &format!("no MongoDB: {reason:#}"));
            return Ok(None);
        }
        Self::start(dir).await.map(Some)
    }

    /// Its connection string, the same over restarts.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The process, to freeze or kill it; `None` if it is not ours.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.own.as_mut().map(|own| &mut own.process)
    }

    /// Stops a server of ours in good order, if it still runs, and starts it again on the same port
    /// and storage.
    pub async fn restart(&mut self) -> Result<()> {
        let own = self.own.as_mut().context("the server is not ours")?;
        if own.process.ended()?.is_none() {
            own.process.stop(STOP).await?;
        }
        let (process, port) = launch(&own.binary, &own.dir, &own.arguments, &own.port).await?;
        ensure!(port == own.port, "another port");
        own.process = process;
        Ok(())
    }
}

/// Starts it and returns the port that it listens on.
async fn launch(
    binary: &Path,
    dir: &Path,
    arguments: &[String],
    port: &str,
) -> Result<(Process, String)> {
    let mut command = Command::new(binary);
    // An empty log file is allocated in full, and one test needs little of either.
    command.args(["--host", "127.0.0.1", "--port", port, "--sync-on-commit"]);
    command.args(["--log-level", "WARNING", "--cache-size", "256M"]);
    command.args(["--log-file-max", "16MB", "--storage-path"]);
    command.arg(dir.join("mongo")).args(arguments);
    let mut process = Process::start("mongo", command, dir)?;
    let line = process.first_line(START).await?;
    let port = line.rsplit(':').next().map(str::trim);
    let port = port.filter(|port| port.parse::<u16>().is_ok());
    let port = port.with_context(|| format!("not a ready line: {line}"))?;
    Ok((process, port.to_owned()))
}
