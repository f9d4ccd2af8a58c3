//! A program's certificate, and the assertions it signs.
//!
//! An assertion is a JWT that says "I am this application" to one token endpoint for some minutes.
//! Entra finds the certificate by its thumbprint in the header. Two forms are in use: PS256 with
//! a SHA-256 thumbprint, which Microsoft asks for now, and RS256 with a SHA-1 one, which older
//! authorities know.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::rsa;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::EntraApp;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Seconds an assertion holds: it is used once, at once.
const LIFETIME: u64 = 9 * 60;

/// How an assertion is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA-PSS, and the certificate by its SHA-256.
    #[default]
    Ps256,
    /// RSA PKCS#1 v1.5, and the certificate by its SHA-1.
    Rs256,
}

/// The certificate or key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// The PEM holds no certificate.
    #[error("there is no certificate in PEM")]
    Certificate,
    /// The PEM holds no unencrypted RSA key of 2048 to 4096 bits.
    #[error("there is no unencrypted RSA key of 2048 to 4096 bits in PEM")]
    Key,
    /// The key belongs to another certificate.
    #[error("the key is not that of the certificate")]
    Mismatch,
}

/// A certificate of an application, with its key. `Debug` shows neither.
#[derive(Clone)]
pub struct ClientCertificate {
    key: Arc<rsa::KeyPair>,
    algorithm: SigningAlgorithm,
    /// The certificate's thumbprint as the header names it.
    thumbprint: String,
}

