//! A server that gives the answers it was told to give, over TLS, and remembers what it was asked.
//!
//! It speaks just enough HTTP to break it in every way that matters: it can fall silent, hang up
//! after reading, or stop in the middle of a body.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iothub::entra::Entra;
use iothub::{AllowedHosts, ConnectionString, Credential, DeviceId, Hub, Options};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What the server does with a request.
pub(crate) enum Reply {
    /// Writes these bytes and waits for the next request.
    Answer(String),
    /// Writes these bytes and hangs up.
    Last(String),
    /// Answers with this body after a while.
    After(Duration, String),
    /// Reads the request and never answers.
    Silence,
}

/// An answer with a body of known length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub(crate) fn ok(body: &str) -> Reply {
    answer(
        "200 OK",
        "Content-Type: application/json; charset=utf-8\r\n",
        body,
    )
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The request line and headers, header names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The expiry in the token.
    pub(crate) fn expiry(&self) -> u64 {
        let token = self.header("authorization").unwrap();
        token
            .split('&')
            .find_map(|part| part.strip_prefix("se="))
            .unwrap()
            .parse()
            .unwrap()
    }
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
    connections: usize,
}

pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    port: u16,
    pub(crate) root_pem: String,
}

impl Server {
    pub(crate) async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            replies: replies.into_iter().collect(),
            ..State::default()
        }));
        tokio::spawn(accept(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            Arc::clone(&state),
        ));
        Self {
            state,
            port,
            root_pem: made.cert.pem(),
        }
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Options that trust this server and give up early enough for a test.
    pub(crate) fn options(&self) -> Options {
        Options {
            extra_root_pem: Some(self.root_pem.clone().into_bytes()),
            ..Options::default()
        }
    }

    pub(crate) fn hub(&self) -> Hub {
        self.hub_with(self.options())
    }

    pub(crate) fn hub_with(&self, options: Options) -> Hub {
        hub(&self.host(), options)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

/// A client for this server as an identity of Microsoft Entra ID.
pub(crate) fn hub_of(server: &Server, entra: Entra) -> Hub {
    let host = server.host();
    let host = AllowedHosts::new([&host]).unwrap().check(&host).unwrap();
    Hub::new(host, Credential::Entra(entra), server.options()).unwrap()
}

/// A client for a host that the configuration allows.
pub(crate) fn hub(host: &str, options: Options) -> Hub {
    let text = format!("HostName={host};SharedAccessKeyName=worker;SharedAccessKey={KEY}");
    let connection: ConnectionString = text.parse().unwrap();
    let allowed = AllowedHosts::new([host]).unwrap();
    let host = allowed.check(connection.host()).unwrap();
    Hub::new(host, connection.credential().unwrap(), options).unwrap()
}

pub(crate) fn id() -> DeviceId {
    "dev-1".parse().unwrap()
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, tls.clone(), Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    let Ok(mut stream) = tls.accept(stream).await else {
        return;
    };
    state.lock().unwrap().connections += 1;
    while let Some(seen) = read(&mut stream).await {
        let reply = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen);
            state.replies.pop_front()
        };
        match reply {
            Some(Reply::Answer(bytes)) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Some(Reply::Last(bytes)) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                // The client may have hung up first, on a body that is too large.
                let _ = stream.shutdown().await;
                return;
            }
            Some(Reply::After(pause, body)) => {
                tokio::time::sleep(pause).await;
                let Reply::Answer(bytes) = ok(&body) else {
                    unreachable!("`ok` makes answers");
                };
                stream.write_all(bytes.as_bytes()).await.unwrap();
            }
            Some(Reply::Silence) => std::future::pending().await,
            // More was asked than the test foresaw: the test sees it in the list of requests.
            None => return,
        }
    }
}

/// One request, or nothing when the client hung up.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut seen = Seen {
        head,
        body: String::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
