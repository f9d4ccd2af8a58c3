//! The mode `jwt`: the caller shows Mender's user token, which is verified here.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Access, Asked, Caller, Denied, Proof, Roles, bearer};
use crate::TwinError;
use crate::token::{Claims, Trust, verify};

/// Decides by a token and the roles in it.
pub struct ByToken {
    trust: Trust,
    roles: Roles,
    clock: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for ByToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByToken")
            .field("trust", &self.trust)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl ByToken {
    /// Trusts these keys and reads roles like this, by the system's clock.
    #[must_use]
    pub fn new(trust: Trust, roles: Roles) -> Self {
        Self::at(trust, roles, now)
    }

    /// With a clock of one's own, which tells seconds since 1970.
    pub fn at(trust: Trust, roles: Roles, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            trust,
            roles,
            clock: Box::new(clock),
        }
    }

    fn decide(&self, asked: &Asked<'_>) -> Result<Caller, Denied> {
        let token = bearer::token(asked.headers).ok_or(TwinError::Unauthenticated)?;
        let claims = verify(token, &self.trust, (self.clock)()).map_err(|refusal| {
            tracing::debug!(%refusal, "a token was refused: {refusal}");
            TwinError::Unauthenticated
        })?;
        let caller = caller(&claims, Proof::Token);
        // The tenant first: what roles one has there is of no interest here.
        if claims.tenant == *asked.tenant && self.roles.allow(&claims, asked.verb, asked.device) {
            return Ok(caller);
        }
        Err(Denied {
            error: TwinError::Forbidden,
            caller: Some(caller),
        })
    }
}

impl Access for ByToken {
    async fn check(&self, asked: Asked<'_>) -> Result<Caller, Denied> {
        self.decide(&asked)
    }
}

/// Who the claims are of.
pub(super) fn caller(claims: &Claims, by: Proof) -> Caller {
    Caller {
        by,
        tenant: Some(claims.tenant.clone()),
        subject: Some(claims.subject.clone()),
        token_id: claims.token_id.clone(),
    }
}

/// Before 1970 nothing is valid.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
