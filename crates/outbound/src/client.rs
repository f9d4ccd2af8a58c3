//! What all our HTTP clients have in common.

use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::redirect;

use crate::tls;

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limit for name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// Certificates in PEM that are trusted besides the system's.
    pub extra_root_pem: Option<Vec<u8>>,
    /// What the other side's logs call us.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(90),
            extra_root_pem: None,
            user_agent: concat!("mender-iothub/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// [`Options::extra_root_pem`] holds no usable certificate.
    #[error("the extra root certificate is no certificate in PEM")]
    Root,
    /// The HTTP client refused the options, for example the user agent.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// Certificates, addresses, no detours, no repetitions. Plain HTTP is for the caller to forbid.
pub fn client_builder(
    resolver: impl Resolve + 'static,
    options: Options,
) -> Result<reqwest::ClientBuilder, SetupError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(options.extra_root_pem.as_deref())?)
        .dns_resolver(resolver)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .user_agent(options.user_agent)
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(options.pool_idle_timeout);
    Ok(builder)
}
