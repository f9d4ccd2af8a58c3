//! Mender's user tokens: read and verified here, without asking anybody.
//!
//! A token is hostile until its signature has been checked, and its header stays so: the header
//! only says by which key to check, and the key says how. What is not understood is refused, also
//! where the signature is good. There is no clock in here: the time is an argument.
//!
//! The form is RFC 7519 in RFC 7515's compact form, with the claims that Mender's useradm writes
//! (`backend/services/useradm/jwt/claims.go`): `sub`, `iss`, `exp`, `iat`, `nbf`, `jti`, `scp`,
//! `mender.tenant`, `mender.user`, `mender.device`. `kid` is a whole number there.
//!
//! That a user was removed or has logged out cannot be seen in a token: it is good until `exp`.

mod claims;
mod keys;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub use claims::Claims;
pub use keys::{Key, KeyError, Keys};

/// The longest token that is looked at, in bytes. Mender's have about 800.
pub const MAX_TOKEN: usize = 8 * 1024;
/// How far clocks may be apart, in seconds.
pub const LEEWAY: i64 = 60;
/// What a header may hold. Others say where to find a key, or change the meaning of the rest.
const HEADER: [&str; 3] = ["alg", "typ", "kid"];

/// What is trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The keys of those who may issue tokens.
    pub keys: Keys,
    /// What `iss` may be.
    pub issuers: Vec<String>,
    /// Takes tokens without `exp`, such as personal access tokens that never end. They cannot be
    /// taken back: useradm would know that one was revoked, this does not.
    pub without_expiry: bool,
}

/// Why a token is refused. It never repeats anything of the token, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not three parts of base64url.
    #[error("not a token in compact form")]
    Form,
    /// Header or claims are not what they must be; what is wrong.
    #[error("{0}")]
    Content(&'static str),
    /// No key has this `kid`.
    #[error("no key has the `kid` of the token")]
    UnknownKey,
    /// `alg` is not that of the key.
    #[error("the token's `alg` is not that of its key")]
    Algorithm,
    /// The signature is not that of the key.
    #[error("the signature is wrong")]
    Signature,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// There is no `exp`.
    #[error("the token has no `exp`")]
    NoExpiry,
    /// `nbf` or `iat` is still to come.
    #[error("the token is of the future")]
    Future,
    /// `iss` is not trusted.
    #[error("the token is of another issuer")]
    Issuer,
    /// A device's token, or nobody's.
    #[error("not a user's token")]
    NotAUser,
}

/// Verifies a token. `now` is in seconds since 1970.
///
/// The tenant of the claims is still to be compared with that of the request.
pub fn verify(token: &str, trust: &Trust, now: i64) -> Result<Claims, Refusal> {
    let parts = Parts::split(token)?;
    let header = parts.header()?;
    let kid = header.get("kid").and_then(claims::integer);
    let kid = kid.ok_or(Refusal::Content("`kid` is not a whole number"))?;
    let key = trust.keys.get(kid).ok_or(Refusal::UnknownKey)?;
    if header.get("alg").and_then(Value::as_str) != Some(key.algorithm()) {
        return Err(Refusal::Algorithm);
    }
    if !key.has_signed(parts.signed.as_bytes(), &decode(parts.signature)?) {
        return Err(Refusal::Signature);
    }
    let claims = Claims::read(parts.claims()?)?;
    claims.hold_at(now, trust.without_expiry)?;
    if !trust.issuers.contains(&claims.issuer) {
        return Err(Refusal::Issuer);
    }
    Ok(claims)
}

/// Reads the claims of a token that somebody else has verified, or will. Nothing is proved by
/// them.
pub fn read_unverified(token: &str) -> Result<Claims, Refusal> {
    let parts = Parts::split(token)?;
    parts.header()?;
    decode(parts.signature)?;
    Claims::read(parts.claims()?)
}

/// The parts of a token, still encoded.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What the signature is of.
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Form)?;
        if claims.contains('.') || [header, claims, signature].contains(&"") {
            return Err(Refusal::Form);
        }
        Ok(Self {
            header,
            claims,
            signature,
            signed,
        })
    }

    fn header(&self) -> Result<Map<String, Value>, Refusal> {
        let header = object(self.header, "the header is not a plain JSON object")?;
        if header.keys().any(|key| !HEADER.contains(&key.as_str())) {
            return Err(Refusal::Content("the header holds more than alg, typ, kid"));
        }
        match header.get("typ") {
            None => Ok(header),
            Some(Value::String(typ)) if typ.eq_ignore_ascii_case("JWT") => Ok(header),
            Some(_) => Err(Refusal::Content("`typ` is not JWT")),
        }
    }

    fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        object(self.claims, "the claims are not a plain JSON object")
    }
}

/// Without padding, without bits that mean nothing: each token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Form)
}

fn object(part: &str, otherwise: &'static str) -> Result<Map<String, Value>, Refusal> {
    match messages::strict_value(&decode(part)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err(Refusal::Content(otherwise)),
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
pub(crate) mod tests;
