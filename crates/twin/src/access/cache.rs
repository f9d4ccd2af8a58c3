//! Answers of Mender, remembered for seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use messages::TenantId;
use ring::digest::{Context, SHA256};
use tokio::time::Instant;

use super::by_mender::{Question, Verdict};

/// Answers that are remembered. One takes about 200 bytes.
const MOST: usize = 10_000;

/// What an answer is about. It is a hash, so that no token stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(token: &str, question: &Question, tenant: &TenantId) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in [token, question.method, &question.uri, tenant.as_str()] {
            // The length first: two lists of parts never run into the same bytes.
            hash.update(&part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        Self(key)
    }
}

/// The answers. When it is full of answers that still hold, further ones are not remembered.
#[derive(Debug)]
pub(super) struct Cache {
    keep: Duration,
    answers: Mutex<HashMap<Key, (Instant, Verdict)>>,
}

impl Cache {
    pub(super) fn new(keep: Duration) -> Self {
        Self {
            keep,
            answers: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Verdict> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (end, verdict) = answers.get(key)?;
        (*end > Instant::now()).then(|| verdict.clone())
    }

    pub(super) fn put(&self, key: Key, verdict: Verdict) {
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (end, _)| *end > now);
        }
        if answers.len() < MOST {
            answers.insert(key, (now + self.keep, verdict));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str, uri: &str) -> Key {
        let question = Question {
            method: "GET",
            uri: uri.to_owned(),
        };
        Key::of(token, &question, &"t".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_its_time_and_for_its_question() {
        let cache = Cache::new(Duration::from_secs(5));
        cache.put(key("a", "/x"), Verdict::Allowed);
        assert_eq!(cache.get(&key("a", "/x")), Some(Verdict::Allowed));
        assert_eq!(cache.get(&key("b", "/x")), None);
        assert_eq!(cache.get(&key("a", "/y")), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(cache.get(&key("a", "/x")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_grow_without_bound_and_forgets_what_is_over() {
        let cache = Cache::new(Duration::from_secs(5));
        for n in 0..MOST + 10 {
            cache.put(key("a", &n.to_string()), Verdict::Forbidden);
        }
        assert_eq!(cache.answers.lock().unwrap().len(), MOST);
        tokio::time::advance(Duration::from_secs(6)).await;
        cache.put(key("a", "/new"), Verdict::Allowed);
        assert_eq!(cache.answers.lock().unwrap().len(), 1);
    }
}