impl ClientCertificate {
    /// Takes a certificate and its RSA key (PKCS#8 or PKCS#1, not encrypted), each in PEM. Both may
    /// be the same text.
    ///
    /// ```no_run
    /// use iothub::entra::{ClientCertificate, SigningAlgorithm};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pem = std::fs::read("client.pem")?;
    /// let certificate = ClientCertificate::from_pem(&pem, &pem, SigningAlgorithm::Ps256)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        algorithm: SigningAlgorithm,
    ) -> Result<Self, InvalidCertificate> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| InvalidCertificate::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidCertificate::Key)?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(InvalidCertificate::Key),
        };
        let key = key.map_err(|_| InvalidCertificate::Key)?;
        // A certificate holds its public key as it is written here, so no parser is needed.
        let public = key.public().as_ref();
        if !certificate.windows(public.len()).any(|part| part == public) {
            return Err(InvalidCertificate::Mismatch);
        }
        let hash = match algorithm {
            SigningAlgorithm::Ps256 => &SHA256,
            SigningAlgorithm::Rs256 => &SHA1_FOR_LEGACY_USE_ONLY,
        };
        Ok(Self {
            key: Arc::new(key),
            algorithm,
            thumbprint: URL_SAFE_NO_PAD.encode(digest::digest(hash, &certificate)),
        })
    }

    /// An assertion for an application's token endpoint. `now` is the issuer's time in Unix seconds.
    pub(super) fn assertion(&self, app: &EntraApp, now: u64) -> Result<Secret> {
        let mut id = [0; 16];
        let random = SystemRandom::new();
        let failed = |_| Error::unsent("the system has no randomness");
        random.fill(&mut id).map_err(failed)?;
        let text = self.unsigned(app, now, &id);
        let encoding: &'static dyn RsaEncoding = match self.algorithm {
            SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
            SigningAlgorithm::Rs256 => &RSA_PKCS1_SHA256,
        };
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(encoding, &random, text.as_bytes(), &mut signature)
            .map_err(failed)?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::from(format!("{text}.{signature}")))
    }

    fn unsigned(&self, app: &EntraApp, now: u64, id: &[u8]) -> String {
        let header = match self.algorithm {
            SigningAlgorithm::Ps256 => {
                json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint})
            }
            SigningAlgorithm::Rs256 => {
                json!({"alg": "RS256", "typ": "JWT", "x5t": self.thumbprint})
            }
        };
        let claims = json!({
            "aud": app.token_url(),
            "iss": app.client_id(),
            "sub": app.client_id(),
            "jti": URL_SAFE_NO_PAD.encode(id),
            "nbf": now,
            "iat": now,
            "exp": now.saturating_add(LIFETIME),
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", encode(&header), encode(&claims))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("algorithm", &self.algorithm)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    use super::*;
    use crate::entra::Authority;

    const BOTH: &[u8] = include_bytes!("../../tests/data/client.pem");
    const PKCS1: &[u8] = include_bytes!("../../tests/data/client-pkcs1-key.pem");
    /// By `openssl dgst` over the certificate.
    const SHA256_THUMBPRINT: &str = "_ixS_UeXYn5nWBSwSxXrDZaAXdq4l607m9pBKt2ywl0";
    const SHA1_THUMBPRINT: &str = "VdE96CxaM686HjXuJYylgOxTa9w";

    fn app() -> EntraApp {
        EntraApp::new(Authority::default(), "t-1", "c-1").unwrap()
    }

    /// Header and claims of an assertion whose signature holds.
    fn verified(
        certificate: &ClientCertificate,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> (Value, Value) {
        let assertion = certificate.assertion(&app(), 1000).unwrap();
        let (text, signature) = assertion.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, certificate.key.public().as_ref())
            .verify(text.as_bytes(), &signature)
            .unwrap();
        let (header, claims) = text.split_once('.').unwrap();
        let decode = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        (decode(header), decode(claims))
    }

    #[test]
    fn the_newer_form_is_ps256_with_a_sha256_thumbprint() {
        let certificate = ClientCertificate::from_pem(BOTH, BOTH, SigningAlgorithm::Ps256).unwrap();
        let (header, claims) = verified(&certificate, &RSA_PSS_2048_8192_SHA256);
        assert_eq!(
            header,
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": SHA256_THUMBPRINT})
        );
        assert_eq!(
            claims["aud"],
            "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"
        );
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"c-1".into(), &"c-1".into())
        );
        assert_eq!(
            (&claims["nbf"], &claims["iat"], &claims["exp"]),
            (&1000.into(), &1000.into(), &1540.into())
        );
    }

    #[test]
    fn the_older_form_is_rs256_with_a_sha1_thumbprint() {
        let certificate =
            ClientCertificate::from_pem(BOTH, PKCS1, SigningAlgorithm::Rs256).unwrap();
        let (header, _) = verified(&certificate, &RSA_PKCS1_2048_8192_SHA256);
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "x5t": SHA1_THUMBPRINT})
        );
    }

    #[test]
    fn no_two_assertions_have_one_id() {
        let certificate = ClientCertificate::from_pem(BOTH, BOTH, SigningAlgorithm::Ps256).unwrap();
        let ids =
            [(); 2].map(|()| verified(&certificate, &RSA_PSS_2048_8192_SHA256).1["jti"].clone());
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let take = |certificate: &[u8], key: &[u8]| {
            ClientCertificate::from_pem(certificate, key, SigningAlgorithm::Ps256).unwrap_err()
        };
        let other = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let (other, elliptic) = (other.cert.pem(), other.signing_key.serialize_pem());
        assert_eq!(take(b"", BOTH), InvalidCertificate::Certificate);
        assert_eq!(take(BOTH, b""), InvalidCertificate::Key);
        assert_eq!(take(BOTH, elliptic.as_bytes()), InvalidCertificate::Key);
        assert_eq!(take(other.as_bytes(), BOTH), InvalidCertificate::Mismatch);
    }

    #[test]
    fn debug_shows_no_key() {
        let certificate = ClientCertificate::from_pem(BOTH, BOTH, SigningAlgorithm::Ps256).unwrap();
        let shown = format!("{certificate:?}");
        assert!(
            shown.contains(SHA256_THUMBPRINT) && !shown.contains("KeyPair"),
            "{shown}"
        );
    }
}
