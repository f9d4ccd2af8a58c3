//! Managed identity: the platform vouches for the machine, and an address that only the machine
//! can reach hands out tokens.
//!
//! The service behind that address is small and often busy, and Microsoft's advice is to ask up to
//! five times with growing pauses. That is the one place where this crate waits by itself: no
//! caller could know that these refusals pass.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use percent_encoding::utf8_percent_encode;

use super::Reply;
use super::authority::{Endpoint, InvalidAuthority};
use crate::error::{Error, Result};
use crate::sas::ENCODED;
use crate::secret::Secret;

const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";
/// The pauses before each try, by Microsoft's advice.
const RETRIES: [u64; 5] = [0, 2, 6, 14, 30];

/// The identity of the machine or service that the program runs on.
///
/// ```
/// use iothub::entra::{EntraSource, ManagedIdentity, WhichIdentity};
///
/// let own = EntraSource::ManagedIdentity(ManagedIdentity::default());
/// let other = EntraSource::ManagedIdentity(ManagedIdentity {
///     which: WhichIdentity::ClientId("11111111-2222".into()),
///     ..ManagedIdentity::default()
/// });
/// ```
#[derive(Debug, Clone)]
pub struct ManagedIdentity {
    /// The machine's own identity, or one of those assigned to it.
    pub which: WhichIdentity,
    /// Who hands out the tokens.
    pub endpoint: IdentityEndpoint,
    /// The pauses before each try: 0, 2, 6, 14 and 30 s unless set otherwise.
    pub retries: Vec<Duration>,
}

impl Default for ManagedIdentity {
    fn default() -> Self {
        Self {
            which: WhichIdentity::default(),
            endpoint: IdentityEndpoint::default(),
            retries: RETRIES.map(Duration::from_secs).to_vec(),
        }
    }
}

/// Which of a machine's identities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WhichIdentity {
    /// Its own.
    #[default]
    System,
    /// The user-assigned one with this client id.
    ClientId(String),
    /// The user-assigned one with this object (principal) id.
    ObjectId(String),
    /// The user-assigned one with this resource id.
    ResourceId(String),
}

/// Who hands out the tokens of managed identities.
#[derive(Debug, Clone)]
pub struct IdentityEndpoint {
    endpoint: Endpoint,
    /// What App Service wants to hear. Without it, it is the metadata service of virtual machines.
    header: Option<Secret>,
}

impl Default for IdentityEndpoint {
    fn default() -> Self {
        Self::virtual_machine(IMDS).expect("the address of the metadata service is link-local")
    }
}

impl IdentityEndpoint {
    /// The metadata service of virtual machines at this URL; the default is its real address.
    pub fn virtual_machine(url: &str) -> Result<Self, InvalidAuthority> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            header: None,
        })
    }

    /// The service of App Service, Functions and Container Apps: the values of
    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`. No recording of it was at hand; it is written
    /// after Microsoft's documentation.
    pub fn app_service(url: &str, header: Secret) -> Result<Self, InvalidAuthority> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            header: Some(header),
        })
    }

    /// App Service if its variables are set, else the metadata service of virtual machines.
    ///
    /// ```
    /// use iothub::entra::IdentityEndpoint;
    ///
    /// let endpoint = IdentityEndpoint::from_environment(|name| std::env::var(name).ok());
    /// ```
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidAuthority> {
        match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
            (Some(url), Some(header)) => Self::app_service(&url, header.into()),
            _ => Ok(Self::default()),
        }
    }

    pub(super) fn host(&self) -> &str {
        self.endpoint.host()
    }
}

