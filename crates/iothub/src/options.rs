//! How to call a hub, and the HTTP client that follows from it.

use std::sync::Arc;
use std::time::Duration;

use outbound::GuardedResolver;
pub use outbound::SetupError;

use crate::host::HostName;
use crate::watch::Watch;

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
    /// Who hears of each operation.
    pub watch: Option<Arc<dyn Watch>>,
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
            watch: None,
        }
    }
}

/// An HTTP client that reaches `host` and nothing else.
pub(crate) fn http_client(
    host: &HostName,
    options: Options,
) -> Result<reqwest::Client, SetupError> {
    let exempt = host.is_configured().then(|| host.name().to_owned());
    let builder = client_builder(GuardedResolver::exempting(exempt), options)?;
    Ok(builder.https_only(true).build()?)
}

/// A client whose requests may lead wherever the resolver lets them.
pub(crate) fn client_builder(
    resolver: GuardedResolver,
    options: Options,
) -> Result<reqwest::ClientBuilder, SetupError> {
    let options = outbound::Options {
        connect_timeout: options.connect_timeout,
        pool_idle_timeout: options.pool_idle_timeout,
        extra_root_pem: options.extra_root_pem,
        user_agent: options.user_agent,
    };
    outbound::client_builder(resolver, options)
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use outbound::AddressRefused;

    use super::*;
    use crate::host::AllowedHosts;

    fn is_refused(error: &reqwest::Error) -> bool {
        std::iter::successors(Some(error as &dyn StdError), |cause| (*cause).source())
            .any(<dyn StdError>::is::<AddressRefused>)
    }

    #[tokio::test]
    async fn the_client_looks_at_addresses_before_it_connects() {
        let host = "h.azure-devices.net".parse().unwrap();
        let client = http_client(&host, Options::default()).unwrap();
        let error = client.get("https://localhost:9/").send().await.unwrap_err();
        assert!(is_refused(&error), "{error:?}");
    }

    #[tokio::test]
    async fn a_configured_host_may_be_this_machine() {
        let allowed = AllowedHosts::new(["localhost:9"]).unwrap();
        let host = allowed.check("localhost:9").unwrap();
        let client = http_client(&host, Options::default()).unwrap();
        let error = client.get("https://localhost:9/").send().await.unwrap_err();
        assert!(error.is_connect() && !is_refused(&error), "{error:?}");
    }

    #[tokio::test]
    async fn the_client_speaks_tls_only() {
        let host = "h.azure-devices.net".parse().unwrap();
        let client = http_client(&host, Options::default()).unwrap();
        let error = client.get("http://127.0.0.1:9/").send().await.unwrap_err();
        assert!(error.is_builder(), "{error:?}");
    }
}
