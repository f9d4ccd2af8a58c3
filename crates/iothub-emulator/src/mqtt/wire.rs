//! A stream of packets over a stream of bytes.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_proto::v3::Packet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::codec::{self, Malformed};

/// How long a client may take to accept what it is sent.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// How long it may take to say goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Room made for reading at a time.
const READ: usize = 4 * 1024;

/// Why no more packets come, or none can be sent.
#[derive(Debug)]
pub(super) enum Broken {
    /// The other side has closed.
    Closed,
    /// It sent something that is no packet.
    Malformed(Malformed),
    /// It did not take what it was sent in time.
    Stuck,
    /// The connection failed.
    Io(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the other side"),
            Self::Malformed(what) => write!(f, "not a packet of MQTT 3.1.1: {what:?}"),
            Self::Stuck => f.write_str("the other side does not read"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // rustls' word for a peer that closes without saying so, as most clients do.
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Packets in both directions.
pub(super) struct Wire<S> {
    stream: S,
    buffer: BytesMut,
    limit: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A stream whose packets may be so long at first.
    pub(super) fn new(stream: S, limit: usize) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// Takes packets of this length from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next packet. Nothing is lost if this is dropped before it is done.
    pub(super) async fn next(&mut self) -> Result<Packet, Broken> {
        loop {
            let packet = codec::take(&mut self.buffer, self.limit);
            if let Some(packet) = packet.map_err(Broken::Malformed)? {
                return Ok(packet);
            }
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Broken::Closed);
            }
        }
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, packet: impl Into<Packet>) -> Result<(), Broken> {
        let too_long = Broken::Malformed(Malformed::TooLong);
        let bytes = codec::encode(&packet.into()).ok_or(too_long)?;
        let sending = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        timeout(WRITE_TIME, sending)
            .await
            .map_err(|_| Broken::Stuck)?
            .map_err(Broken::from)
    }

    /// Says goodbye, if the other side still listens.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_TIME, self.stream.shutdown()).await;
    }
}
