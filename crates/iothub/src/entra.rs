//! Tokens from Microsoft Entra ID, the four ways that programs have.
//!
//! A program proves who it is with a secret, with a certificate, with the token of another issuer
//! (a Kubernetes service account), or by running on a machine that Azure vouches for. In each way
//! one request is sent and a token comes back that holds for about an hour. The requests are built
//! here and not by Azure's own crate: they are four, and that crate would bring a second HTTP stack
//! with more in it than this one.
//!
//! The secret goes only to hosts that are known or named by the configuration ([`Authority`]), by
//! HTTPS; plain HTTP is for addresses that do not leave the machine, as those of managed identity.

mod assertion;
mod authority;
mod managed;
mod reply;
mod request;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use zeroize::Zeroizing;

pub use assertion::{ClientCertificate, InvalidCertificate, SigningAlgorithm};
pub use authority::{Authority, EntraApp, InvalidAuthority};
pub use managed::{IdentityEndpoint, ManagedIdentity, WhichIdentity};

use crate::clock::HubClock;
use crate::error::{Effect, Error, Kind, Result};
use crate::host::HostName;
use crate::options::{Options, SetupError, client_builder};
use crate::secret::Secret;
use crate::token::Token;
use crate::transport::read_limited;

/// What a token is for, in Azure's clouds but one.
const RESOURCE: &str = "https://iothubs.azure.net";
/// What a token is for in the US government's cloud.
const RESOURCE_US: &str = "https://iothubs.azure.us";
/// As much of an answer as is read. Real ones have two or three kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// A clock that differs by more than this makes Entra refuse an assertion.
const CLOCK_TOLERANCE: u64 = 60;

/// How a program proves to Microsoft Entra ID who it is.
///
/// Microsoft's pages: [Client credentials flow](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow),
/// [Certificate credentials](https://learn.microsoft.com/entra/identity-platform/certificate-credentials),
/// [Managed identities](https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token),
/// [Workload identity federation](https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
#[derive(Debug, Clone)]
pub enum EntraSource {
    /// With a secret of the application.
    ClientSecret {
        /// The application.
        app: EntraApp,
        /// Its secret.
        secret: Secret,
    },
    /// With a certificate of the application.
    ClientCertificate {
        /// The application.
        app: EntraApp,
        /// Its certificate and key.
        certificate: ClientCertificate,
    },
    /// With a token of another issuer that the application trusts, for example Kubernetes.
    WorkloadIdentity {
        /// The application.
        app: EntraApp,
        /// The file with the other issuer's token. It is read for each request, because it changes.
        token_file: PathBuf,
    },
    /// As the machine or service this program runs on.
    ManagedIdentity(ManagedIdentity),
}

impl EntraSource {
    /// Workload identity as the AKS webhook sets it up: `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`,
    /// `AZURE_FEDERATED_TOKEN_FILE` and, if there is one, `AZURE_AUTHORITY_HOST`. `None` if one of the
    /// first three is missing.
    ///
    /// ```
    /// use iothub::entra::EntraSource;
    ///
    /// let source = EntraSource::workload_identity(|name| std::env::var(name).ok());
    /// ```
    pub fn workload_identity(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Result<Self, InvalidAuthority>> {
        let variable = |name| variable(name).filter(|text| !text.is_empty());
        let client = variable("AZURE_CLIENT_ID")?;
        let tenant = variable("AZURE_TENANT_ID")?;
        let token_file = variable("AZURE_FEDERATED_TOKEN_FILE")?.into();
        let authority = match variable("AZURE_AUTHORITY_HOST") {
            None => Ok(Authority::default()),
            Some(text) => text.parse(),
        };
        let app = authority.and_then(|authority| EntraApp::new(authority, &tenant, &client));
        Some(app.map(|app| Self::WorkloadIdentity { app, token_file }))
    }

    /// The one host that is asked, if it may have any address.
    fn exempt_host(&self) -> Option<String> {
        match self {
            Self::ClientSecret { app, .. }
            | Self::ClientCertificate { app, .. }
            | Self::WorkloadIdentity { app, .. } => app.authority().exempt_host(),
            Self::ManagedIdentity(managed) => Some(managed.endpoint.host().to_owned()),
        }
    }
}

/// An identity in Microsoft Entra ID. Clones share their connections.
///
/// ```no_run
/// use iothub::entra::{Authority, Entra, EntraApp, EntraSource};
/// use iothub::{Credential, Hub, Options, Secret};
///
/// # fn example(secret: Secret) -> Result<(), Box<dyn std::error::Error>> {
/// let app = EntraApp::new(Authority::default(), "contoso.onmicrosoft.com", "00000000-...")?;
/// let source = EntraSource::ClientSecret { app, secret };
/// let credential = Credential::Entra(Entra::new(source, Options::default())?);
/// let hub = Hub::new("h.azure-devices.net".parse()?, credential, Options::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Entra(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: EntraSource,
    http: reqwest::Client,
    request_timeout: Duration,
    /// The issuer's clock, by which assertions are judged.
    clock: HubClock,
}

