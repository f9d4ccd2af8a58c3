//! A test issuer that stands in for Microsoft Entra ID, and the check of its tokens at the hub.
//!
//! It knows applications with their secrets, certificates, federated credentials and roles, and
//! hands out tokens in all the ways a client of the hub may ask. Its tokens are signed with
//! Ed25519 by a key made at start; a real issuer uses RSA, but to a client a token is only text.

pub(crate) mod apps;
mod assertion;
pub(crate) mod endpoints;
mod grant;
mod jwt;
mod managed;
mod roles;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Deserialize;
use serde_json::{Value, json};

use apps::{App, Apps};
use jwt::Signer;

/// Who tokens for hubs are made out to.
const RESOURCE: &str = "https://iothubs.azure.net";

/// The issuer, and what it knows.
pub(crate) struct Entra {
    signer: Signer,
    apps: RwLock<Apps>,
    /// Seconds a token is good for.
    lifetime: u64,
    /// What the identity service of App Service wants to hear.
    pub(crate) identity_header: String,
}

/// Why a token does not open a path; for the log, and for the choice of status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is not a token of this issuer for a hub, or its time is over.
    Token,
    /// The application has no role that allows this.
    Role(String),
}

/// The claims of an access token that the hub looks at.
#[derive(Deserialize)]
struct Claims {
    aud: String,
    appid: String,
    nbf: u64,
    exp: u64,
}

impl Entra {
    /// An issuer that knows nobody yet.
    pub(crate) fn new(lifetime: u64, identity_header: String) -> Self {
        Self {
            signer: Signer::generate(),
            apps: RwLock::default(),
            lifetime,
            identity_header,
        }
    }

    /// The applications, to look at.
    pub(crate) fn apps(&self) -> RwLockReadGuard<'_, Apps> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The applications, to change.
    pub(crate) fn apps_mut(&self) -> RwLockWriteGuard<'_, Apps> {
        self.apps.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides whether a bearer token allows all of `actions`. `skew` is in seconds.
    pub(crate) fn authorize(
        &self,
        token: &str,
        actions: &[&str],
        now: u64,
        skew: u64,
    ) -> Result<(), Denial> {
        let claims = self.signer.verify(token).ok_or(Denial::Token)?;
        let claims: Claims = serde_json::from_value(claims).map_err(|_| Denial::Token)?;
        let in_time = claims.nbf <= now + skew && now <= claims.exp.saturating_add(skew);
        if !in_time || claims.aud.trim_end_matches('/') != RESOURCE {
            return Err(Denial::Token);
        }
        let apps = self.apps();
        let app = apps.get(&claims.appid).ok_or(Denial::Token)?;
        let allowed = |action: &&str| app.roles.iter().any(|role| roles::allows(role, action));
        if actions.iter().all(allowed) {
            return Ok(());
        }
        Err(Denial::Role(app.object_id()))
    }

    /// An access token for an application.
    fn access_token(&self, app: &App, tenant: &str, now: u64) -> String {
        let object = app.object_id();
        self.signer.sign(&json!({
            "aud": RESOURCE,
            "iss": format!("https://sts.windows.net/{tenant}/"),
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "appid": app.client_id,
            "idtyp": "app",
            "oid": object,
            "sub": object,
            "tid": tenant,
            "ver": "1.0",
        }))
    }

    /// A token as another issuer would give it to a workload, for the federated way.
    pub(crate) fn workload_token(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        now: u64,
    ) -> String {
        self.signer.sign(&json!({
            "iss": issuer,
            "sub": subject,
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
        }))
    }

    /// The public key, as a set of JSON Web Keys.
    fn keys(&self) -> Value {
        json!({"keys": [self.signer.public()]})
    }
}

#[cfg(test)]
mod tests;
