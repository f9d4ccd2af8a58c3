//! Connections: TLS, HTTP/1.1 and HTTP/2, and bodies of a bounded size.
//!
//! Nothing a client sends may end the emulator: a failed handshake, an over-long header or a body
//! without end costs that client its connection and nobody else anything. Every wait for a client
//! has a limit.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::exchange::{self, Arrived};
use crate::hub::Hub;

/// Longest body any operation takes, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long a client may take for its handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may stay without the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(120);
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Pause after a failed accept, which most often means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The request gets no answer; the connection is closed.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request dropped without an answer")
    }
}

impl std::error::Error for Dropped {}

/// Accepts connections until the task is dropped.
pub(crate) async fn serve(hub: Arc<Hub>, listener: TcpListener, tls: TlsAcceptor) -> Infallible {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(connection(Arc::clone(&hub), stream, tls.clone()));
    }
}

/// The next connection, whatever it takes.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and awaited; a failure only costs time.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(hub: Arc<Hub>, stream: TcpStream, tls: TlsAcceptor) {
    let stream = match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "TLS handshake failed"),
        Err(_) => return debug!("TLS handshake took too long"),
    };
    let service = service_fn(move |request| answer(Arc::clone(&hub), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024);
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        debug!(%error, "connection ended");
    }
}

async fn answer(
    hub: Arc<Hub>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let arrived = Arrived {
        head,
        body,
        encrypted: true,
    };
    let (reply, answer) = oneshot::channel();
    tokio::spawn(exchange::run(hub, arrived, reply));
    answer.await.map_err(|_| Dropped)
}

/// Reads a body; `None` if it is too long.
async fn read(body: Incoming) -> Result<Option<Bytes>, Dropped> {
    let collected = timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await;
    match collected.map_err(|_| Dropped)? {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => {
            debug!(%error, "body broke off");
            Err(Dropped)
        }
    }
}
