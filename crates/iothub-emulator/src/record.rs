//! Whole exchanges, written down on request, for whoever holds them against a description.
//!
//! The journal knows no bodies, because they hold keys. This record has them, and so it is a file
//! that only its owner can read, made only if the command line asks for it. Of credentials in
//! headers it keeps the kind and nothing else.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::warn;

use crate::exchange::Arrived;

/// A file of exchanges, one JSON object a line.
#[derive(Debug)]
pub(crate) struct Record(Mutex<File>);

/// One exchange.
#[derive(Serialize)]
struct Exchange<'a> {
    /// Its number in the journal.
    seq: u64,
    method: &'a str,
    /// As it was sent, before percent-decoding.
    path: &'a str,
    query: &'a str,
    headers: Map<String, Value>,
    /// `null` if it was longer than the service takes.
    body: Option<String>,
    /// `null` if there was none.
    reply: Option<Reply>,
}

#[derive(Serialize)]
struct Reply {
    status: u16,
    headers: Map<String, Value>,
    body: String,
}

impl Record {
    /// Writes to the end of this file, which from then on is its owner's alone.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        // It may have been there before, open to others.
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(Self(Mutex::new(file)))
    }

    /// Writes an exchange down. It is in the file before its answer is sent, so whoever has seen the
    /// answer finds it.
    pub(crate) fn write(&self, seq: u64, arrived: &Arrived, reply: Option<&Response<Bytes>>) {
        let Arrived { head, body, .. } = arrived;
        let exchange = Exchange {
            seq,
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: headers(&head.headers),
            body: body.as_deref().map(text),
            reply: reply.map(|reply| Reply {
                status: reply.status().as_u16(),
                headers: headers(reply.headers()),
                body: text(reply.body()),
            }),
        };
        let mut line =
            serde_json::to_vec(&exchange).expect("text keys and plain values always serialize");
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&line) {
            warn!(%error, "failed to write an exchange down");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn headers(map: &HeaderMap) -> Map<String, Value> {
    let shown = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let mut value = text(value.as_bytes());
        if matches!(name.as_str(), "authorization" | "x-identity-header") {
            let kind = value.split(' ').next().unwrap_or_default().len();
            value.truncate(if name == header::AUTHORIZATION {
                kind
            } else {
                0
            });
        }
        (name.as_str().to_owned(), Value::String(value))
    };
    map.iter().map(shown).collect()
}
