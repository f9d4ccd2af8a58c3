//! How a device or module proves who it is.
//!
//! The hub knows three ways: a pair of keys, the thumbprints of self-signed certificates, and a
//! certificate authority. It can also make the keys itself, which is the default and the best
//! choice where nobody else has to know them beforehand. What the hub would refuse is refused here,
//! before it is sent.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::sas::SigningKey;
use crate::secret::Secret;

/// Lengths of a device's key in bytes, before base64.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// How a new device or module will prove who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Authentication {
    /// With keys that the hub makes.
    #[default]
    GeneratedKeys,
    /// With these keys.
    Keys(DeviceKeys),
    /// With a self-signed certificate that has one of these thumbprints.
    SelfSigned {
        /// The thumbprint in use.
        primary: Thumbprint,
        /// The thumbprint of the next certificate.
        secondary: Option<Thumbprint>,
    },
    /// With a certificate of an authority that is registered with the hub.
    CertificateAuthority,
}

impl Authentication {
    /// The field `authentication` of a new identity. Without it the hub makes keys.
    pub(crate) fn to_field(&self) -> Option<Value> {
        match self {
            Self::GeneratedKeys => None,
            Self::Keys(keys) => Some(json!({
                "type": "sas",
                "symmetricKey": {
                    "primaryKey": keys.primary.expose(),
                    "secondaryKey": keys.secondary.expose(),
                },
            })),
            Self::SelfSigned { primary, secondary } => Some(json!({
                "type": "selfSigned",
                "x509Thumbprint": {
                    "primaryThumbprint": primary.as_str(),
                    "secondaryThumbprint": secondary.as_ref().map(Thumbprint::as_str),
                },
            })),
            Self::CertificateAuthority => Some(json!({"type": "certificateAuthority"})),
        }
    }
}

/// Both keys of a device, in base64. The hub takes both or none.
///
/// ```
/// use iothub::{DeviceKeys, Secret};
///
/// let key = || Secret::from("AAECAwQFBgcICQoLDA0ODw==");
/// assert!(DeviceKeys::new(key(), key()).is_ok());
/// assert!(DeviceKeys::new(key(), Secret::from("c2hvcnQ=")).is_err());
/// ```
#[derive(Clone)]
pub struct DeviceKeys {
    primary: Secret,
    secondary: Secret,
}

/// A key is not base64, or has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device's key is base64 of 16 to 64 bytes")]
pub struct InvalidDeviceKey;

impl DeviceKeys {
    /// Takes keys of 16 to 64 bytes each, in base64.
    pub fn new(primary: Secret, secondary: Secret) -> Result<Self, InvalidDeviceKey> {
        for key in [&primary, &secondary] {
            let bytes = SigningKey::decode(key).map_err(|_| InvalidDeviceKey)?;
            if !KEY_BYTES.contains(&bytes.len()) {
                return Err(InvalidDeviceKey);
            }
        }
        Ok(Self { primary, secondary })
    }
}

impl PartialEq for DeviceKeys {
    fn eq(&self, other: &Self) -> bool {
        self.primary.expose() == other.primary.expose()
            && self.secondary.expose() == other.secondary.expose()
    }
}

impl Eq for DeviceKeys {}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The SHA-1 or SHA-256 of a certificate, in hex without separators. The case is kept.
///
/// ```
/// let text = "0123456789abcdef0123456789ABCDEF01234567";
/// assert_eq!(text.parse::<iothub::Thumbprint>()?.as_str(), text);
/// assert!("01:23".parse::<iothub::Thumbprint>().is_err());
/// # Ok::<(), iothub::InvalidThumbprint>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbprint(String);

/// The text is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint has 40 or 64 hex digits without separators")]
pub struct InvalidThumbprint;

impl Thumbprint {
    /// The thumbprint as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidThumbprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidThumbprint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: usize) -> Secret {
        use base64::Engine as _;
        Secret::from(base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]))
    }

    #[test]
    fn keys_have_16_to_64_bytes_each() {
        for (first, second, fits) in [
            (16, 64, true),
            (15, 16, false),
            (16, 65, false),
            (32, 0, false),
        ] {
            assert_eq!(
                DeviceKeys::new(key(first), key(second)).is_ok(),
                fits,
                "{first} {second}"
            );
        }
        assert!(DeviceKeys::new("not base64".into(), key(16)).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = DeviceKeys::new(key(16), key(16)).unwrap();
        let shown = format!("{:?}", Authentication::Keys(keys));
        assert_eq!(shown, "Keys(***)");
    }

    #[test]
    fn each_way_is_written_as_the_hub_reads_it() {
        let print: Thumbprint = "a".repeat(40).parse().unwrap();
        let self_signed = Authentication::SelfSigned {
            primary: print,
            secondary: None,
        };
        assert_eq!(Authentication::GeneratedKeys.to_field(), None);
        assert_eq!(
            self_signed.to_field().unwrap(),
            json!({"type": "selfSigned", "x509Thumbprint":
                {"primaryThumbprint": "a".repeat(40), "secondaryThumbprint": null}})
        );
        assert_eq!(
            Authentication::CertificateAuthority.to_field().unwrap(),
            json!({"type": "certificateAuthority"})
        );
        let keys = DeviceKeys::new("AAECAwQFBgcICQoLDA0ODw==".into(), key(16)).unwrap();
        let field = Authentication::Keys(keys).to_field().unwrap();
        assert_eq!(
            field["symmetricKey"]["primaryKey"],
            "AAECAwQFBgcICQoLDA0ODw=="
        );
        assert_eq!(field["type"], "sas");
    }

    #[test]
    fn other_texts_are_no_thumbprints() {
        for text in ["", "0g", &"a".repeat(41), &"g".repeat(40), &"ä".repeat(20)] {
            assert_eq!(text.parse::<Thumbprint>(), Err(InvalidThumbprint), "{text}");
        }
    }
}
