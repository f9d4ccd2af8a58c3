//! How to call a hub, and the HTTP client that follows from it.

use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::redirect;

use crate::host::HostName;
use crate::resolve::GuardedResolver;
use crate::tls;

/// How to call a hub.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limit for an operation as a whole. Azure throttles by answering late, so a short limit
    /// makes things worse: the request takes effect all the same.
    pub request_timeout: Duration,
    /// The limit for name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Azure's own balancers cut at four minutes.
    pub pool_idle_timeout: Duration,
    /// Certificates in PEM that are trusted besides the system's.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Longest body of an answer, in bytes.
    pub max_body: usize,
    /// What the hub's logs call us.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(90),
            extra_root_pem: None,
            max_body: 8 * 1024 * 1024,
            user_agent: concat!("iothub/", env!("CARGO_PKG_VERSION")).to_owned(),
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

/// An HTTP client that reaches `host` and nothing else.
pub(crate) fn http_client(
    host: &HostName,
    options: Options,
) -> Result<reqwest::Client, SetupError> {
    let builder = client_builder(GuardedResolver::for_host(host), options)?;
    Ok(builder.https_only(true).build()?)
}

/// What all our HTTP clients have in common: certificates, addresses, no detours, no repetitions.
pub(crate) fn client_builder(
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

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use super::*;
    use crate::resolve::AddressRefused;

    #[tokio::test]
    async fn the_client_looks_at_addresses_before_it_connects() {
        let host = "h.azure-devices.net".parse().unwrap();
        let client = http_client(&host, Options::default()).unwrap();
        let error = client.get("https://localhost:9/").send().await.unwrap_err();
        let causes =
            std::iter::successors(Some(&error as &dyn StdError), |cause| (*cause).source());
        assert!(
            causes.into_iter().any(<dyn StdError>::is::<AddressRefused>),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn the_client_speaks_tls_only() {
        let host = "h.azure-devices.net".parse().unwrap();
        let client = http_client(&host, Options::default()).unwrap();
        let error = client.get("http://127.0.0.1:9/").send().await.unwrap_err();
        assert!(error.is_builder(), "{error:?}");
    }
}
