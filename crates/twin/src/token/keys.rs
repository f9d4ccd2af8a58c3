//! The public keys that tokens are checked with.

use std::collections::BTreeMap;
use std::fmt;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{Error as WebpkiError, RawPublicKeyEntity, ring};

/// What ring can do that useradm does: the name in a token, and how it is checked.
const ALGORITHMS: [(&str, &dyn SignatureVerificationAlgorithm); 2] = [
    ("RS256", ring::RSA_PKCS1_2048_8192_SHA256),
    ("EdDSA", ring::ED25519),
];
/// The public key of 2048 bits takes 294 bytes; ring refuses every signature of a shorter one.
const SHORTEST_RSA: usize = 290;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or PEM of something else.
    #[error(
        "not a public key in PEM form (`BEGIN PUBLIC KEY`; `openssl pkey -in private.pem -pubout` \
         makes it from a private key)"
    )]
    NotAKey,
    /// Neither RSA nor Ed25519.
    #[error("neither an RSA nor an Ed25519 key")]
    Kind,
    /// RSA with a modulus of less than 2048 bits.
    #[error("an RSA key of less than 2048 bits")]
    Short,
    /// Two keys have the same id.
    #[error("two keys have the id {0}")]
    Twice(i64),
}

/// A public key, with the one algorithm that it is for.
#[derive(Clone)]
pub struct Key {
    spki: SubjectPublicKeyInfoDer<'static>,
    name: &'static str,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
}

impl Key {
    /// Reads a key in PEM form.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::NotAKey)?;
        let (name, algorithm) = ALGORITHMS
            .into_iter()
            .find(|(_, algorithm)| is_for(&spki, *algorithm))
            .ok_or(KeyError::Kind)?;
        if name == "RS256" && spki.len() < SHORTEST_RSA {
            return Err(KeyError::Short);
        }
        Ok(Self {
            spki,
            name,
            algorithm,
        })
    }

    /// The `alg` of tokens that are signed with it.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        self.name
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        RawPublicKeyEntity::try_from(&self.spki)
            .and_then(|key| key.verify_signature(self.algorithm, message, signature))
            .is_ok()
    }
}

/// Any signature will do to see whether the key is for the algorithm: a wrong one is refused for
/// another reason.
fn is_for(
    spki: &SubjectPublicKeyInfoDer<'_>,
    algorithm: &dyn SignatureVerificationAlgorithm,
) -> bool {
    let tried = RawPublicKeyEntity::try_from(spki)
        .and_then(|key| key.verify_signature(algorithm, b"", &[0; 64]));
    matches!(
        tried,
        Ok(()) | Err(WebpkiError::InvalidSignatureForPublicKey)
    )
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// Keys by their ids, the `kid` of tokens.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<i64, Key>);

impl Keys {
    /// Adds a key.
    pub fn add(&mut self, id: i64, key: Key) -> Result<(), KeyError> {
        match self.0.insert(id, key) {
            None => Ok(()),
            Some(_) => Err(KeyError::Twice(id)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, id: i64) -> Option<&Key> {
        self.0.get(&id)
    }
}
