//! Which hosts may be called.
//!
//! A hub's host name comes from whoever sets up an integration, and every request to it carries a
//! token. A client that calls any host named to it can be pointed at the machines next to it, so
//! a [`HostName`] exists only if the allow-list let it in: the hubs of Azure's three clouds by
//! shape, and beyond them only what the configuration names letter by letter.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

/// Domains whose direct children are hubs: the global cloud, US government, China.
const HUB_DOMAINS: [&str; 3] = [
    ".azure-devices.net",
    ".azure-devices.us",
    ".azure-devices.cn",
];
/// Longest DNS name.
const MAX_HOST: usize = 253;

/// The host of a hub, in lower case, allowed to be called.
///
/// Parsing a text applies the rule for Azure's clouds alone; [`AllowedHosts::check`] also knows the
/// configured hosts.
///
/// ```
/// let host: iothub::HostName = "MyHub.azure-devices.net".parse()?;
/// assert_eq!(host.as_str(), "myhub.azure-devices.net");
/// assert!("myhub.azure-devices.net.example.org".parse::<iothub::HostName>().is_err());
/// # Ok::<(), iothub::HostError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName {
    text: String,
    configured: bool,
}

/// Hosts that the configuration allows besides Azure's own.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<String>);

/// Why a host is not called. The host itself is not repeated: a wrong paste may hold a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a hub of Azure nor configured.
    #[error(
        "the host is neither <hub>.azure-devices.net, .us or .cn nor one that the configuration allows"
    )]
    NotAllowed,
    /// An entry of the configuration is no `host` or `host:port`.
    #[error("the allowed host {0:?} is not of the form host or host:port")]
    BadEntry(String),
}

impl HostName {
    /// The host, with its port if the configuration names one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the configuration named this host. Such a host may have a private address: a local
    /// emulator, or a hub behind a private endpoint.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.configured
    }

    /// The host without its port.
    pub(crate) fn name(&self) -> &str {
        match self.text.rsplit_once(':') {
            // What ends in `]` is the inside of an IPv6 address, not a port.
            Some((name, port)) if !port.ends_with(']') => name,
            _ => &self.text,
        }
    }
}

impl FromStr for HostName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        AllowedHosts::default().check(text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AllowedHosts {
    /// Takes the hosts of the configuration, each `host` or `host:port`, for example
    /// `localhost:8443`. A port is part of the entry: `localhost` does not allow `localhost:8443`.
    pub fn new<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, HostError> {
        let entry = |entry: T| {
            let text = entry.as_ref().to_ascii_lowercase();
            if is_host_and_port(&text) {
                Ok(text)
            } else {
                Err(HostError::BadEntry(text))
            }
        };
        entries
            .into_iter()
            .map(entry)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Lets a host in, or not.
    ///
    /// ```
    /// let allowed = iothub::AllowedHosts::new(["localhost:8443"])?;
    /// assert!(allowed.check("localhost:8443")?.is_configured());
    /// assert!(!allowed.check("myhub.azure-devices.cn")?.is_configured());
    /// assert!(allowed.check("localhost").is_err());
    /// # Ok::<(), iothub::HostError>(())
    /// ```
    pub fn check(&self, text: &str) -> Result<HostName, HostError> {
        let text = text.to_ascii_lowercase();
        let configured = self.0.contains(&text);
        if configured || is_hub(&text) {
            Ok(HostName { text, configured })
        } else {
            Err(HostError::NotAllowed)
        }
    }
}

/// Exactly one label in front of one of the hub domains. It stands for itself: names of hubs are
/// not internationalized.
fn is_hub(text: &str) -> bool {
    let is_name = |label: &str| is_label(label) && !label.starts_with("xn--");
    HUB_DOMAINS
        .iter()
        .any(|domain| text.strip_suffix(domain).is_some_and(is_name))
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_host_and_port(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let plain = !text.contains('@') && host.len() <= MAX_HOST;
    let named = host.split('.').all(is_label);
    let ipv6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let literal = ipv6.is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    let port = match text.strip_prefix(host) {
        Some("") => true,
        Some(_) => authority.port_u16().is_some_and(|port| port != 0),
        None => false,
    };
    plain && (named || literal) && port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_of_the_three_clouds_are_allowed_in_any_case() {
        for text in [
            "h.azure-devices.net",
            "my-hub2.azure-devices.us",
            "HUB.Azure-Devices.CN",
        ] {
            let host: HostName = text.parse().unwrap();
            assert_eq!(host.as_str(), text.to_ascii_lowercase());
            assert!(!host.is_configured());
        }
    }

    #[test]
    fn a_configured_host_is_matched_with_its_port() {
        let allowed =
            AllowedHosts::new(["LocalHost:8443", "127.0.0.1:9000", "[::1]:9001"]).unwrap();
        let host = allowed.check("localhost:8443").unwrap();
        assert!(host.is_configured());
        assert_eq!(host.name(), "localhost");
        assert_eq!(allowed.check("[::1]:9001").unwrap().name(), "[::1]");
        for text in [
            "localhost",
            "localhost:8444",
            "localhost:8443.azure-devices.net",
            "127.0.0.1",
        ] {
            assert_eq!(allowed.check(text), Err(HostError::NotAllowed), "{text}");
        }
    }

    #[test]
    fn a_configured_hub_may_have_a_private_address() {
        let allowed = AllowedHosts::new(["inside.azure-devices.net"]).unwrap();
        assert!(
            allowed
                .check("inside.azure-devices.net")
                .unwrap()
                .is_configured()
        );
    }

    #[test]
    fn malformed_entries_of_the_configuration_are_refused() {
        for text in [
            "",
            "a b",
            "user@localhost",
            "localhost:",
            "localhost:0",
            "localhost:99999",
            "https://x",
            "x/y",
            "*",
        ] {
            assert_eq!(
                AllowedHosts::new([text]).unwrap_err(),
                HostError::BadEntry(text.to_owned())
            );
        }
    }
}
