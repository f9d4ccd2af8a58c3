//! A TCP proxy that can be told to misbehave: between a worker and NATS, a worker and its hub, or
//! two servers of a cluster.
//!
//! It knows nothing of what it carries. Swallowing bytes spoils a connection for good, so one that
//! lost some is cut when the proxy is opened again: just what a client meets whose last words never
//! arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK: usize = 16 * 1024;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// They pass.
    #[default]
    Open,
    /// What the client says is swallowed: requests and acks never arrive.
    Deaf,
    /// What the server says is swallowed: it did the work and nobody hears of it.
    Mute,
    /// Nobody is there: connections are closed, old ones and new ones.
    Closed,
}

/// A proxy on a free port of 127.0.0.1; it ends with its guard.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// Set late where the server chooses its port after the proxy was named to it.
    target: Mutex<Option<SocketAddr>>,
    way: watch::Sender<Way>,
    /// Counts the cuts; each ends every connection there is.
    cuts: watch::Sender<u64>,
}

impl Shared {
    fn target(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens; connections are closed until [`Proxy::set_target`].
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            way: watch::Sender::new(Way::Open),
            cuts: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Listens before a server at `target` (`127.0.0.1:PORT`, with or without a scheme).
    pub async fn before(target: &str) -> Result<Self> {
        let proxy = Self::start().await?;
        proxy.set_target(target)?;
        Ok(proxy)
    }

    /// Where new connections lead from now on.
    pub fn set_target(&self, target: &str) -> Result<()> {
        let address = target
            .split_once("://")
            .map_or(target, |(_, address)| address);
        let address = address
            .parse()
            .with_context(|| format!("not an address: {target}"))?;
        *self.shared.target() = Some(address);
        Ok(())
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes. Whatever was spoilt before is cut.
    pub fn set(&self, way: Way) {
        let before = self.shared.way.send_replace(way);
        if way == Way::Closed || before != Way::Open {
            self.cut();
        }
    }

    /// Ends every connection there is; new ones may come at once.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A client that is gone again before it was accepted is no reason to end.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, Arc::clone(&shared)));
        }
    }
}

/// Carries one connection until an end closes it or the proxy cuts it.
async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let target = *shared.target();
    let Some(target) = target.filter(|_| *shared.way.borrow() != Way::Closed) else {
        return;
    };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Small messages must not wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, &shared, Way::Deaf) => {}
        () = pump(from_server, to_client, &shared, Way::Mute) => {}
        _ = cuts.changed() => {}
    }
}

/// Copies one direction, except while the proxy goes the way that `swallows` it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, swallows: Way) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if *shared.way.borrow() == swallows {
            continue;
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers everything with the same.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, text: &str) -> Option<String> {
        stream.write_all(text.as_bytes()).await.ok()?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.ok()?;
        String::from_utf8(answer).ok()
    }

    #[tokio::test]
    async fn what_is_swallowed_is_gone_and_the_connection_with_it() {
        let proxy = Proxy::before(&echo().await.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await.as_deref(), Some("one"));
        for way in [Way::Deaf, Way::Mute] {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(say(&mut stream, "two").await.as_deref(), Some("two"));
            proxy.set(way);
            stream.write_all(b"lost").await.unwrap();
            proxy.set(Way::Open);
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert_eq!(rest, b"", "{way:?}");
        }
        assert_eq!(say(&mut stream, "old").await, None, "cut with the others");
    }

    #[tokio::test]
    async fn nobody_is_there_while_it_is_closed() {
        let proxy = Proxy::before(&echo().await.to_string()).await.unwrap();
        proxy.set(Way::Closed);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await, None);
        proxy.set(Way::Open);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "two").await.as_deref(), Some("two"));
    }
}
