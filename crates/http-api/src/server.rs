//! The sockets: bounded in number and in time, and ended in good order.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::ports::Backend;
use crate::route::Offered;

/// How many connections there may be, and how they end.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// How long a connection may be idle, and how long the head of a request may take. Longer than
    /// gateways keep idle connections (Traefik: 90 s), so that it is they who close them.
    pub idle: Duration,
    /// How long new connections are still taken after the service was told to stop, so that
    /// whoever looks at the health check can go elsewhere.
    pub linger: Duration,
    /// How long what is running then gets to end.
    pub stop_within: Duration,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            connections: 1_024,
            idle: Duration::from_secs(100),
            linger: Duration::from_secs(1),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Serves until told to stop, then ends what is running.
pub async fn serve<B: Backend>(
    listener: TcpListener,
    api: Arc<Api<B>>,
    offered: Offered,
    sockets: Sockets,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(sockets.connections));
    let mut connections = JoinSet::new();
    let ended = CancellationToken::new();
    let closing = async {
        stop.cancelled().await;
        api.begin_to_stop();
        tokio::time::sleep(sockets.linger).await;
    };
    tokio::pin!(closing);
    loop {
        // The semaphore is never closed.
        let place = tokio::select! {
            () = &mut closing => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let stream = tokio::select! {
            () = &mut closing => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            // Out of files; it would fail again at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (api, ended) = (Arc::clone(&api), ended.clone());
        connections.spawn(async move {
            connection(stream, &api, offered, sockets, &ended).await;
            drop(place);
        });
    }
    drop(listener);
    ended.cancel();
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(sockets.stop_within, all)
        .await
        .is_err()
    {
        tracing::warn!("requests that did not end in time are cut off");
    }
}

async fn connection<B: Backend>(
    stream: TcpStream,
    api: &Arc<Api<B>>,
    offered: Offered,
    sockets: Sockets,
    ended: &CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, std::convert::Infallible>(api.answer(offered, request.map(Body::new)).await)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(sockets.idle);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ended.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
