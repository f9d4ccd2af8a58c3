//! `mender-simulator` as a process, and its control API.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;
use serde::Deserialize;

use crate::{Process, binaries::Binary, control::Control};

const START: Duration = Duration::from_secs(30);

/// A running simulator.
pub struct Simulator {
    process: Process,
    listen: String,
    control: Control,
}

#[derive(Deserialize)]
struct Ready {
    listen: String,
}

impl Simulator {
    /// Starts a simulator on a free port that publishes to `nats_url`; `arguments` come last
    /// (`["--server-version", "4.0"]`).
    pub async fn start(dir: &Path, nats_url: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(Binary::MenderSimulator.path().await?);
        command
            .args(["--listen", "127.0.0.1:0", "--nats", nats_url])
            .args(arguments);
        let mut process = Process::start("mender-simulator", command, dir)?;
        let ready: Ready = process.ready_line(START).await?;
        Ok(Self {
            process,
            control: Control::new(&ready.listen)?,
            listen: ready.listen,
        })
    }

    /// `127.0.0.1:PORT`, where it plays all of Mender's internal services.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// Its HTTP API: `post("/simulator/devices", ..)`, `get("/simulator/truth")`.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The process, to freeze, kill or measure it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
