//! Sealing of credentials at rest: AES-256-GCM under a key that only the operator has.
//!
//! The envelope names its version and the key it was made with, so that keys can be rotated.
//! The tenant and the purpose are associated data: a record moved to another tenant does not
//! open. The nonce is random for each envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{ConfigError, Secrets, secret};

/// Version of [`Sealed`].
const VERSION: u8 = 1;
const KEY_LEN: usize = 32;

/// An encrypted secret, safe to store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    v: u8,
    /// Which key opens it: the first bytes of the key's SHA-256.
    pub(crate) key_id: String,
    nonce: String,
    text: String,
}

/// Why something did not open or could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("sealed by an unknown version of the envelope ({0})")]
    Version(u8),
    #[error("sealed with key {theirs}, but the configured key is {ours}")]
    OtherKey { theirs: String, ours: String },
    #[error("damaged, or moved from another tenant")]
    Damaged,
    #[error("no randomness to be had")]
    Randomness,
}

/// The key that seals.
pub(crate) struct SealingKey {
    key: LessSafeKey,
    id: String,
}

impl SealingKey {
    /// The key of the configuration. Without one nothing starts.
    pub(crate) fn from_config(secrets: &Secrets) -> Result<Self, ConfigError> {
        let Some(text) = secret(
            "secrets.key",
            secrets.key.as_ref(),
            secrets.key_file.as_ref(),
        )?
        else {
            return Err(ConfigError(
                "`secrets.key` or `secrets.key_file` is missing: 32 random bytes as base64, \
                 for instance from `openssl rand -base64 32`"
                    .to_owned(),
            ));
        };
        Self::parse(&text).ok_or_else(|| {
            ConfigError("`secrets.key` must be exactly 32 bytes, as base64 or hex".to_owned())
        })
    }

    fn parse(text: &Secret) -> Option<Self> {
        let bytes = Zeroizing::new(decode(text.expose().trim())?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        Some(Self {
            key,
            id: hex(&digest(&SHA256, &bytes).as_ref()[..4]),
        })
    }

    /// Seals `secret` for one tenant and purpose.
    pub(crate) fn seal(
        &self,
        tenant: &str,
        purpose: &str,
        secret: &Secret,
    ) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Randomness)?;
        let mut text = secret.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(tenant, purpose)),
                &mut text,
            )
            .map_err(|_| SealError::Damaged)?;
        Ok(Sealed {
            v: VERSION,
            key_id: self.id.clone(),
            nonce: STANDARD.encode(nonce),
            text: STANDARD.encode(text),
        })
    }

    /// Opens what [`SealingKey::seal`] made for the same tenant and purpose.
    pub(crate) fn open(
        &self,
        tenant: &str,
        purpose: &str,
        sealed: &Sealed,
    ) -> Result<Secret, SealError> {
        if sealed.v != VERSION {
            return Err(SealError::Version(sealed.v));
        }
        if sealed.key_id != self.id {
            return Err(SealError::OtherKey {
                theirs: sealed.key_id.clone(),
                ours: self.id.clone(),
            });
        }
        let nonce = STANDARD
            .decode(&sealed.nonce)
            .map_err(|_| SealError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SealError::Damaged)?;
        let text = STANDARD
            .decode(&sealed.text)
            .map_err(|_| SealError::Damaged)?;
        let mut text = Zeroizing::new(text);
        let open = self
            .key
            .open_in_place(nonce, Aad::from(associated(tenant, purpose)), &mut text)
            .map_err(|_| SealError::Damaged)?;
        let open = std::str::from_utf8(open).map_err(|_| SealError::Damaged)?;
        Ok(Secret::from(open.to_owned()))
    }
}

/// Unambiguous, because the length of the purpose stands before it.
fn associated(tenant: &str, purpose: &str) -> Vec<u8> {
    format!(
        "mender-iothub/{VERSION}/{}/{purpose}/{tenant}",
        purpose.len()
    )
    .into_bytes()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() == KEY_LEN * 2 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return (0..KEY_LEN)
            .map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).ok())
            .collect();
    }
    STANDARD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() == KEY_LEN)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> SealingKey {
        SealingKey::parse(&Secret::from(STANDARD.encode([fill; 32]))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_tenant_and_purpose_only() {
        let sealed = key(1)
            .seal("t1", "hub", &Secret::from("HostName=h"))
            .unwrap();
        assert_eq!(
            key(1).open("t1", "hub", &sealed).unwrap().expose(),
            "HostName=h"
        );
        assert_eq!(
            key(1).open("t2", "hub", &sealed).unwrap_err(),
            SealError::Damaged
        );
        assert_eq!(
            key(1).open("t1", "other", &sealed).unwrap_err(),
            SealError::Damaged
        );
        assert!(matches!(
            key(2).open("t1", "hub", &sealed),
            Err(SealError::OtherKey { .. })
        ));
    }

    #[test]
    fn a_flipped_bit_or_another_version_is_refused_and_nonces_differ() {
        let sealed = key(1).seal("t", "hub", &Secret::from("x")).unwrap();
        assert_ne!(sealed, key(1).seal("t", "hub", &Secret::from("x")).unwrap());
        let mut bytes = STANDARD.decode(&sealed.text).unwrap();
        bytes[0] ^= 1;
        let flipped = Sealed {
            text: STANDARD.encode(bytes),
            ..sealed.clone()
        };
        assert_eq!(
            key(1).open("t", "hub", &flipped).unwrap_err(),
            SealError::Damaged
        );
        let newer = Sealed { v: 2, ..sealed };
        assert_eq!(
            key(1).open("t", "hub", &newer).unwrap_err(),
            SealError::Version(2)
        );
    }

    #[test]
    fn keys_are_32_bytes_in_base64_or_hex() {
        let hex_key = "00".repeat(32);
        let base64_key = STANDARD.encode([0; 32]);
        let ids: Vec<_> = [hex_key, base64_key]
            .into_iter()
            .map(|text| SealingKey::parse(&Secret::from(text)).unwrap().id)
            .collect();
        assert_eq!(ids[0], ids[1]);
        for bad in [
            "",
            "short",
            &STANDARD.encode([0; 16]),
            &STANDARD.encode([0; 33]),
        ] {
            assert!(
                SealingKey::parse(&Secret::from(bad.to_owned())).is_none(),
                "{bad}"
            );
        }
    }
}
