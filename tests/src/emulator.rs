//! `iothub-emulator` as a process, and what its control port tells and takes.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Process, binaries::Binary, control::Control};

const START: Duration = Duration::from_secs(30);
/// The port that Azure's device SDKs connect to, whatever the connection string says.
pub const DEVICE_PORT: u16 = 8883;

/// A running emulator.
pub struct Emulator {
    process: Process,
    ready: Ready,
    control: Control,
}

#[derive(Deserialize)]
struct Ready {
    listen: String,
    control: String,
    hub: String,
    connection_string: String,
    ca_file: PathBuf,
}

/// One request that the emulator got, as its journal keeps it. Times are microseconds since the
/// Unix epoch.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct JournalEntry {
    /// Position in the order of arrival, from 1.
    pub seq: u64,
    /// HTTP method.
    pub method: String,
    /// Path after percent-decoding.
    pub path: String,
    /// The query, or a detail of what a device did.
    #[serde(default)]
    pub query: String,
    /// The device it is about, if it is about one.
    pub device: Option<String>,
    /// What was asked for, in the emulator's words.
    pub operation: String,
    /// The `If-Match` of the request.
    pub if_match: Option<String>,
    /// When it arrived.
    pub arrived_us: u64,
    /// When it met the registry; `None` if it never did.
    pub effect_us: Option<u64>,
    /// When its answer was sent; `None` if it got none.
    pub replied_us: Option<u64>,
    /// What the client was told; `None` if nothing.
    pub status: Option<u16>,
    /// Whether it changed something.
    pub effective: bool,
    /// The identity's ETag before.
    pub etag_before: Option<String>,
    /// The identity's ETag after.
    pub etag_after: Option<String>,
    /// The generation of the identity, which each creation changes.
    pub generation_id: Option<String>,
    /// `enabled` or `disabled`, as it was left.
    pub identity_status: Option<String>,
    /// The fault rule that struck, by name.
    pub fault: Option<String>,
    /// Whether it ended without an answer.
    pub dropped: bool,
}

impl Emulator {
    /// Starts an emulator of the hub `localhost` on free ports, its certificates in `dir`; with
    /// `arguments` beside (`["--tier", "s1", "--units", "2"]`).
    pub async fn start(dir: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, dir, arguments).await
    }

    /// Starts a hub that is named by its address, and that devices connect to at the port their
    /// SDKs have.
    pub async fn start_for_devices(at: Ipv4Addr, dir: &Path) -> Result<Self> {
        let (name, mqtt) = (at.to_string(), format!("{at}:{DEVICE_PORT}"));
        Self::start_at(at, dir, &["--hub", &name, "--mqtt", &mqtt]).await
    }

    async fn start_at(at: Ipv4Addr, dir: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(Binary::IothubEmulator.path().await?);
        command.args(["--listen", &format!("{at}:0"), "--control", "127.0.0.1:0"]);
        command.arg("--tls-dir").arg(dir.join("emulator-tls"));
        command.args(arguments);
        let mut process = Process::start("iothub-emulator", command, dir)?;
        let ready: Ready = process.ready_line(START).await?;
        let control = Control::new(&ready.control)?;
        Ok(Self {
            process,
            ready,
            control,
        })
    }

    /// `127.0.0.1:PORT` of the hub itself (HTTPS).
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.ready.listen
    }

    /// The hub's name.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.ready.hub
    }

    /// A connection string of the hub that may do everything. A secret, if only the emulator's.
    #[must_use]
    pub fn connection_string(&self) -> &str {
        &self.ready.connection_string
    }

    /// The certificate authority to trust, PEM.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ready.ca_file
    }

    /// Its control port, for what has no method here (`/devices?keys=true`, `/journal?since=N`).
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Every request so far that the emulator remembers, oldest first.
    pub async fn journal(&self) -> Result<Vec<JournalEntry>> {
        self.journal_since(0).await
    }

    /// The requests that arrived after the one with this `seq`.
    pub async fn journal_since(&self, seq: u64) -> Result<Vec<JournalEntry>> {
        let text = self.control.text(&format!("/journal?since={seq}")).await?;
        let entry = |line| serde_json::from_str(line).with_context(|| format!("journal: {line}"));
        text.lines().map(entry).collect()
    }

    /// Every identity in the registry with its twin, in the order of ids, without keys.
    pub async fn devices(&self) -> Result<Vec<Value>> {
        self.control.get("/devices").await
    }

    /// Like [`Emulator::devices`], keys included: to tell whether the right ones were delivered.
    pub async fn devices_with_keys(&self) -> Result<Vec<Value>> {
        self.control.get("/devices?keys=true").await
    }

    /// Makes or changes an identity by hand, behind the back of whoever uses the hub.
    pub async fn put_device(&self, id: &str, identity: &Value) -> Result<Value> {
        self.control.put(&device_path(id), identity).await
    }

    /// Removes an identity by hand.
    pub async fn delete_device(&self, id: &str) -> Result<()> {
        self.control.delete(&device_path(id)).await
    }

    /// Replaces the fault program: `{"rules": [..]}`, an empty list to end all faults.
    pub async fn faults(&self, program: &Value) -> Result<()> {
        self.control
            .put::<Value>("/faults", program)
            .await
            .map(drop)
    }

    /// The process, to freeze, kill or measure it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// An id as one path segment, whatever is in it.
fn device_path(id: &str) -> String {
    format!("/devices/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}
