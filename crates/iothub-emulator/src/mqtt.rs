//! Devices that connect: MQTT 3.1.1 over TLS, as Azure's device SDKs speak it.
//!
//! This file only accepts. `codec` reads and writes packets within bounds, `login` decides who
//! gets in, `connection` leads a connection from its first byte to its last, `talk` is what happens
//! in between, and `requests` does what devices ask for. Whatever a client sends costs that client
//! its connection and nobody else anything: every wait has a limit, and so has the number of
//! connections.

mod codec;
mod connection;
mod end;
mod login;
mod notes;
mod requests;
mod talk;
mod topics;
mod wire;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::hub::Hub;
use crate::server::accept;

/// How long a client may take for its handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The TLS side: as for HTTPS, without the names of protocols that only HTTPS has.
pub(crate) fn acceptor(https: &ServerConfig) -> TlsAcceptor {
    let mut config = https.clone();
    config.alpn_protocols.clear();
    TlsAcceptor::from(Arc::new(config))
}

/// Accepts up to `most` connections at a time, until the task is dropped; closes any further one.
pub(crate) async fn serve(
    hub: Arc<Hub>,
    listener: TcpListener,
    tls: TlsAcceptor,
    most: usize,
) -> Infallible {
    let room = Arc::new(Semaphore::new(most));
    loop {
        let stream = accept(&listener).await;
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            warn!(most, "no room for another connection of a device");
            continue;
        };
        let (hub, tls) = (Arc::clone(&hub), tls.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => connection::run(&hub, stream).await,
                Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
                Err(_) => debug!("TLS handshake took too long"),
            }
        });
    }
}
