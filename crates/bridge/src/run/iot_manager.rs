//! iot-manager's HTTP APIs beside the worker.
//!
//! They have a connection to NATS, connections to the hubs and to the store, and a pace of their
//! own, like the twin service, and wait for nothing that they do not need themselves: a hub that is
//! away is no reason to refuse an event.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use http_api::{Api, Limits, Offered, Sockets, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::readiness::{Need, Readiness};
use super::waiting::until_there;
use crate::adapters::{IotManagerPort, RecordStore};
use crate::config::{Config, ConfigError, IotManager};
use crate::observe;
use crate::session::Session;

/// What the worker waits for here.
pub(super) const IOT_MANAGER: Need = Need::new("iot-manager's APIs", "iot_manager");

/// The APIs, listening already.
pub(super) struct Apis {
    port: IotManagerPort,
    records: RecordStore,
    session: Session,
    serving: JoinSet<()>,
    /// Where they are, for whoever chose port 0.
    pub(super) addresses: Value,
}

impl Apis {
    /// Begins to listen; `None` if the configuration names no address.
    pub(super) async fn start(
        config: &Config,
        parts: &Parts,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let settings = &config.iot_manager;
        if !settings.is_on() {
            return Ok(None);
        }
        let port = port(config, parts)?;
        let limits = Limits {
            body: settings.request_size_limit,
            in_flight: settings.in_flight,
            ..Limits::default()
        };
        let watch = observe::served();
        watch.expect_requests();
        let api = Arc::new(Api::new(port.clone(), limits).watched_by(watch.clone()));
        let mut serving = JoinSet::new();
        let mut addresses = json!({});
        for (listen, offered) in listeners(settings) {
            let listener = TcpListener::bind(&listen)
                .await
                .with_context(|| format!("cannot listen on {listen} of `iot_manager`"))?;
            note(&mut addresses, offered, listener.local_addr()?);
            let api = Arc::clone(&api);
            serving.spawn(serve(
                listener,
                api,
                offered,
                Sockets::default(),
                stop.clone(),
            ));
        }
        Ok(Some(Self {
            port,
            records: parts.records.clone(),
            session: Session::begin(config, "mender-iothub iot-manager").await?,
            serving,
            addresses,
        }))
    }

    /// Serves until the worker is told to stop and what is running has ended.
    pub(super) async fn run(mut self, readiness: &Readiness, stop: &CancellationToken) {
        let open = async || self.port.open(&self.session, &self.records).await;
        let server = until_there(IOT_MANAGER, readiness, stop, open).await;
        while self.serving.join_next().await.is_some() {}
        if let Some(Some(server)) = server {
            server.close().await;
        }
    }
}

/// The world as the APIs see it, from the configuration alone.
pub(super) fn port(config: &Config, parts: &Parts) -> Result<IotManagerPort, ConfigError> {
    let (keys, factory) = (Arc::clone(&parts.keys), Arc::clone(&parts.factory));
    IotManagerPort::new(config, keys, factory, Arc::clone(&parts.access))
}

/// Each address with what is offered there.
fn listeners(settings: &IotManager) -> Vec<(String, Offered)> {
    let (internal, management) = (&settings.internal_listen, &settings.management_listen);
    let offered = |internal, management| Offered {
        internal,
        management,
    };
    match (internal.clone(), management.clone()) {
        (Some(one), Some(other)) if one == other => vec![(one, offered(true, true))],
        (one, other) => {
            let one = one.map(|address| (address, offered(true, false)));
            let other = other.map(|address| (address, offered(false, true)));
            one.into_iter().chain(other).collect()
        }
    }
}

fn note(addresses: &mut Value, offered: Offered, at: SocketAddr) {
    for (is_here, name) in [
        (offered.internal, "iot_manager_internal"),
        (offered.management, "iot_manager_management"),
    ] {
        if is_here {
            addresses[name] = json!(at.to_string());
        }
    }
}