impl ManagedIdentity {
    /// The request for a token. The resource is named without the `/.default` of other ways.
    pub(super) fn request(&self, resource: &str) -> Result<Request<Bytes>> {
        let version = match self.endpoint.header {
            None => IMDS_VERSION,
            Some(_) => APP_SERVICE_VERSION,
        };
        let mut uri = format!("{}?api-version={version}", self.endpoint.endpoint.url());
        let mut add = |name: &str, value: &str| {
            uri.push('&');
            uri.push_str(name);
            uri.push('=');
            uri.extend(utf8_percent_encode(value, ENCODED));
        };
        add("resource", resource);
        match (&self.which, &self.endpoint.header) {
            (WhichIdentity::System, _) => {}
            (WhichIdentity::ClientId(id), _) => add("client_id", id),
            (WhichIdentity::ObjectId(id), None) => add("object_id", id),
            (WhichIdentity::ObjectId(id), Some(_)) => add("principal_id", id),
            (WhichIdentity::ResourceId(id), None) => add("msi_res_id", id),
            (WhichIdentity::ResourceId(id), Some(_)) => add("mi_res_id", id),
        }
        let failed = |_| Error::invalid("the request for a token could not be built");
        let (name, value) = match &self.endpoint.header {
            None => ("metadata", HeaderValue::from_static("true")),
            Some(secret) => {
                let value = HeaderValue::from_str(secret.expose());
                let mut value =
                    value.map_err(|_| Error::invalid("the identity header is malformed"))?;
                value.set_sensitive(true);
                ("x-identity-header", value)
            }
        };
        Request::builder()
            .method(Method::GET)
            .uri(uri)
            .header(ACCEPT, "application/json")
            .header(HeaderName::from_static(name), value)
            .body(Bytes::new())
            .map_err(failed)
    }
}

/// Whether a refusal passes by itself: the service is updating, busy or out of order.
pub(super) fn is_passing(reply: &Reply) -> bool {
    let passing = [
        StatusCode::NOT_FOUND,
        StatusCode::GONE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    passing.contains(&reply.status) || reply.status.is_server_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(identity: &ManagedIdentity) -> String {
        let request = identity.request("https://iothubs.azure.net").unwrap();
        assert_eq!(request.method(), Method::GET);
        request.uri().to_string()
    }

    fn which(which: WhichIdentity) -> ManagedIdentity {
        ManagedIdentity {
            which,
            ..ManagedIdentity::default()
        }
    }

    #[test]
    fn a_virtual_machine_asks_its_metadata_service() {
        let own = ManagedIdentity::default();
        let base = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fiothubs.azure.net";
        assert_eq!(line(&own), base);
        let request = own.request("r").unwrap();
        assert_eq!(request.headers()["metadata"], "true");
        for (other, rest) in [
            (WhichIdentity::ClientId("c".into()), "&client_id=c"),
            (WhichIdentity::ObjectId("o".into()), "&object_id=o"),
            (
                WhichIdentity::ResourceId("/s/x".into()),
                "&msi_res_id=%2Fs%2Fx",
            ),
        ] {
            assert_eq!(line(&which(other)), format!("{base}{rest}"));
        }
    }

    #[test]
    fn app_service_is_found_by_its_variables() {
        let endpoint = IdentityEndpoint::from_environment(|name| match name {
            "IDENTITY_ENDPOINT" => Some("http://localhost:4141/msi/token".into()),
            _ => Some("sesame".into()),
        });
        let identity = ManagedIdentity {
            endpoint: endpoint.unwrap(),
            ..which(WhichIdentity::ResourceId("/s".into()))
        };
        assert_eq!(
            line(&identity),
            "http://localhost:4141/msi/token?api-version=2019-08-01\
             &resource=https%3A%2F%2Fiothubs.azure.net&mi_res_id=%2Fs"
        );
        let request = identity.request("r").unwrap();
        assert_eq!(request.headers()["x-identity-header"], "sesame");
        assert!(!format!("{identity:?} {request:?}").contains("sesame"));
        let none = IdentityEndpoint::from_environment(|_| None).unwrap();
        assert!(none.header.is_none());
    }

    #[test]
    fn plain_http_stays_on_the_machine() {
        for url in ["http://metadata.example.org/token", "http://10.0.0.1/token"] {
            assert!(
                IdentityEndpoint::app_service(url, "x".into()).is_err(),
                "{url}"
            );
        }
    }
}
