//! The token in use.
//!
//! A token is shared by all requests and renewed well before its end. Some kinds must be fetched
//! over the network, so three things are seen to here. One refresh is under way at a time, however
//! many requests want it. While the old token still holds, nobody waits for the new one but the
//! request that fetches it, and a failed refresh does no harm: the old token is used on and the
//! next try comes later. And those who waited for a refresh that failed share its error instead
//! of trying one after the other.
//!
//! A refused token is thrown away only if it is still the one in use: of a hundred requests
//! refused together, one makes the new token.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::HeaderValue;

use crate::error::{Error, Result};

/// Seconds until a refresh that failed is tried again, while the old token still holds.
const REFRESH_AGAIN: u64 = 30;

/// The value of an `Authorization` header and its times, in the hub's Unix seconds.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    header: HeaderValue,
    renew_at: u64,
    expires_at: u64,
}

impl Token {
    /// `None` if the text cannot be a header.
    pub(crate) fn new(text: &str, renew_at: u64, expires_at: u64) -> Option<Self> {
        let mut header = HeaderValue::from_str(text).ok()?;
        // Keeps it out of the HTTP stack's debug output and compression tables.
        header.set_sensitive(true);
        Some(Self {
            header,
            renew_at,
            expires_at,
        })
    }

    #[cfg(test)]
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// Whether it need not be renewed yet.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        now < self.renew_at
    }

    /// Whether it still holds.
    pub(crate) fn is_valid(&self, now: u64) -> bool {
        now < self.expires_at
    }
}

/// The token in use, if any, and how the last refresh went.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    slot: Mutex<Slot>,
    /// Held by whoever refreshes.
    refresh: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Slot {
    token: Option<Token>,
    failed: Option<(Instant, Error)>,
}

impl TokenCache {
    /// The token in use, or the one that `fetch` makes if that is due.
    pub(crate) async fn get(
        &self,
        now: u64,
        fetch: impl AsyncFnOnce() -> Result<Token>,
    ) -> Result<HeaderValue> {
        let asked = Instant::now();
        let old = self.valid(now);
        let _refreshing = match old {
            Some(token) if token.is_fresh(now) => return Ok(token.header),
            Some(token) => match self.refresh.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(token.header),
            },
            None => self.refresh.lock().await,
        };
        if let Some(token) = self.valid(now).filter(|token| token.is_fresh(now)) {
            return Ok(token.header);
        }
        if let Some(error) = self.failed_since(asked) {
            return Err(error);
        }
        self.settle(now, fetch().await)
    }

    /// Forgets a token that the hub refused, unless it has been replaced meanwhile.
    pub(crate) fn discard(&self, refused: &HeaderValue) {
        let mut slot = self.slot();
        if slot
            .token
            .as_ref()
            .is_some_and(|token| token.header == *refused)
        {
            slot.token = None;
        }
    }

    fn valid(&self, now: u64) -> Option<Token> {
        self.slot()
            .token
            .clone()
            .filter(|token| token.is_valid(now))
    }

    fn failed_since(&self, asked: Instant) -> Option<Error> {
        let slot = self.slot();
        let (at, error) = slot.failed.as_ref()?;
        (*at >= asked).then(|| error.clone())
    }

    fn settle(&self, now: u64, fetched: Result<Token>) -> Result<HeaderValue> {
        let mut slot = self.slot();
        let error = match fetched {
            Ok(token) => {
                slot.failed = None;
                return Ok(slot.token.insert(token).header.clone());
            }
            Err(error) => error,
        };
        if let Some(old) = slot.token.as_mut().filter(|token| token.is_valid(now)) {
            tracing::warn!(%error, "the token could not be renewed; the old one still holds");
            old.renew_at = now.saturating_add(REFRESH_AGAIN);
            return Ok(old.header.clone());
        }
        slot.failed = Some((Instant::now(), error.clone()));
        Err(error)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A token is whole or absent, whatever panicked while it was looked at.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Kind;

    /// Due after 100 s, ended after 200.
    fn made(now: u64, text: &str) -> Token {
        Token::new(text, now + 100, now + 200).unwrap()
    }

    async fn get(cache: &TokenCache, now: u64, fresh: &str) -> HeaderValue {
        cache.get(now, async || Ok(made(now, fresh))).await.unwrap()
    }

    async fn fail(cache: &TokenCache, now: u64) -> Result<HeaderValue> {
        cache
            .get(now, async || Err(Error::unsent("no network")))
            .await
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
        cache.discard(&first);
        assert_eq!(get(&cache, 0, "second").await, "second");
        // A slower request that was refused with the first one changes nothing.
        cache.discard(&first);
        assert_eq!(get(&cache, 0, "third").await, "second");
    }

    #[tokio::test]
    async fn a_failed_fetch_is_reported_and_tried_again() {
        let cache = TokenCache::default();
        assert_eq!(fail(&cache, 0).await.unwrap_err().kind(), Kind::Transient);
        assert_eq!(get(&cache, 0, "first").await, "first");
    }

    #[tokio::test]
    async fn a_failed_renewal_leaves_the_old_token_until_its_end() {
        let cache = TokenCache::default();
        get(&cache, 0, "first").await;
        assert_eq!(fail(&cache, 150).await.unwrap(), "first");
        // Not asked again at once, only after a while.
        assert_eq!(get(&cache, 179, "second").await, "first");
        assert_eq!(get(&cache, 180, "second").await, "second");
        assert!(fail(&cache, 400).await.is_err());
    }

    #[tokio::test]
    async fn while_the_old_token_holds_nobody_waits_for_the_refresh() {
        let cache = TokenCache::default();
        get(&cache, 0, "first").await;
        let renewed = cache.get(150, async || {
            // Another request, in the middle of the refresh.
            assert_eq!(get(&cache, 150, "third").await, "first");
            Ok(made(150, "second"))
        });
        assert_eq!(renewed.await.unwrap(), "second");
    }

    #[tokio::test]
    async fn those_who_wait_share_one_fetch_and_its_error() {
        for works in [true, false] {
            let cache = TokenCache::default();
            let fetches = AtomicUsize::new(0);
            let one = || {
                cache.get(0, async || {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    let failed = Error::unsent("no network");
                    if works {
                        Ok(made(0, "first"))
                    } else {
                        Err(failed)
                    }
                })
            };
            let (a, b, c) = tokio::join!(one(), one(), one());
            assert_eq!([a.is_ok(), b.is_ok(), c.is_ok()], [works; 3]);
            assert_eq!(fetches.into_inner(), 1);
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert!(!format!("{:?}", made(0, "sesame")).contains("sesame"));
    }

    #[test]
    fn what_cannot_be_a_header_is_no_token() {
        assert!(Token::new("a\nb", 0, 0).is_none());
    }
}