impl Entra {
    /// An identity that asks for tokens in this way, with these limits. Connects to nothing yet.
    pub fn new(source: EntraSource, options: Options) -> Result<Self, SetupError> {
        let request_timeout = options.request_timeout;
        let resolver = outbound::GuardedResolver::exempting(source.exempt_host());
        // Whether a URL may be plain HTTP was decided when it was made.
        let http = client_builder(resolver, options)?.build()?;
        Ok(Self(Arc::new(Inner {
            source,
            http,
            request_timeout,
            clock: HubClock::default(),
        })))
    }

    /// A new token for calls to `host`. `now` is the hub's time in Unix seconds.
    pub(crate) async fn token(&self, host: &HostName, now: u64) -> Result<Token> {
        let resource = if host.as_str().ends_with(".azure-devices.us") {
            RESOURCE_US
        } else {
            RESOURCE
        };
        let EntraSource::ManagedIdentity(managed) = &self.0.source else {
            return self.0.for_app(resource, now).await;
        };
        let mut last = Error::unsent("no managed identity was asked");
        for pause in &managed.retries {
            tokio::time::sleep(*pause).await;
            let answer = self.0.exchange(managed.request(resource)?).await?;
            match reply::token(&answer, now) {
                Err(error) if managed::is_passing(&answer) => last = error,
                result => return result,
            }
        }
        Err(last)
    }
}

impl Inner {
    /// Asks for a token for an application, once more if the refusal told that the clock is wrong.
    async fn for_app(&self, resource: &str, now: u64) -> Result<Token> {
        let before = self.clock.now();
        let first = self.ask(resource, now).await;
        let refused = matches!(&first, Err(error) if error.kind() == Kind::Unauthorized);
        let signs = matches!(self.source, EntraSource::ClientCertificate { .. });
        if refused && signs && self.clock.now().abs_diff(before) > CLOCK_TOLERANCE {
            return self.ask(resource, now).await;
        }
        first
    }

    async fn ask(&self, resource: &str, now: u64) -> Result<Token> {
        let request = match &self.source {
            EntraSource::ClientSecret { app, secret } => {
                request::with_secret(app, resource, secret)
            }
            EntraSource::ClientCertificate { app, certificate } => {
                let assertion = certificate.assertion(app, self.clock.now())?;
                request::with_assertion(app, resource, &assertion)
            }
            EntraSource::WorkloadIdentity { app, token_file } => {
                let file = tokio::fs::read_to_string(token_file).await;
                let file = file.map(Secret::from).map_err(|_| {
                    Error::new(Kind::Unauthorized, Effect::None)
                        .with_detail("the file with the federated token cannot be read")
                })?;
                request::with_assertion(app, resource, &file)
            }
            EntraSource::ManagedIdentity(managed) => managed.request(resource),
        };
        let answer = self.exchange(request?).await?;
        reply::token(&answer, now)
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Reply> {
        let mut request = reqwest::Request::try_from(request).map_err(Error::no_token)?;
        *request.timeout_mut() = Some(self.request_timeout);
        let mut response = self.http.execute(request).await.map_err(Error::no_token)?;
        self.clock.learn(response.headers());
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = read_limited(&mut response, MAX_ANSWER).await;
        Ok(Reply {
            status,
            headers,
            body: body.map_err(Error::no_token)?,
        })
    }
}

/// What was answered to a request for a token.
struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(authority: Option<&str>, file: &str) -> Option<Result<EntraSource, InvalidAuthority>> {
        EntraSource::workload_identity(|name| match name {
            "AZURE_CLIENT_ID" => Some("client".into()),
            "AZURE_TENANT_ID" => Some("tenant".into()),
            "AZURE_FEDERATED_TOKEN_FILE" => Some(file.into()),
            _ => authority.map(str::to_owned),
        })
    }

    #[test]
    fn a_workload_identity_is_found_by_its_variables() {
        let source = from(Some("https://login.microsoftonline.us/"), "/token").unwrap();
        let EntraSource::WorkloadIdentity { app, token_file } = source.unwrap() else {
            panic!("another way");
        };
        assert_eq!(token_file, PathBuf::from("/token"));
        assert_eq!(
            app.token_url(),
            "https://login.microsoftonline.us/tenant/oauth2/v2.0/token"
        );
    }

    #[test]
    fn without_its_variables_there_is_none_and_a_strange_authority_is_refused() {
        assert!(from(None, "").is_none());
        assert!(from(None, "/token").unwrap().is_ok());
        let strange = from(Some("https://login.example.org"), "/token").unwrap();
        assert_eq!(strange.unwrap_err(), InvalidAuthority::Unknown);
    }

    #[test]
    fn debug_shows_no_secret() {
        let app = EntraApp::new(Authority::default(), "tenant", "client").unwrap();
        let secret = "sesame".into();
        let source = EntraSource::ClientSecret { app, secret };
        let entra = Entra::new(source, Options::default()).unwrap();
        let shown = format!("{entra:?}");
        assert!(
            shown.contains("tenant") && !shown.contains("sesame"),
            "{shown}"
        );
    }
}
