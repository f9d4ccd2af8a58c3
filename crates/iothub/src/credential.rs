//! Who we are to the hub.
//!
//! Either a shared access policy of the hub, whose key signs tokens here, or an identity in
//! Microsoft Entra ID, which has to be asked for them. For the rest of the crate both are one
//! thing: something that makes a token.

use std::fmt;
use std::time::Duration;

use crate::entra::Entra;
use crate::error::Result;
use crate::host::HostName;
use crate::sas::SigningKey;
use crate::token::Token;

/// How long a shared access token holds. Making one takes microseconds, so it need not be long;
/// it must outlive a request that the hub answers late, and the clock difference of a first
/// request before the hub told its time.
const SAS_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long a shared access token is used before the next one is made.
const SAS_USE: Duration = Duration::from_secs(15 * 60);

/// How service calls are authenticated.
#[derive(Debug, Clone)]
pub enum Credential {
    /// With the key of a shared access policy.
    SharedAccess(SharedAccess),
    /// As an identity in Microsoft Entra ID.
    Entra(Entra),
}

/// A shared access policy and its key.
#[derive(Clone)]
pub struct SharedAccess {
    policy: String,
    key: SigningKey,
}

impl SharedAccess {
    /// A policy by name, with its primary or secondary key.
    #[must_use]
    pub fn new(policy: String, key: SigningKey) -> Self {
        Self { policy, key }
    }

    /// The policy's name.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    fn token(&self, host: &HostName, now: u64) -> Token {
        let expiry = now.saturating_add(SAS_LIFETIME.as_secs());
        let secret = self.key.sign(host.as_str(), expiry, Some(&self.policy));
        Token::new(
            secret.expose(),
            now.saturating_add(SAS_USE.as_secs()),
            expiry,
        )
        .expect("tokens are percent-encoded, so printable ASCII")
    }
}

impl fmt::Debug for SharedAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedAccess")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Credential {
    /// A new token for calls to `host`. `now` is the hub's time in Unix seconds.
    pub(crate) async fn token(&self, host: &HostName, now: u64) -> Result<Token> {
        match self {
            Self::SharedAccess(shared) => Ok(shared.token(host, now)),
            Self::Entra(entra) => entra.token(host, now).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedAccess {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into();
        SharedAccess::new("worker".into(), SigningKey::from_base64(&key).unwrap())
    }

    #[test]
    fn a_shared_access_token_outlives_its_use() {
        let token = shared().token(&"h.azure-devices.net".parse().unwrap(), 1_000_000);
        let text = token.header().to_str().unwrap();
        assert!(text.ends_with("&se=1001800&skn=worker"), "{text}");
        assert!(token.is_fresh(1_000_899) && !token.is_fresh(1_000_900));
        assert!(token.is_valid(1_001_799) && !token.is_valid(1_001_800));
    }

    #[test]
    fn debug_shows_neither_key_nor_token() {
        let token = shared().token(&"h.azure-devices.net".parse().unwrap(), 0);
        let shown = format!("{:?} {token:?}", Credential::SharedAccess(shared()));
        assert!(
            shown.contains("worker") && !shown.contains("sig="),
            "{shown}"
        );
    }
}
