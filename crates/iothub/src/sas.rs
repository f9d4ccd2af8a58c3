//! Shared access signatures: the tokens of IoT Hub's own key scheme.
//!
//! What is signed is the resource *as it is written into the token*, percent-encoding included.
//! The hub compares bytes and does not decode, so the encoding is done once, here, and the same
//! text goes both into the signature and into the token. The expiry comes in as an argument: the
//! same inputs always give the same token, and published test vectors can be checked.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Everything but the unreserved characters of RFC 3986 is encoded, in upper-case hex.
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The key is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not base64")]
pub struct InvalidKey;

/// A key, ready to sign with.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Takes a key as Azure shows it, in base64.
    pub fn from_base64(key: &Secret) -> Result<Self, InvalidKey> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &Self::decode(key)?)))
    }

    pub(crate) fn decode(key: &Secret) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
        STANDARD
            .decode(key.expose())
            .map(Zeroizing::new)
            .map_err(|_| InvalidKey)
    }

    /// HMAC-SHA256 of the text, in base64.
    fn signature(&self, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, text.as_bytes()))
    }

    /// The token for a resource that is percent-encoded already.
    fn token(&self, encoded_resource: &str, expiry: u64, policy: Option<&str>) -> Secret {
        let signature = self.signature(&format!("{encoded_resource}\n{expiry}"));
        let signature = utf8_percent_encode(&signature, ENCODED);
        let mut token =
            format!("SharedAccessSignature sr={encoded_resource}&sig={signature}&se={expiry}");
        if let Some(policy) = policy {
            token.push_str("&skn=");
            token.extend(utf8_percent_encode(policy, ENCODED));
        }
        Secret::from(token)
    }

    /// See [`sign`].
    pub(crate) fn sign(&self, resource: &str, expiry: u64, policy: Option<&str>) -> Secret {
        self.token(
            &utf8_percent_encode(resource, ENCODED).to_string(),
            expiry,
            policy,
        )
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Signs a token: the whole value of an `Authorization` header.
///
/// `resource` is the bare host for service calls and `{host}/devices/{id}` for a device, not
/// encoded. `expiry` is in Unix seconds. `policy` names the shared access policy whose key it is;
/// a device's own key has none.
///
/// ```
/// let key = iothub::Secret::from("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
/// let token = iothub::sas::sign(&key, "myhub.azure-devices.net", 1_767_225_600, Some("iothubowner"))?;
/// assert!(token.expose().starts_with("SharedAccessSignature sr=myhub.azure-devices.net&sig=mnVOCy0"));
/// # Ok::<(), iothub::sas::InvalidKey>(())
/// ```
pub fn sign(
    key: &Secret,
    resource: &str,
    expiry: u64,
    policy: Option<&str>,
) -> Result<Secret, InvalidKey> {
    Ok(SigningKey::from_base64(key)?.sign(resource, expiry, policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const KEY_2: &str = "aW90aHViLWVtdWxhdG9yLXRlc3Qta2V5LTAwMDAwMDAwMQ==";
    const KEY_3: &str =
        "up5cAGgoYdOykIaY2cgIhgNmPmk5wbgp6wfG5j6x79aXwWk6ryjquC8eXvAXmwXGVOnJ1QWxQwKicRrJYLXKqA==";

    #[track_caller]
    fn check(key: &str, resource: &str, expiry: u64, policy: Option<&str>, expected: &str) {
        assert_eq!(
            sign(&key.into(), resource, expiry, policy)
                .unwrap()
                .expose(),
            expected
        );
    }

    #[test]
    fn a_policy_signs_for_the_host() {
        check(
            KEY_1,
            "myhub.azure-devices.net",
            1_767_225_600,
            Some("iothubowner"),
            "SharedAccessSignature sr=myhub.azure-devices.net\
             &sig=mnVOCy0ieupY1%2FH3BnSINnUcRqZRXaiw4do9WEOWXUI%3D&se=1767225600&skn=iothubowner",
        );
    }

    #[test]
    fn another_policy_signs_with_another_key() {
        check(
            KEY_2,
            "myhub.azure-devices.net",
            1_893_456_000,
            Some("registryReadWrite"),
            "SharedAccessSignature sr=myhub.azure-devices.net\
             &sig=kGobxRYxfIlgZ7fWdhRet1vt6IRwEO3XoKofncUJ7PY%3D&se=1893456000&skn=registryReadWrite",
        );
    }

    #[test]
    fn a_device_signs_without_a_policy_name() {
        check(
            KEY_3,
            "myhub.azure-devices.net/devices/dev-001",
            1_767_225_600,
            None,
            "SharedAccessSignature sr=myhub.azure-devices.net%2Fdevices%2Fdev-001\
             &sig=RbXdBtM7xGgbTCtlfLZvq9EkG2k9OF3PX9EQa1xOKLY%3D&se=1767225600",
        );
    }

    #[test]
    fn the_resource_is_signed_as_it_is_written() {
        let key = SigningKey::from_base64(&KEY_3.into()).unwrap();
        let token = key.token(
            "myhub.azure-devices.net%2fdevices%2fdev-001",
            1_767_225_600,
            None,
        );
        assert_eq!(
            token.expose(),
            "SharedAccessSignature sr=myhub.azure-devices.net%2fdevices%2fdev-001\
             &sig=wJHed7JbTqT7Lpx1ibx9tInsAeQtq5ei%2F2%2FUcf0li3s%3D&se=1767225600",
        );
    }

    #[test]
    fn every_reserved_character_of_a_resource_is_encoded() {
        check(
            KEY_1,
            "myhub.azure-devices.net/devices/a+b:c'(d)",
            1_767_225_600,
            Some("device"),
            "SharedAccessSignature sr=myhub.azure-devices.net%2Fdevices%2Fa%2Bb%3Ac%27%28d%29\
             &sig=75AUuq%2BiVCyiB2EB6ZK6KOAJG5CXq6B%2FAIcTbYhAzTo%3D&se=1767225600&skn=device",
        );
    }

    #[test]
    fn the_bare_signature_agrees_with_azures_own_node_client() {
        let key = SigningKey::from_base64(&"cGFzc3dvcmQ=".into()).unwrap();
        assert_eq!(
            key.signature("string-to-sign"),
            "o1n1hiIVgzVA2+krq9ty1Z4xsIJKJZP3dYT8MOi65Y4="
        );
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused() {
        assert_eq!(
            sign(&"not base64".into(), "h", 0, None).unwrap_err(),
            InvalidKey
        );
    }
}
