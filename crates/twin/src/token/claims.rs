//! What a token says.

use messages::TenantId;
use serde_json::{Map, Value};

use super::{LEEWAY, Refusal};

/// The longest `sub`, `iss` and `jti` that are taken, in bytes.
const MAX_NAME: usize = 256;
/// The scope of everything a user may do. Others are for one purpose, such as making the first
/// user.
const SCOPE: &str = "mender.*";

/// What a user's token says. `Debug` shows who it is of, not what else is in it.
#[derive(Clone, PartialEq)]
pub struct Claims {
    /// `sub`: the user.
    pub subject: String,
    /// `mender.tenant`; without it the empty tenant, which is that of open-source Mender.
    pub tenant: TenantId,
    /// `iss`.
    pub issuer: String,
    /// `jti`.
    pub token_id: Option<String>,
    expires: Option<i64>,
    begins: Option<i64>,
    issued: Option<i64>,
    all: Map<String, Value>,
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims")
            .field("subject", &self.subject)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Claims {
    pub(super) fn read(all: Map<String, Value>) -> Result<Self, Refusal> {
        if all.get("mender.user") != Some(&Value::Bool(true)) || all.contains_key("mender.device") {
            return Err(Refusal::NotAUser);
        }
        if !in_scope(all.get("scp")) {
            return Err(Refusal::Content("`scp` does not hold mender.*"));
        }
        let tenant = match all.get("mender.tenant") {
            None => "",
            Some(Value::String(tenant)) => tenant,
            Some(_) => return Err(Refusal::Content("`mender.tenant` is not a text")),
        };
        let tenant = tenant.parse();
        let name = |claim| name(&all, claim);
        let missing = || Refusal::Content("`sub` or `iss` is missing");
        Ok(Self {
            subject: name("sub")?.ok_or_else(missing)?,
            tenant: tenant.map_err(|_| Refusal::Content("`mender.tenant` is no tenant"))?,
            issuer: name("iss")?.ok_or_else(missing)?,
            token_id: name("jti")?,
            expires: time(&all, "exp")?,
            begins: time(&all, "nbf")?,
            issued: time(&all, "iat")?,
            all,
        })
    }

    /// Whether the token's time is now.
    pub(super) fn hold_at(&self, now: i64, without_expiry: bool) -> Result<(), Refusal> {
        match self.expires {
            None if !without_expiry => return Err(Refusal::NoExpiry),
            Some(end) if end.saturating_add(LEEWAY) <= now => return Err(Refusal::Expired),
            _ => {}
        }
        let latest = now.saturating_add(LEEWAY);
        let begun = [self.begins, self.issued].into_iter().flatten();
        if begun.into_iter().any(|time| time > latest) {
            return Err(Refusal::Future);
        }
        Ok(())
    }

    /// The claim at a JSON pointer (RFC 6901): `/mender.roles` is the claim `mender.roles`.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        let mut parts = pointer.strip_prefix('/')?.split('/');
        let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let first = self.all.get(&unescaped(parts.next()?))?;
        parts.try_fold(first, |value, part| value.get(unescaped(part)))
    }
}

/// No scope is that of everything: useradm has always written one.
fn in_scope(scope: Option<&Value>) -> bool {
    match scope {
        None => true,
        Some(Value::String(scope)) => scope.split(' ').any(|word| word == SCOPE),
        Some(_) => false,
    }
}

fn name(claims: &Map<String, Value>, claim: &str) -> Result<Option<String>, Refusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_NAME => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(Refusal::Content(
            "`sub`, `iss` or `jti` is not a short text",
        )),
    }
}

fn time(claims: &Map<String, Value>, claim: &str) -> Result<Option<i64>, Refusal> {
    let not_whole = Refusal::Content("a time is not a whole number of seconds");
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => integer(value)
            .filter(|time| *time >= 0)
            .map(Some)
            .ok_or(not_whole),
    }
}

/// A whole number as whole numbers are written: neither `1.0` nor `1e0` nor `"1"`.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else {
        return None;
    };
    let written = number.to_string();
    let read: i64 = written.parse().ok()?;
    (read.to_string() == written).then_some(read)
}
