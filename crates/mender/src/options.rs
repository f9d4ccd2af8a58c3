//! What a client is made with, and why it may not be made.

use std::sync::Arc;
use std::time::Duration;

use crate::base_url::BaseUrlError;
use crate::watch::Watch;

/// Limits of a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long one request may take from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How long connecting alone may take.
    pub connect_timeout: Duration,
    /// Who hears of each request.
    pub watch: Option<Arc<dyn Watch>>,
}

impl Default for Options {
    /// Ten seconds for a request: Mender's own services give each other eight. Three of them for
    /// connecting.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            watch: None,
        }
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address of the service cannot be used.
    #[error("base URL: {0}")]
    BaseUrl(#[from] BaseUrlError),
    /// The process has not installed a TLS provider.
    #[error("no TLS provider is installed in this process")]
    NoTlsProvider,
    /// The HTTP client could not be made, for instance because no root certificates were found.
    #[error("HTTP client: {0}")]
    Http(String),
}
