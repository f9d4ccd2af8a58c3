//! One exchange, as the emulator wrote it down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A request and its answer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Exchange {
    pub(super) seq: u64,
    pub(super) method: String,
    /// As it was sent, before percent-decoding.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: BTreeMap<String, String>,
    /// `None` if it was too long.
    pub(super) body: Option<String>,
    /// `None` if there was none.
    pub(super) reply: Option<Reply>,
}

/// An answer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Exchange {
    /// Whether it is about a token, which is another service.
    pub(super) fn is_for_issuer(&self) -> bool {
        ["/oauth2/", "/metadata/", "/msi/"]
            .iter()
            .any(|it| self.path.contains(it))
    }
}
