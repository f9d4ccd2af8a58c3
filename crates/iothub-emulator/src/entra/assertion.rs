//! Assertions that take the place of a secret: signed with a certificate's key, or by the issuer
//! of another system.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde_json::Value;
use webpki::EndEntityCert;

use super::apps::App;
use super::jwt::{Parts, Signer};

/// What an assertion is checked against.
pub(super) struct Wanted<'a> {
    pub(super) app: &'a App,
    /// The end of the URL that the assertion is made out to.
    pub(super) endpoint: &'a str,
    pub(super) now: u64,
    /// Seconds that clocks may differ.
    pub(super) skew: u64,
}

/// Whether an assertion proves that its bearer is the application.
pub(super) fn proves(token: &str, signer: &Signer, wanted: &Wanted<'_>) -> bool {
    let Some(parts) = Parts::of(token) else {
        return false;
    };
    if !in_time(&parts.claims, wanted.now, wanted.skew) {
        return false;
    }
    match signer.verify(token) {
        Some(claims) => is_federated(&claims, wanted.app),
        None => is_certified(&parts, wanted),
    }
}

fn in_time(claims: &Value, now: u64, skew: u64) -> bool {
    let time = |name: &str| claims[name].as_u64();
    let begun = time("nbf").is_none_or(|it| it <= now + skew);
    begun && time("exp").is_some_and(|it| now <= it.saturating_add(skew))
}

/// Whether another issuer says that this is one of the application's workloads.
fn is_federated(claims: &Value, app: &App) -> bool {
    let made_out_to = |audience: &str| match &claims["aud"] {
        Value::Array(all) => all.iter().any(|it| it == audience),
        one => one == audience,
    };
    app.federated.iter().any(|it| {
        claims["iss"] == it.issuer && claims["sub"] == it.subject && made_out_to(&it.audience)
    })
}

/// Whether the key of one of the application's certificates has signed it, for this endpoint.
fn is_certified(parts: &Parts<'_>, wanted: &Wanted<'_>) -> bool {
    let claims = &parts.claims;
    let is_client = |name: &str| {
        claims[name]
            .as_str()
            .is_some_and(|it| it.eq_ignore_ascii_case(&wanted.app.client_id))
    };
    let here = claims["aud"]
        .as_str()
        .is_some_and(|it| it.ends_with(wanted.endpoint));
    let new = claims["jti"].is_string();
    here && new
        && is_client("iss")
        && is_client("sub")
        && wanted
            .app
            .certificates
            .iter()
            .any(|pem| signed_by(parts, pem))
}

fn signed_by(parts: &Parts<'_>, pem: &str) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return false;
    };
    let named = |header: &str, algorithm: &'static Algorithm| {
        let print = URL_SAFE_NO_PAD.encode(digest(algorithm, &der));
        parts.header[header]
            .as_str()
            .map(|it| it.trim_end_matches('=') == print)
    };
    let named = named("x5t#S256", &SHA256).or_else(|| named("x5t", &SHA1_FOR_LEGACY_USE_ONLY));
    let algorithm: &dyn SignatureVerificationAlgorithm = match parts.header["alg"].as_str() {
        Some("PS256") => webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        Some("RS256") => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        _ => return false,
    };
    let verified = EndEntityCert::try_from(&der)
        .and_then(|it| it.verify_signature(algorithm, parts.signed.as_bytes(), &parts.signature));
    named == Some(true) && verified.is_ok()
}
