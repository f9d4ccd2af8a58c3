//! Which URLs may be called.

use std::fmt;

use outbound::is_public;
use url::{Host, Url};

/// Longest URL, in bytes.
pub const MAX_URL: usize = 2_048;

/// Hosts that the configuration allows to be near: each `host` or `host:port`, for HTTPS, or
/// `http://host:port` for plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<Origin>);

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A URL that may be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    exempt: bool,
}

/// Why a URL is not called. The URL is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// No URL of the form that is wanted.
    #[error(
        "the URL is not of the form https://host[:port]/path, without user, blanks and fragment, of \
         at most 2048 bytes"
    )]
    Form,
    /// Plain HTTP, and the configuration does not name the host for it.
    #[error("the URL is not https, and the configuration does not allow plain http for its host")]
    Plain,
    /// An address that is not public, and the configuration does not name it.
    #[error("the URL names an address that is not public, and the configuration does not allow it")]
    Address,
    /// An entry of the configuration.
    #[error("the allowed host {0:?} is not of the form host, host:port or http://host:port")]
    Entry(String),
}

impl Origin {
    fn of(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default(),
        }
    }
}

impl AllowedHosts {
    /// Takes the hosts of the configuration. A port is part of the entry.
    pub fn new<T: AsRef<str>>(
        entries: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidEndpoint> {
        let entry = |entry: T| {
            let entry = entry.as_ref();
            let bare = entry.strip_prefix("http://");
            let scheme = if bare.is_some() { "http" } else { "https" };
            let host = bare.unwrap_or(entry);
            let wrong = || InvalidEndpoint::Entry(entry.to_owned());
            if host.is_empty() || !host.bytes().all(is_of_a_host) {
                return Err(wrong());
            }
            let url: Url = format!("{scheme}://{host}/").parse().map_err(|_| wrong())?;
            Ok(Origin::of(&url))
        };
        let all: Result<_, _> = entries.into_iter().map(entry).collect();
        all.map(Self)
    }
}

fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}

impl Endpoint {
    /// Takes a URL if it may be called. Where its name leads is looked at when connecting.
    ///
    /// ```
    /// use webhook::{AllowedHosts, Endpoint};
    ///
    /// let near = AllowedHosts::new(["http://127.0.0.1:8080"])?;
    /// assert!(Endpoint::parse("https://example.org/hook", &near).is_ok());
    /// assert!(Endpoint::parse("http://127.0.0.1:8080/hook", &near).is_ok());
    /// assert!(Endpoint::parse("https://169.254.169.254/", &near).is_err());
    /// # Ok::<(), webhook::InvalidEndpoint>(())
    /// ```
    pub fn parse(text: &str, allowed: &AllowedHosts) -> Result<Self, InvalidEndpoint> {
        // The parser would leave these out, and so call something else than people read.
        let strange = |c: char| c.is_whitespace() || c.is_control();
        if text.len() > MAX_URL || text.contains(strange) {
            return Err(InvalidEndpoint::Form);
        }
        let url: Url = text.parse().map_err(|_| InvalidEndpoint::Form)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.fragment().is_some() || !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidEndpoint::Form);
        }
        let exempt = allowed.0.contains(&Origin::of(&url));
        if !exempt && url.scheme() != "https" {
            return Err(InvalidEndpoint::Plain);
        }
        let public = match url.host() {
            None => return Err(InvalidEndpoint::Form),
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
        };
        if !exempt && !public {
            return Err(InvalidEndpoint::Address);
        }
        Ok(Self { url, exempt })
    }

    /// Scheme, host and port: what may be seen of it. Path and query may be secrets.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// All of it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The name that may lead to any address, if this one may.
    pub(crate) fn exempt(&self) -> Option<String> {
        let name = self.url.host_str().filter(|_| self.exempt);
        name.map(str::to_owned)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near() -> AllowedHosts {
        AllowedHosts::new(["inside", "10.0.0.1:8443", "http://localhost:8080", "[::1]"]).unwrap()
    }

    fn parse(text: &str) -> Result<String, InvalidEndpoint> {
        Endpoint::parse(text, &near()).map(|endpoint| endpoint.origin())
    }

    #[test]
    fn public_https_and_what_is_configured_is_called() {
        for (text, origin) in [
            ("https://Example.org/a?b=c", "https://example.org"),
            ("https://example.org:8443", "https://example.org:8443"),
            ("https://40.113.176.1/", "https://40.113.176.1"),
            ("https://inside/", "https://inside"),
            ("https://10.0.0.1:8443/", "https://10.0.0.1:8443"),
            ("http://localhost:8080/x", "http://localhost:8080"),
            ("https://[::1]/", "https://[::1]"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn plain_http_is_refused_for_all_others() {
        for text in [
            "http://example.org/",
            "http://inside/",
            "http://localhost/",
            "http://localhost:8081/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert_eq!(parse(text), Err(InvalidEndpoint::Plain), "{text}");
        }
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for text in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://10.0.0.1:8444/",
            "https://169.254.169.254/",
            "https://168.63.129.16/",
            "https://[::1]:444/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[fd00:ec2::254]/",
            "https://[64:ff9b::7f00:1]/",
            "https://0/",
            "https://①②⑦.0.0.1/",
        ] {
            assert_eq!(parse(text), Err(InvalidEndpoint::Address), "{text}");
        }
    }

    #[test]
    fn what_reads_as_one_host_and_is_another_is_refused() {
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL));
        for text in [
            "",
            "example.org",
            "/hook",
            "https://",
            "https://user@example.org/",
            "https://example.org:pass@inside/",
            "https://example.org/#fragment",
            "https://exam\tple.org/",
            "https://example.org/a b",
            " https://example.org/",
            "file:///etc/passwd",
            "ftp://example.org/",
            "gopher://127.0.0.1:6379/_FLUSHALL",
            "javascript:alert(1)",
            "unix:/run/docker.sock",
            &long,
        ] {
            assert_eq!(parse(text), Err(InvalidEndpoint::Form), "{text}");
        }
    }

    #[test]
    fn entries_of_the_configuration_are_hosts() {
        for bad in [
            "",
            "http://",
            "https://x",
            "x/y",
            "user@x",
            "x:99999",
            "*",
            "a b",
        ] {
            let wrong = AllowedHosts::new([bad]).unwrap_err();
            assert_eq!(wrong, InvalidEndpoint::Entry(bad.to_owned()));
        }
    }

    #[test]
    fn path_and_query_do_not_show() {
        let endpoint = Endpoint::parse("https://example.org/T0/hunter2?k=hunter2", &near());
        assert!(!format!("{endpoint:?}").contains("hunter2"));
    }
}
