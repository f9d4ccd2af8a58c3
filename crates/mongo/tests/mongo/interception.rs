//! A TCP proxy before a server that understands as much of MongoDB's protocol as it takes to spoil one
//! command: messages (`OP_MSG`) and the name of the command in them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mongodb::bson::Document;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The kind of message that all commands and answers are (mongodb/docs, "MongoDB Wire Protocol").
const OP_MSG: i32 = 2013;
/// Length, request, answered request and kind.
const HEADER: usize = 16;
/// Header, flags and the kind of the first section, which is the document itself.
const BEFORE_DOCUMENT: usize = HEADER + 4 + 1;
/// Longer messages are none (`maxMessageSizeBytes`).
const LONGEST: usize = 48_000_000;

type Edit = Arc<dyn Fn(&mut Document) + Send + Sync>;

/// What becomes of a command.
#[derive(Clone)]
pub(crate) enum Fate {
    /// The server never sees it; this is the answer.
    Refused(Document),
    /// The server does it, and its answer is changed.
    Answered(Edit),
    /// The server does it, and the connection ends in the place of an answer.
    Cut,
}

impl Fate {
    pub(crate) fn answered(edit: impl Fn(&mut Document) + Send + Sync + 'static) -> Self {
        Self::Answered(Arc::new(edit))
    }
}

struct Trap {
    command: String,
    fate: Fate,
    left: usize,
}

#[derive(Default)]
struct Shared {
    trap: Mutex<Option<Trap>>,
    struck: Mutex<usize>,
}

impl Shared {
    /// What becomes of this message, if anything special.
    fn fate(&self, message: &[u8]) -> Option<Fate> {
        let mut trap = self.trap.lock().unwrap();
        let trap = trap.as_mut().filter(|trap| trap.left > 0)?;
        if document(message)?.keys().next() != Some(&trap.command) {
            return None;
        }
        trap.left -= 1;
        *self.struck.lock().unwrap() += 1;
        Some(trap.fate.clone())
    }
}

/// A proxy on a free port of 127.0.0.1; it ends with its guard.
pub(crate) struct Interception {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Interception {
    /// Listens before the one server that `uri` names.
    pub(crate) async fn before(uri: &str) -> Self {
        let target = uri.trim_start_matches("mongodb://");
        let target = target.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// A connection string that leads through here, and nowhere else.
    ///
    /// A primary that steps down tells so at once to those who watch it, and the one behind here does not
    /// even know that it did. So it is asked anew.
    pub(crate) fn uri(&self) -> String {
        let options = "directConnection=true&serverMonitoringMode=poll";
        format!("mongodb://{}/?{options}", self.address)
    }

    /// The next `times` commands of this name meet this fate.
    pub(crate) fn spoil(&self, command: &str, times: usize, fate: Fate) {
        *self.shared.struck.lock().unwrap() = 0;
        *self.shared.trap.lock().unwrap() = Some(Trap {
            command: command.to_owned(),
            fate,
            left: times,
        });
    }

    /// Everything passes from now on. Tells how many commands were spoilt.
    pub(crate) fn relent(&self) -> usize {
        *self.shared.trap.lock().unwrap() = None;
        *self.shared.struck.lock().unwrap()
    }
}

impl Drop for Interception {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&target).await;
        if let Ok(server) = server {
            tokio::spawn(carry(client, server, Arc::clone(&shared)));
        }
    }
}

type Awaited = Mutex<HashMap<i32, Fate>>;

/// Carries one connection until an end closes it or it is cut.
async fn carry(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let to_client = tokio::sync::Mutex::new(to_client);
    let awaited = Awaited::default();
    tokio::select! {
        _ = commands(from_client, to_server, &to_client, &shared, &awaited) => {}
        _ = answers(from_server, &to_client, &awaited) => {}
    }
}

async fn commands(
    mut from: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: &tokio::sync::Mutex<OwnedWriteHalf>,
    shared: &Shared,
    awaited: &Awaited,
) -> io::Result<()> {
    loop {
        let message = read(&mut from).await?;
        let request = number(&message, 4);
        match shared.fate(&message) {
            Some(Fate::Refused(answer)) => {
                let answer = answer_to(request, &answer);
                to_client.lock().await.write_all(&answer).await?;
                continue;
            }
            Some(fate) => drop(awaited.lock().unwrap().insert(request, fate)),
            None => {}
        }
        to_server.write_all(&message).await?;
    }
}

/// Ends with an error where the connection is to be cut.
async fn answers(
    mut from: OwnedReadHalf,
    to_client: &tokio::sync::Mutex<OwnedWriteHalf>,
    awaited: &Awaited,
) -> io::Result<()> {
    loop {
        let mut message = read(&mut from).await?;
        let request = number(&message, 8);
        let fate = awaited.lock().unwrap().remove(&request);
        match fate {
            Some(Fate::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Fate::Answered(edit)) => {
                let mut answer = document(&message).expect("an answer");
                edit(&mut answer);
                message = answer_to(request, &answer);
            }
            Some(Fate::Refused(_)) | None => {}
        }
        to_client.lock().await.write_all(&message).await?;
    }
}

async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message).await?;
    let length = usize::try_from(number(&message, 0)).unwrap_or_default();
    if !(HEADER..=LONGEST).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.resize(length, 0);
    from.read_exact(&mut message[HEADER..]).await?;
    Ok(message)
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().unwrap())
}

/// The document of a command or an answer.
fn document(message: &[u8]) -> Option<Document> {
    if number(message, 12) != OP_MSG || message.get(BEFORE_DOCUMENT - 1) != Some(&0) {
        return None;
    }
    Document::from_reader(message.get(BEFORE_DOCUMENT..)?).ok()
}

fn answer_to(request: i32, answer: &Document) -> Vec<u8> {
    let mut document = Vec::new();
    answer.to_writer(&mut document).unwrap();
    let length = i32::try_from(BEFORE_DOCUMENT + document.len()).unwrap();
    let mut message = Vec::new();
    // The request number of an answer means nothing to anybody; no flags; a section of kind 0.
    for word in [length, 1, request, OP_MSG, 0] {
        message.extend(word.to_le_bytes());
    }
    message.push(0);
    message.extend(document);
    message
}
