//! Tokens as useradm issues them (`EdDSA`, `kid` a whole number), also wrong ones on order.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::control_errors::ControlError;
use crate::orders;
use crate::simulator::Simulator;

/// The id of the one key.
const KID: u64 = 1;
/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: [u8; 12] = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];
/// A week, as useradm has it.
const LIFE: i64 = 7 * 24 * 3600;

/// The key of this run.
pub(crate) struct Issuer(Ed25519KeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .expect("the system has randomness");
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref());
        Self(key.expect("a key that was just made"))
    }

    fn pem(&self) -> String {
        let key = [&SPKI, self.0.public_key().as_ref()].concat();
        let body = STANDARD.encode(key);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, claims: &Map<String, Value>) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encode(&json!({"alg": "EdDSA", "typ": "JWT", "kid": KID}));
        let mut token = format!("{header}.{}", encode(&Value::Object(claims.clone())));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(token.as_bytes()));
        let _ = write!(token, ".{signature}");
        token
    }

    /// The claims of a token of ours whose time is not over.
    pub(crate) fn read(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, self.0.public_key());
        key.verify(signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
        // Mender takes a token without an end, a personal one, for valid.
        let end = claims.get("exp").map_or(Some(i64::MAX), Value::as_i64)?;
        (end > Timestamp::now().as_second()).then_some(claims)
    }
}

/// `POST /simulator/tokens`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    user: String,
    #[serde(default)]
    tenant: String,
    /// Claims to change or add; null takes one out.
    #[serde(default)]
    claims: Map<String, Value>,
}

#[derive(Serialize)]
pub(crate) struct Issued {
    token: String,
}

pub(crate) async fn issue(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Issued>, ControlError> {
    let order: Order = orders::read(&body)?;
    let now = Timestamp::now().as_second();
    let usual = json!({
        "jti": uuid::Uuid::new_v4(), "sub": order.user, "iss": "mender.useradm",
        "scp": "mender.*", "exp": now + LIFE, "iat": now, "nbf": now, "mender.user": true,
    });
    let Value::Object(mut claims) = usual else {
        return Err(ControlError::Body("no claims".to_owned()));
    };
    if !order.tenant.is_empty() {
        claims.insert("mender.tenant".to_owned(), order.tenant.into());
    }
    claims.extend(order.claims);
    claims.retain(|_, value| !value.is_null());
    let token = simulator.issuer.sign(&claims);
    Ok(Json(Issued { token }))
}

/// `GET /simulator/keys`: the public key in PEM form, by its `kid`.
pub(crate) async fn keys(State(simulator): State<Arc<Simulator>>) -> Json<Value> {
    Json(json!({ KID.to_string(): simulator.issuer.pem() }))
}
