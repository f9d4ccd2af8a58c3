//! Which addresses may be connected to.
//!
//! A list of host names does not say where a name leads: whoever controls an answer of the
//! DNS can lead it to a metadata service or to a database next door. So the addresses are looked
//! at in the resolver itself, which the connection then uses: between look and connect there is no
//! second resolution. A host that the configuration names is exempt, because it is meant to be
//! near: an emulator, a hub behind a private endpoint, a receiver in the same network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// IPv4 networks that are not the Internet (IANA's registry of special-purpose addresses), as
/// address and prefix length.
const SPECIAL_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Azure's host agent: a public address that is answered inside the virtual network.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The global unicast space of IPv6; everything outside it is local, mapped or reserved.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is special inside that space: protocol assignments (Teredo, ORCHID, benchmarks), both
/// documentation ranges, and 6to4, which embeds IPv4 addresses.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The well-known prefix of NAT64: the last 32 bits are the IPv4 address that is meant.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x0064, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// A name leads to an address that is not on the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has an address that is not public, and the configuration does not allow that")]
pub struct AddressRefused;

/// Asks for the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses, with any port.
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// Asks the system.
#[derive(Debug)]
pub struct System;

impl Lookup for System {
    async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Resolves names, and refuses what is not public.
#[derive(Debug)]
pub struct GuardedResolver<L = System> {
    /// The name that may have any address.
    exempt: Option<String>,
    lookup: Arc<L>,
}

impl GuardedResolver {
    /// A resolver that lets this name have any address.
    #[must_use]
    pub fn exempting(exempt: Option<String>) -> Self {
        Self::asking(System, exempt)
    }
}

impl<L: Lookup> GuardedResolver<L> {
    /// The same, with somebody else to ask for addresses.
    #[must_use]
    pub fn asking(lookup: L, exempt: Option<String>) -> Self {
        Self {
            exempt,
            lookup: Arc::new(lookup),
        }
    }
}

impl<L: Lookup> Resolve for GuardedResolver<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let exempt = self.exempt.as_deref() == Some(name.as_str());
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let addresses = lookup.lookup(name.as_str()).await?;
            // One bad address spoils the answer: a name that is half public is being played with.
            if !exempt && addresses.iter().any(|address| !is_public(address.ip())) {
                return Err(AddressRefused.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is one of the Internet (IANA's registries of special-purpose addresses), and
/// not one of a machine, a link, a private network or a cloud's own services.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) if in_v6(v6, NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(v6) => {
            in_v6(v6, GLOBAL_V6) && !SPECIAL_V6.into_iter().any(|network| in_v6(v6, network))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, length): (Ipv4Addr, u8)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(length)
    };
    !SPECIAL_V4.into_iter().any(within)
}

fn in_v6(address: Ipv6Addr, (network, length): (Ipv6Addr, u8)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(length)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod rebinding;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_allowed() {
        for text in [
            "40.113.176.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2603:1020::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::8.8.8.8",
            "::a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    async fn resolve(resolver: &GuardedResolver) -> Result<usize, String> {
        let found = resolver.resolve("localhost".parse().unwrap()).await;
        found
            .map(Iterator::count)
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_may_not_lead_to_this_machine_unless_it_is_exempt() {
        let refused = resolve(&GuardedResolver::exempting(None)).await;
        assert_eq!(refused, Err(AddressRefused.to_string()));
        let exempt = GuardedResolver::exempting(Some("localhost".to_owned()));
        assert!(resolve(&exempt).await.unwrap() > 0);
    }
}
