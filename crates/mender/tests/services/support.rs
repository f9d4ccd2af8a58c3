//! A server that plays a list of answers, byte for byte, and keeps what it was asked.
//!
//! One answer for each connection, which it then closes: what a client does when an answer is cut
//! off, late or missing can so be written down exactly.

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use mender::{Deviceauth, Deviceconfig, Inventory, Options, Useradm};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one request.
pub(crate) enum Play {
    /// These bytes, then the end of the connection.
    Answer(String),
    /// The end of the connection without a word.
    HangUp,
    /// Nothing at all, until the client gives up.
    Silence,
}

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    base_url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(plays: Vec<Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(play(listener, plays, Arc::clone(&asked)));
        Self {
            base_url: format!("http://{address}"),
            asked,
        }
    }

    /// One answer: a status line without version, a body.
    pub(crate) async fn answering(status: &str, body: &str) -> Self {
        Self::start(vec![answer(status, "", body)]).await
    }

    pub(crate) fn deviceconfig(&self) -> Deviceconfig {
        install_tls();
        Deviceconfig::new(&self.base_url, options()).expect("a client")
    }

    pub(crate) fn deviceauth(&self) -> Deviceauth {
        install_tls();
        Deviceauth::new(&self.base_url, options()).expect("a client")
    }

    pub(crate) fn useradm(&self) -> Useradm {
        install_tls();
        Useradm::new(&self.base_url, options()).expect("a client")
    }

    pub(crate) fn inventory(&self) -> Inventory {
        install_tls();
        Inventory::new(&self.base_url, options()).expect("a client")
    }

    /// The requests so far, head and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

/// An answer with further headers, each ending in `\r\n`.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Play {
    let length = body.len();
    Play::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

/// Short, because only the tests of silence wait for it; long enough for a loaded machine.
pub(crate) fn options() -> Options {
    Options {
        timeout: Duration::from_secs(2),
        ..Options::default()
    }
}

pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("nobody else installs one");
    });
}

async fn play(listener: TcpListener, plays: Vec<Play>, asked: Arc<Mutex<Vec<String>>>) {
    let mut silent = Vec::new();
    for play in plays {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let request = read(&mut stream).await;
        asked.lock().expect("no test panics with it").push(request);
        match play {
            Play::Answer(bytes) => {
                stream.write_all(bytes.as_bytes()).await.expect("a reader");
                stream.shutdown().await.expect("a reader");
            }
            Play::HangUp => drop(stream),
            Play::Silence => silent.push(stream),
        }
    }
    if !silent.is_empty() {
        std::future::pending::<()>().await;
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return text;
        }
        let read = stream.read_buf(&mut request).await.expect("a writer");
        assert!(read > 0, "the client hung up within a request");
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().expect("a length"))
}
