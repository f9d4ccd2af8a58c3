//! Who we are to the hub, and the token that says so.
//!
//! A token is made ahead of need and shared by all requests until it is renewed, well before its
//! end. The cache takes the making of a token as a closure and lets one caller at a time run it,
//! so a kind of token that must be fetched over the network is fetched once however many
//! requests wait for it. A refused token is thrown away only if it is still the cached one: of a
//! hundred requests refused together, one makes the new token.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Mutex;

use crate::host::HostName;
use crate::sas::SigningKey;
use crate::secret::Secret;

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
        Token::new(&secret, now.saturating_add(SAS_USE.as_secs()))
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
    pub(crate) fn token(&self, host: &HostName, now: u64) -> Token {
        match self {
            Self::SharedAccess(shared) => shared.token(host, now),
        }
    }
}

/// The value of an `Authorization` header and when to make the next one (hub's Unix seconds).
#[derive(Debug, Clone)]
pub(crate) struct Token {
    header: HeaderValue,
    renew_at: u64,
}

impl Token {
    fn new(secret: &Secret, renew_at: u64) -> Self {
        let mut header = HeaderValue::from_str(secret.expose())
            .expect("tokens are percent-encoded, so printable ASCII");
        // Keeps it out of the HTTP stack's debug output and compression tables.
        header.set_sensitive(true);
        Self { header, renew_at }
    }
}

/// The token in use.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Option<Token>>);

impl TokenCache {
    /// The cached token, or the one that `fetch` makes if that is due.
    pub(crate) async fn get<E>(
        &self,
        now: u64,
        fetch: impl AsyncFnOnce() -> Result<Token, E>,
    ) -> Result<HeaderValue, E> {
        let mut slot = self.0.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.header.clone());
        }
        let token = fetch().await?;
        Ok(slot.insert(token).header.clone())
    }

    /// Forgets a token that the hub refused, unless it has been replaced meanwhile.
    pub(crate) async fn discard(&self, refused: &HeaderValue) {
        let mut slot = self.0.lock().await;
        if slot.as_ref().is_some_and(|token| token.header == *refused) {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn get(cache: &TokenCache, now: u64, fresh: &str) -> HeaderValue {
        let made = Token::new(&fresh.into(), now + 100);
        cache
            .get(now, async || Ok::<_, Infallible>(made))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_token_is_used_until_it_is_due() {
        let cache = TokenCache::default();
        assert_eq!(get(&cache, 1000, "first").await, "first");
        assert_eq!(get(&cache, 1099, "second").await, "first");
        assert_eq!(get(&cache, 1100, "second").await, "second");
    }

    #[tokio::test]
    async fn a_refused_token_is_forgotten_once() {
        let cache = TokenCache::default();
        let first = get(&cache, 0, "first").await;
        cache.discard(&first).await;
        assert_eq!(get(&cache, 0, "second").await, "second");
        // A slower request that was refused with the first one changes nothing.
        cache.discard(&first).await;
        assert_eq!(get(&cache, 0, "third").await, "second");
    }

    #[tokio::test]
    async fn a_failed_fetch_is_reported_and_tried_again() {
        let cache = TokenCache::default();
        assert_eq!(
            cache.get(0, async || Err("no network")).await,
            Err("no network")
        );
        assert_eq!(get(&cache, 0, "first").await, "first");
    }

    #[test]
    fn a_shared_access_token_outlives_its_use() {
        let key = SigningKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into())
            .unwrap();
        let credential = Credential::SharedAccess(SharedAccess::new("worker".into(), key));
        let token = credential.token(&"h.azure-devices.net".parse().unwrap(), 1_000_000);
        let text = token.header.to_str().unwrap();
        assert!(text.ends_with("&se=1001800&skn=worker"), "{text}");
        assert_eq!(token.renew_at, 1_000_900);
    }

    #[test]
    fn debug_shows_neither_key_nor_token() {
        let key = SigningKey::from_base64(&"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".into())
            .unwrap();
        let credential = Credential::SharedAccess(SharedAccess::new("worker".into(), key));
        let token = credential.token(&"h.azure-devices.net".parse().unwrap(), 0);
        let shown = format!("{credential:?} {token:?}");
        assert!(
            shown.contains("worker") && !shown.contains("sig="),
            "{shown}"
        );
    }
}
