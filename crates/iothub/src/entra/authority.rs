//! Where tokens are asked for, and for which application.
//!
//! The request holds a secret, so its host is chosen with the same care as a hub's: Azure's own
//! authorities by name, others only if the program's configuration says so. Plain HTTP is taken
//! for addresses that stay on the machine or its link, because managed identity has no other.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// The authorities of Azure's clouds: global, US government, China.
const KNOWN: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];

/// Why a text names no place to ask for tokens. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    /// It is no URL of the form `https://host[:port][/path]`.
    #[error("a token endpoint is a URL of the form https://host[:port]")]
    Url,
    /// It is not one of Azure's authorities, and nobody configured it.
    #[error("the authority is none of Azure's, and the configuration does not name it")]
    Unknown,
    /// The tenant or client id holds what no id holds.
    #[error("tenant and client ids hold letters, digits, `-` and `.`")]
    Id,
}

/// The URL of a token endpoint, or of the part of it that is the same for all.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    url: String,
    host: String,
}

impl Endpoint {
    /// Takes an HTTPS URL, or an HTTP URL whose host is this machine or link-local.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidAuthority> {
        let uri: Uri = text.parse().map_err(|_| InvalidAuthority::Url)?;
        let authority = uri.authority().ok_or(InvalidAuthority::Url)?;
        let host = authority.host().to_ascii_lowercase();
        let near = is_near(&host);
        let scheme = uri.scheme().ok_or(InvalidAuthority::Url)?;
        let safe = *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP && near;
        let plain = !authority.as_str().contains('@') && uri.query().is_none();
        if !safe || !plain || host.is_empty() {
            return Err(InvalidAuthority::Url);
        }
        let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let path = path.trim_end_matches('/');
        Ok(Self {
            url: format!("{scheme}://{authority}{path}"),
            host,
        })
    }

    /// Without a slash at its end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Whether requests to the host stay on this machine or its link.
fn is_near(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback(),
        Err(_) => host == "localhost",
    }
}

/// Who issues tokens: one of Azure's clouds, or a host that the configuration names.
///
/// ```
/// use iothub::entra::Authority;
///
/// assert_eq!(Authority::default(), "https://login.microsoftonline.com/".parse()?);
/// assert!("https://login.example.org".parse::<Authority>().is_err());
/// assert!(Authority::configured("https://login.example.org").is_ok());
/// # Ok::<(), iothub::entra::InvalidAuthority>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    endpoint: Endpoint,
    configured: bool,
}

impl Default for Authority {
    fn default() -> Self {
        KNOWN[0]
            .parse()
            .expect("the first known authority is known")
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    /// Takes the authority of one of Azure's clouds, as a URL or a bare host.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("https://").unwrap_or(text);
        let host = host.trim_end_matches('/').to_ascii_lowercase();
        if !KNOWN.contains(&host.as_str()) {
            return Err(InvalidAuthority::Unknown);
        }
        Ok(Self {
            endpoint: Endpoint::parse(&format!("https://{host}"))?,
            configured: false,
        })
    }
}

impl Authority {
    /// Takes the URL of an authority that the program's own configuration names: a test issuer, or
    /// a cloud of its own. Its host may have any address; with plain HTTP it must be this machine.
    pub fn configured(url: &str) -> Result<Self, InvalidAuthority> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            configured: true,
        })
    }

    pub(super) fn exempt_host(&self) -> Option<String> {
        self.configured.then(|| self.endpoint.host().to_owned())
    }
}

/// An application (service principal) that is registered with Microsoft Entra ID.
///
/// ```
/// use iothub::entra::{Authority, EntraApp};
///
/// let app = EntraApp::new(Authority::default(), "contoso.onmicrosoft.com", "11111111-2222")?;
/// assert_eq!(app.client_id(), "11111111-2222");
/// # Ok::<(), iothub::entra::InvalidAuthority>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraApp {
    authority: Authority,
    tenant: String,
    client_id: String,
}

impl EntraApp {
    /// An application by its tenant (id or domain) and its own (client) id.
    pub fn new(
        authority: Authority,
        tenant: &str,
        client_id: &str,
    ) -> Result<Self, InvalidAuthority> {
        for id in [tenant, client_id] {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
            let ok = (1..=253).contains(&id.len()) && id.bytes().all(fits);
            // The tenant is a path segment, so it may not be `.` or `..`.
            if !ok || !id.bytes().any(|b| b.is_ascii_alphanumeric()) {
                return Err(InvalidAuthority::Id);
            }
        }
        Ok(Self {
            authority,
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
        })
    }

    /// The tenant's id or domain.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The application's id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where to send the request, and whom an assertion is for.
    pub(super) fn token_url(&self) -> String {
        let base = self.authority.endpoint.url();
        format!("{base}/{}/oauth2/v2.0/token", self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn azures_authorities_are_known_by_name() {
        for text in [
            "https://login.microsoftonline.com/",
            "LOGIN.microsoftonline.us",
            "https://login.partner.microsoftonline.cn",
        ] {
            let authority: Authority = text.parse().unwrap();
            assert_eq!(authority.exempt_host(), None, "{text}");
        }
        for text in [
            "",
            "http://login.microsoftonline.com",
            "login.microsoftonline.com.example.org",
            "https://login.microsoftonline.com:8443",
            "localhost",
            "https://x@login.microsoftonline.com",
        ] {
            assert_eq!(
                text.parse::<Authority>(),
                Err(InvalidAuthority::Unknown),
                "{text}"
            );
        }
    }

    #[test]
    fn a_configured_one_may_be_anywhere_by_https_and_near_by_http() {
        for url in [
            "https://login.example.org",
            "https://10.0.0.1:8443/sts/",
            "http://127.0.0.1:1",
            "http://localhost:8080",
            "http://[::1]:9",
            "http://169.254.169.254",
        ] {
            assert!(Authority::configured(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "login.example.org",
            "http://login.example.org",
            "http://10.0.0.1",
            "ftp://localhost",
            "https://user@example.org",
            "https://example.org/?a=b",
            "/path",
        ] {
            assert_eq!(
                Authority::configured(url),
                Err(InvalidAuthority::Url),
                "{url}"
            );
        }
    }

    #[test]
    fn the_token_url_is_made_of_parts() {
        let app = |base: &str| {
            let authority = Authority::configured(base).unwrap();
            EntraApp::new(authority, "t-1", "c").unwrap().token_url()
        };
        assert_eq!(
            app("https://x:8443/"),
            "https://x:8443/t-1/oauth2/v2.0/token"
        );
        assert_eq!(app("https://x/sts"), "https://x/sts/t-1/oauth2/v2.0/token");
    }

    #[test]
    fn ids_cannot_change_the_path() {
        for id in ["", "..", ".", "a/b", "a?b", "a b", "ä", &"a".repeat(254)] {
            let tenant = EntraApp::new(Authority::default(), id, "c");
            let client = EntraApp::new(Authority::default(), "t", id);
            assert_eq!(
                [tenant, client],
                [Err(InvalidAuthority::Id), Err(InvalidAuthority::Id)]
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,60}") {
            let _ = text.parse::<Authority>();
            let _ = Authority::configured(&text);
            let _ = Authority::configured(&format!("https://{text}"));
        }
    }
}
