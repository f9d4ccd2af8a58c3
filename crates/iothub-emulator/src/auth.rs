//! Who may do what: shared access policies and the tokens signed with their keys.
//!
//! A token is checked over its `sr` exactly as it stands in the header: SDKs disagree about how to
//! encode it, and re-encoding before checking would refuse half of them. The answer to everything
//! that is wrong is one and the same 401, as the service gives no reasons either; the reason goes
//! to the log. Device keys open nothing in the service API; [`device`] is where they do.

pub(crate) mod device;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use ring::hmac;

/// What a policy may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Read identities.
    RegistryRead,
    /// Write identities.
    RegistryWrite,
    /// Read and write twins, and everything else a back end does with devices.
    ServiceConnect,
    /// Be a device.
    DeviceConnect,
}

impl Permission {
    /// All of them, as `iothubowner` has.
    pub(crate) const ALL: [Self; 4] = [
        Self::RegistryRead,
        Self::RegistryWrite,
        Self::ServiceConnect,
        Self::DeviceConnect,
    ];

    /// Reads a permission's name in any case.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let named = |permission: &Self| format!("{permission:?}").eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            format!("unknown permission {text:?}; use RegistryRead, RegistryWrite, ServiceConnect or DeviceConnect")
        })
    }
}

/// A named key pair with its permissions.
#[derive(Clone)]
pub(crate) struct Policy {
    keys: Vec<hmac::Key>,
    permissions: Vec<Permission>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// A policy with one or two keys in base64; either key is good at any time.
    pub(crate) fn new<'a>(
        keys: impl IntoIterator<Item = &'a str>,
        permissions: Vec<Permission>,
    ) -> Result<Self, String> {
        let parse = |key: &str| match STANDARD.decode(key) {
            Ok(bytes) if !bytes.is_empty() => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
            _ => {
                Err("the key of a policy must be base64 text, as in a connection string".to_owned())
            }
        };
        let keys = keys.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { keys, permissions })
    }
}

/// Why a token was refused, for the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No `Authorization`, or not a shared access signature with all its parts.
    Malformed,
    /// It is for another hub, or for another part of this one.
    WrongAudience,
    /// Its time is over.
    Expired,
    /// No `skn`, or no such policy.
    UnknownPolicy,
    /// The signature is not that of the policy's keys.
    WrongSignature,
    /// The policy lacks the permission.
    MissingPermission,
}

/// The host names a token may be made out to.
#[derive(Debug, Clone)]
pub(crate) struct Audience {
    hosts: Vec<String>,
}

impl Audience {
    /// Tokens for `hub`, with or without a port. A hub named `localhost` is reached by its address
    /// as well, so that counts too.
    pub(crate) fn of(hub: &str) -> Self {
        let hub = hub.to_ascii_lowercase();
        let mut hosts = vec![hub.clone()];
        if hub == "localhost" {
            hosts.push("127.0.0.1".to_owned());
        }
        Self { hosts }
    }

    /// Whether a host, with or without a port, is this hub.
    pub(crate) fn has(&self, host: &str) -> bool {
        self.covers(host, &[])
    }

    /// Whether a resource, in decoded form, covers the request path. The port is not compared: a
    /// proxy on the way to this hub changes it.
    fn covers(&self, resource: &str, segments: &[String]) -> bool {
        let mut parts = resource.trim_end_matches('/').split('/');
        let host = parts.next().unwrap_or_default().to_ascii_lowercase();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => host.as_str(),
        };
        let mut segments = segments.iter();
        self.hosts.iter().any(|host| host == name)
            && parts.all(|part| segments.next().is_some_and(|segment| segment == part))
    }
}

/// All policies of a hub, by name.
#[derive(Debug)]
pub(crate) struct Policies {
    /// How long a token stays good after its `se`, in seconds.
    skew: u64,
    by_name: BTreeMap<String, Policy>,
}

impl Policies {
    /// No policies; tokens stay good for so many seconds after their expiry.
    pub(crate) const fn with_skew(skew: u64) -> Self {
        Self {
            skew,
            by_name: BTreeMap::new(),
        }
    }

    /// Adds a policy or replaces the one of that name.
    pub(crate) fn set(&mut self, name: &str, policy: Policy) {
        self.by_name.insert(name.to_owned(), policy);
    }

    /// Decides whether the value of `Authorization` opens a path for what needs `permission`
    /// (`None`: any valid token will do).
    pub(crate) fn authorize(
        &self,
        header: Option<&str>,
        audience: &Audience,
        segments: &[String],
        permission: Option<Permission>,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        let token = header.and_then(Token::parse).ok_or(Refusal::Malformed)?;
        if !audience.covers(&token.resource().ok_or(Refusal::Malformed)?, segments) {
            return Err(Refusal::WrongAudience);
        }
        let expiry: u64 = token.expiry.parse().map_err(|_| Refusal::Malformed)?;
        if expiry.saturating_add(self.skew) < unix_seconds {
            return Err(Refusal::Expired);
        }
        let name = token
            .policy
            .and_then(decoded)
            .ok_or(Refusal::UnknownPolicy)?;
        let policy = self.by_name.get(&name).ok_or(Refusal::UnknownPolicy)?;
        if !policy.keys.iter().any(|key| token.is_signed_by(key)) {
            return Err(Refusal::WrongSignature);
        }
        match permission {
            Some(needed) if !policy.permissions.contains(&needed) => {
                Err(Refusal::MissingPermission)
            }
            _ => Ok(()),
        }
    }
}

/// The parts of a shared access signature, still encoded.
struct Token<'a> {
    resource: &'a str,
    signature: &'a str,
    expiry: &'a str,
    policy: Option<&'a str>,
}

impl<'a> Token<'a> {
    /// Takes the parameters by name: SDKs put them in different orders.
    fn parse(header: &'a str) -> Option<Self> {
        let pairs = header.strip_prefix("SharedAccessSignature ")?.trim();
        let (mut resource, mut signature, mut expiry, mut policy) = (None, None, None, None);
        for pair in pairs.split('&') {
            let (name, value) = pair.split_once('=')?;
            let slot = match name {
                "sr" => &mut resource,
                "sig" => &mut signature,
                "se" => &mut expiry,
                "skn" => &mut policy,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            resource: resource?,
            signature: signature?,
            expiry: expiry?,
            policy,
        })
    }

    fn resource(&self) -> Option<String> {
        decoded(self.resource)
    }

    fn is_signed_by(&self, key: &hmac::Key) -> bool {
        let signed = format!("{}\n{}", self.resource, self.expiry);
        // Percent-decoding only: some SDKs leave '/' bare, and a bare '+' must stay one.
        let signature = decoded(self.signature).and_then(|text| STANDARD.decode(text).ok());
        signature.is_some_and(|tag| hmac::verify(key, signed.as_bytes(), &tag).is_ok())
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
