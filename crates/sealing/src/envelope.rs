//! The envelope: what is stored of a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{KeyId, Keyring};

/// Version of [`Sealed`].
const VERSION: u8 = 1;

/// An encrypted secret, safe to store. It names its version and its key; all else is noise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    v: u8,
    key_id: KeyId,
    nonce: String,
    text: String,
}

impl Sealed {
    /// The name of the key that opens it.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Reads the stored form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SealError> {
        serde_json::from_slice(bytes).map_err(|_| SealError::Damaged)
    }

    /// The form to store.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a secret belongs to. It is not part of the envelope, but without the very same one the
/// envelope does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// What it is for.
    pub purpose: &'a str,
    /// What is stored in clear beside it and must not be changed, such as the host it is sent to.
    pub beside: &'a [u8],
}

impl Scope<'_> {
    /// The associated data: each part after its length, so that no two scopes give the same.
    fn associated(&self) -> Vec<u8> {
        let mut data = b"mender-iothub/sealed/".to_vec();
        data.push(VERSION);
        for part in [self.tenant.as_bytes(), self.purpose.as_bytes(), self.beside] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A later version of this program made it.
    #[error("sealed by an unknown version of the envelope ({0})")]
    Version(u8),
    /// None of the keys at hand is the one it was sealed with.
    #[error("sealed with key {0}, which is not configured")]
    UnknownKey(KeyId),
    /// Changed, cut, or made for another tenant, purpose or surrounding.
    #[error("damaged, changed, or moved from another place")]
    Damaged,
    /// The system gives no random numbers.
    #[error("no randomness to be had")]
    Randomness,
}

impl Keyring {
    /// Seals a secret with the first key.
    pub fn seal(
        &self,
        scope: Scope<'_>,
        secret: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        // Room for the tag, so that no copy of the secret is left behind by a growing buffer.
        let mut text = Vec::with_capacity(secret.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(secret);
        let key_id = self.current().clone();
        let cipher = self.cipher(&key_id).ok_or(SealError::Damaged)?;
        let aad = Aad::from(scope.associated());
        cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_| SealError::Damaged)?;
        Ok(Sealed {
            v: VERSION,
            key_id,
            nonce: STANDARD.encode(nonce),
            text: STANDARD.encode(text),
        })
    }

    /// Opens what [`Keyring::seal`] made for the same scope, with whichever key it names.
    pub fn open(&self, scope: Scope<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.v != VERSION {
            return Err(SealError::Version(sealed.v));
        }
        let cipher = self
            .cipher(&sealed.key_id)
            .ok_or_else(|| SealError::UnknownKey(sealed.key_id.clone()))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| SealError::Damaged);
        let nonce = Nonce::try_assume_unique_for_key(&decode(&sealed.nonce)?)
            .map_err(|_| SealError::Damaged)?;
        let mut text = Zeroizing::new(decode(&sealed.text)?);
        let aad = Aad::from(scope.associated());
        let length = cipher
            .open_in_place(nonce, aad, &mut text)
            .map_err(|_| SealError::Damaged)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}
