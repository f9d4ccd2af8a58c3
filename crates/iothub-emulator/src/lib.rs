//! An emulator of Azure IoT Hub's service API that real SDKs take for a hub.
//!
//! It exists so that a client of IoT Hub can be tried, and judged, without an Azure account: the
//! HTTPS side behaves like the service down to its oddities, the control port tells what really
//! happened and makes things go wrong on purpose. State lives in memory and ends with the process.
//!
//! This file only wires: state and rules are in `registry`, `identity` and `twin`, which know
//! neither sockets nor clocks; `exchange` leads a request through everything in between. To others
//! it offers the program as a whole, and in [`parsers`] what reads bytes of strangers.

mod auth;
mod authentication;
mod behaviour;
mod blobs;
mod bulk;
mod choices;
mod chunks;
mod configurations;
mod control;
mod control_behaviour;
mod control_blobs;
mod control_devices;
mod control_entra;
mod dates;
mod entra;
mod errors;
mod etag;
mod exchange;
mod faults;
mod glob;
mod hand_edit;
mod hierarchy;
mod hub;
mod identity;
mod jobs;
mod journal;
mod life;
mod module;
mod mqtt;
mod operation;
mod options;
pub mod parsers;
mod query;
mod record;
mod registry;
mod reply;
mod restore;
mod router;
mod script;
mod server;
mod service;
mod session;
mod store;
mod switchboard;
mod throttle;
mod tls;
mod transfers;
mod twin;
mod views;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::EnvFilter;

use crate::auth::{Audience, Policies};
use crate::behaviour::Behaviour;
use crate::blobs::Blobs;
use crate::configurations::keeper;
use crate::entra::Entra;
use crate::hub::{Hub, Settings, new_key};
use crate::jobs::runner;
use crate::journal::Journal;
use crate::options::Options;
use crate::record::Record;
use crate::restore::Start;

/// How long the last changes may take to reach the disk when the process ends.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The line that says where everything is.
#[derive(Serialize)]
struct Ready {
    listen: String,
    control: String,
    hub: String,
    connection_string: String,
    ca_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<String>,
}

/// The program: reads the command line, and serves until it is told to end.
pub fn run_program() -> Result<()> {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("another TLS provider is installed already"))?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    let result = runtime.block_on(run(options));
    // Requests that wait in a delay are not worth waiting for.
    runtime.shutdown_background();
    result
}

async fn run(options: Options) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("failed to watch SIGTERM")?;
    let tls = tls::identity(&options.tls_dir, options.hub.name())?;
    let listener = bind(options.listen).await?;
    let control = bind(options.control).await?;
    let (listen, control_at) = (listener.local_addr()?, control.local_addr()?);
    let devices = for_devices(options.mqtt).await?;
    let devices_at = devices.as_ref().map(TcpListener::local_addr).transpose()?;
    let most = options.mqtt_connections;

    let host = options.hub.host(listen.port());
    let every = Duration::from_millis(options.configuration_ms);
    let (hub, connection_string) = assemble(options, &host)?;
    let hub = Arc::new(hub);
    for job in hub.jobs().active() {
        runner::start(&hub, &job);
    }
    announce(&Ready {
        listen: listen.to_string(),
        control: control_at.to_string(),
        hub: host,
        connection_string,
        ca_file: tls.ca_file.display().to_string(),
        mqtt: devices_at.map(|it| it.to_string()),
    })?;
    let device_tls = mqtt::acceptor(&tls.config);
    let serve_devices = async {
        match devices {
            None => std::future::pending().await,
            Some(devices) => mqtt::serve(Arc::clone(&hub), devices, device_tls, most).await,
        }
    };
    let result = tokio::select! {
        never = server::serve(Arc::clone(&hub), listener, TlsAcceptor::from(tls.config)) => match never {},
        never = serve_devices => match never {},
        never = keeper::keep(Arc::clone(&hub), every) => match never {},
        never = control::serve(Arc::clone(&hub), control) => match never {},
        () = hub.broken() => Err(anyhow!("the state can no longer be written")),
        _ = terminated.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.context("failed to watch SIGINT"),
    };
    // What no request waits for, such as a report of a device, may still be on its way to the disk.
    let _ = tokio::time::timeout(LAST_WRITE, hub.durable()).await;
    result
}

/// Makes the hub, with the connection string of its first policy.
fn assemble(mut options: Options, host: &str) -> Result<(Hub, String)> {
    let lag = Duration::from_millis(options.query_lag_ms);
    let start = match &options.state {
        None => Start::empty(lag),
        Some(dir) => Start::from_dir(dir, lag)?,
    };
    let mut policies = Policies::with_skew(options.choices.clock_skew_s);
    let named = options.take_policies(&start.owner_key);
    let first = named.first().context("there is always a policy")?;
    let connection_string = format!(
        "HostName={host};SharedAccessKeyName={};SharedAccessKey={}",
        first.name, first.key
    );
    for policy in &named {
        policies.set(&policy.name, policy.policy.clone());
    }
    let identity_header = options.identity_header.take();
    let entra = Entra::new(
        options.token_lifetime_s,
        identity_header.unwrap_or_else(new_key),
    );
    for app in options.entra_apps.drain(..) {
        entra.apps_mut().add(app);
    }
    let template = options.behaviour.as_deref().map(behaviour_file);
    let record = options.exchanges.as_deref().map(|path| {
        Record::open(path).with_context(|| format!("failed to open {}", path.display()))
    });
    let hub = Hub::new(Settings {
        start,
        policies,
        audience: Audience::of(options.hub.name()),
        blobs: Blobs::new(options.blob_dir),
        entra,
        without_shared_access: options.no_shared_access,
        host: host.to_owned(),
        tier: options.tier,
        units: options.units,
        throttle_speed: options.throttle_speed,
        journal: Journal::new(options.journal_limit),
        record: record.transpose()?,
        latency: Duration::from_millis(options.latency_ms),
        transfer_wait: Duration::from_millis(options.transfer_ms),
        choices: options.choices,
        template: template.transpose()?,
    });
    Ok((hub, connection_string))
}

fn behaviour_file(path: &Path) -> Result<Arc<Behaviour>> {
    let text = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let behaviour = Behaviour::parse(&text)
        .map_err(|text| anyhow!("no behaviour in {}: {text}", path.display()))?;
    Ok(Arc::new(behaviour))
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))
}

/// Where devices connect, if they may.
async fn for_devices(address: Option<std::net::SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = bind(address).await.with_context(|| {
        format!(
            "if something else has port {}, give --mqtt another address",
            address.port()
        )
    });
    listener.map(Some)
}

fn announce(ready: &Ready) -> Result<()> {
    let line = serde_json::to_string(ready)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("failed to print the ready line")
}
