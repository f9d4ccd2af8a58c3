//! Simulates the parts of a Mender server that a lifecycle worker talks to.
//!
//! It exists so that a worker can be tried, and judged, without a Mender installation: events come
//! over a real NATS stream in the bytes that Mender sends, the HTTP services answer as Mender's
//! do, and a control API changes devices, breaks things on purpose and tells what is true. State
//! lives in memory and ends with the process.
//!
//! It shares no code with the worker: two readings of the same facts find each other's mistakes.
//!
//! This file only wires: rules are in `fleet`, `configurations` and `faults`, which know neither
//! sockets nor clocks; `workflows` and `wire` turn changes into messages.

mod calls;
mod configurations;
mod control;
mod control_errors;
mod delivery;
mod deviceauth;
mod deviceconfig;
mod faults;
mod fleet;
mod injection;
mod inventory;
mod options;
mod orders;
mod publisher;
mod rbac;
mod replies;
mod server;
mod shuffle;
mod simulator;
mod status;
mod tokens;
mod truth;
mod useradm;
mod wire;
mod workflows;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use clap::Parser;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::calls::IotManager;
use crate::faults::Service;
use crate::injection::faulty;
use crate::options::{HubEvents, Options};
use crate::publisher::Publisher;
use crate::simulator::Simulator;

/// How long to wait for NATS before saying that we are ready without it.
const NATS_AT_START: Duration = Duration::from_secs(5);

/// The line that says where everything is.
#[derive(Serialize)]
struct Ready {
    listen: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    log();
    // Refused only if something else in this process came first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut terminate = signal(SignalKind::terminate()).context("failed to wait for SIGTERM")?;
    tokio::select! {
        served = serve(&options) => served,
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Serves for ever, or says why that cannot begin.
async fn serve(options: &Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("failed to listen on {}", options.listen))?;
    let listen = listener.local_addr()?.to_string();

    let simulator = start(options).await?;
    say_ready(&Ready { listen })?;
    server::serve(listener, router(simulator)).await;
    Ok(())
}

/// Makes the server, and on NATS what a Mender server would have made; without NATS that follows
/// later.
async fn start(options: &Options) -> Result<Arc<Simulator>> {
    let mut publisher = Publisher::connect(&options.nats).await?;
    if let (HubEvents::IotManager, Some(address)) = (options.hub_events, &options.iot_manager) {
        publisher = publisher.by_http(IotManager::new(address)?);
    }
    let simulator = Arc::new(Simulator::new(options.server_version, publisher));
    let preparing = Arc::clone(&simulator);
    let mut preparing = tokio::spawn(async move { preparing.publisher.prepare().await });
    // A failure here is the time-out, after which the task goes on by itself.
    let _ = tokio::time::timeout(NATS_AT_START, &mut preparing).await;
    Ok(simulator)
}

fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .merge(faulty(
            deviceauth::router(),
            &simulator,
            Service::Deviceauth,
        ))
        .merge(faulty(
            deviceconfig::router(),
            &simulator,
            Service::Deviceconfig,
        ))
        .merge(faulty(useradm::router(), &simulator, Service::Useradm))
        .merge(faulty(inventory::router(), &simulator, Service::Inventory))
        .merge(control::router())
        .with_state(simulator)
}

fn say_ready(ready: &Ready) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(ready)?)?;
    stdout.flush().context("failed to say that we are ready")
}

fn log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod http_tests;
