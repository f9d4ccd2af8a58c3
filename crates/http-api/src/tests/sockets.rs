//! The same over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::testing::{INTERNAL, Memory};
use crate::{Api, Limits, Offered, Sockets, serve};

struct Served {
    at: SocketAddr,
    api: Arc<Api<Memory>>,
    stop: CancellationToken,
    end: JoinHandle<()>,
}

async fn start(sockets: Sockets) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let api = Arc::new(Api::new(Memory::default(), Limits::default()));
    let stop = CancellationToken::new();
    let offered = Offered {
        internal: true,
        management: false,
    };
    let end = tokio::spawn(serve(
        listener,
        Arc::clone(&api),
        offered,
        sockets,
        stop.clone(),
    ));
    Served { at, api, stop, end }
}

/// Sends and reads until the other side ends the connection.
async fn talk(at: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn two_slashes_of_the_empty_tenant_come_through() {
    let served = start(Sockets::default()).await;
    let head = format!("POST {INTERNAL}/tenants//devices HTTP/1.1\r\nHost: x\r\nConnection: close");
    let answer = talk(
        served.at,
        &format!("{head}\r\nContent-Length: 10\r\n\r\n{{\"id\":\"d\"}}"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(answer.contains("content-length: 0\r\n"), "{answer}");
    assert_eq!(served.api.backend.held().events.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_answered_although_the_client_still_sends() {
    let served = start(Sockets::default()).await;
    let body = "x".repeat(3 * 1024 * 1024);
    let head = format!("POST {INTERNAL}/tenants//devices HTTP/1.1\r\nHost: x\r\nConnection: close");
    let answer = talk(
        served.at,
        &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("http: request body too large"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_and_a_slow_head_are_ended() {
    let served = start(Sockets {
        idle: Duration::from_millis(50),
        ..Sockets::default()
    })
    .await;
    assert_eq!(talk(served.at, "").await, "");
    let slow = talk(served.at, "GET / HTTP/1.1\r\nX-Slow: ").await;
    assert!(!slow.starts_with("HTTP/1.1 2"), "{slow}");
}

#[tokio::test]
async fn told_to_stop_it_says_so_first_and_ends_what_is_running() {
    let served = start(Sockets {
        linger: Duration::from_millis(300),
        ..Sockets::default()
    })
    .await;
    let head = format!("POST {INTERNAL}/tenants//devices HTTP/1.1\r\nHost: x");
    let mut running = TcpStream::connect(served.at).await.unwrap();
    running
        .write_all(format!("{head}\r\nContent-Length: 10\r\n\r\n{{\"id\"").as_bytes())
        .await
        .unwrap();
    served.stop.cancel();
    let health = format!("GET {INTERNAL}/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = talk(served.at, &health).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    while TcpStream::connect(served.at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    running.write_all(b":\"d\"}").await.unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    served.end.await.unwrap();
}
