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

use bytes::BytesMut;
use mqtt_proto::TopicFilter;
use mqtt_proto::v3::Packet;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::auth::Audience;
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

/// Reads packets as a connection would, and says whether there were any; for fuzzing.
pub(crate) fn parse(bytes: &[u8], audience: &Audience) -> bool {
    let mut buffer = BytesMut::from(bytes);
    let mut who = None;
    let mut found = false;
    while let Ok(Some(packet)) = codec::take(&mut buffer, codec::MAX_PACKET) {
        found = true;
        match packet {
            Packet::Connect(connect) => {
                who = login::Claim::read(&connect, audience).map(|it| it.who).ok();
            }
            Packet::Publish(publish) => {
                who.as_ref()
                    .and_then(|who| topics::asked(&publish.topic_name, who));
                requests::method_answer(&publish.payload);
            }
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.topics.iter().map(|(filter, _)| filter);
                let found = |filter: &TopicFilter| topics::channel(filter, who.as_ref()?);
                let _ = filters.filter_map(found).count();
            }
            _ => {}
        }
    }
    found
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
