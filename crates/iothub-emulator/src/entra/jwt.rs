//! JSON Web Tokens in their compact form, signed with Ed25519.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// The name of the only key.
const KEY_ID: &str = "emulator-1";

/// A token taken apart, its signature not yet looked at.
pub(super) struct Parts<'a> {
    /// What was signed.
    pub(super) signed: &'a str,
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    pub(super) fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let json = |text: &str| serde_json::from_slice(&decode(text)?).ok();
        Some(Self {
            signed,
            header: json(header)?,
            claims: json(claims)?,
            signature: decode(signature)?,
        })
    }
}

/// The key of the issuer.
pub(super) struct Signer {
    key: Ed25519KeyPair,
}

impl Signer {
    /// A new key.
    pub(super) fn generate() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .expect("the system's random numbers do not run out once it has booted");
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref())
            .expect("a key just generated is well-formed");
        Self { key }
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": KEY_ID});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The claims of a token that this key has signed.
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        let parts = Parts::of(token)?;
        if parts.header["alg"] != "EdDSA" {
            return None;
        }
        let key = UnparsedPublicKey::new(&ED25519, self.key.public_key());
        key.verify(parts.signed.as_bytes(), &parts.signature).ok()?;
        Some(parts.claims)
    }

    /// The public half as a JSON Web Key.
    pub(super) fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID, "x": x})
    }
}
