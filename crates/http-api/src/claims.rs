//! Who a request of the management API comes from.
//!
//! Here the token is only read, as iot-manager reads it. Whether it is a good one is the gateway's
//! affair, or that of [`crate::ports::Users::check`].

use axum::http::header::{AUTHORIZATION, COOKIE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::ports::Caller;
use crate::reply::Reply;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;
const NOT_A_USER: &str = "user identity missing from authorization token";

/// The caller, or the answer that refuses it.
pub(crate) fn caller(headers: &HeaderMap) -> Result<Caller, Reply> {
    let token = token(headers).map_err(unauthorized)?;
    let claims = claims(token).map_err(unauthorized)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let subject = text("sub").filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| unauthorized("identity: claim \"sub\" is required"))?;
    if claims.get("mender.user") != Some(&Value::Bool(true)) {
        return Err(Reply::error(StatusCode::FORBIDDEN, NOT_A_USER));
    }
    let tenant = text("mender.tenant").unwrap_or_default().parse();
    Ok(Caller {
        subject: subject.to_owned(),
        tenant: tenant
            .map_err(|_| unauthorized("identity: claim \"mender.tenant\" is no tenant"))?,
        token_id: text("jti").map(str::to_owned),
        token: Zeroizing::new(token.to_owned()),
    })
}

/// 401, which makes the web UI ask for a password.
pub(crate) fn unauthorized(text: impl Into<String>) -> Reply {
    const REALM: HeaderValue = HeaderValue::from_static("Bearer realm=\"ManagementJWT\"");
    Reply::error(StatusCode::UNAUTHORIZED, text).with(WWW_AUTHENTICATE, REALM)
}

fn token(headers: &HeaderMap) -> Result<&str, String> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return cookie(headers).ok_or_else(|| "Authorization not present in header".to_owned());
    };
    let malformed = || "malformed Authorization header".to_owned();
    let value = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(malformed)?;
    if token.contains(' ') {
        return Err(malformed());
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        let scheme: String = scheme.chars().take(32).collect();
        return Err(format!("unknown Authorization method {scheme}"));
    }
    Ok(token)
}

/// The cookie `JWT`.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    let mut pairs = pairs.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix("JWT="))
}

fn claims(token: &str) -> Result<Value, &'static str> {
    let parts: Vec<_> = token.split('.').collect();
    let &[_, claims, _] = &parts[..] else {
        return Err("identity: incorrect token format");
    };
    if token.len() > LONGEST {
        return Err("identity: the token is too long");
    }
    let decoded = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('='));
    let decoded = decoded.map_err(|_| "identity: failed to decode base64 JWT claims")?;
    let claims = serde_json::from_slice(&decoded);
    let claims: Value = claims.map_err(|_| "identity: failed to decode JSON JWT claims")?;
    if claims.is_object() {
        Ok(claims)
    } else {
        Err("identity: failed to decode JSON JWT claims")
    }
}
