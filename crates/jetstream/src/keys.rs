//! The keys of a bucket in order, a page at a time.
//!
//! A stream knows its subjects but hands out messages in the order of their writing, and a record
//! that changes while one lists would move. So the keys come from the stream's subject counts.
//! The server answers with at most 100,000 at once; of those the smallest that are due are kept
//! and serve the following pages too, so memory is bounded however many keys there are.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_nats::jetstream::Context;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::json;

use crate::{Error, Result};

/// Keys held for following pages: some two megabytes.
const WINDOW: usize = 20_000;
/// A held window older than this is read again.
const FRESH: Duration = Duration::from_secs(120);
/// Beyond the end of any list of subjects, and a number that every JSON reader takes.
const BEYOND: u64 = 1 << 40;

/// Lists the keys of one bucket.
#[derive(Debug)]
pub(crate) struct Keys {
    context: Context,
    stream: String,
    /// What subjects have before the key.
    prefix: String,
    window: Mutex<Option<Window>>,
}

/// A stretch of the ordered keys.
#[derive(Debug, Clone)]
struct Window {
    filter: String,
    after: String,
    keys: Vec<String>,
    /// No key comes after these.
    complete: bool,
    read: Instant,
}

/// Keys of one page, and whether more follow.
pub(crate) struct KeyPage {
    pub(crate) keys: Vec<String>,
    pub(crate) more: bool,
}

#[derive(Deserialize)]
struct Info {
    error: Option<async_nats::jetstream::Error>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    state: State,
}

#[derive(Deserialize, Default)]
struct State {
    #[serde(default)]
    num_subjects: u64,
    #[serde(default, deserialize_with = "names")]
    subjects: Vec<String>,
}

/// The names in an object, whatever their values.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(
            self,
            mut map: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    deserializer.deserialize_map(Names)
}

impl Keys {
    pub(crate) fn new(context: Context, bucket: &str) -> Self {
        Self {
            context,
            stream: format!("KV_{bucket}"),
            prefix: format!("$KV.{bucket}."),
            window: Mutex::new(None),
        }
    }

    /// How many keys there are; with a filter, how many match it.
    pub(crate) async fn count(&self, filter: Option<&str>) -> Result<u64> {
        let Some(filter) = filter else {
            return Ok(self.info(&json!({})).await?.state.num_subjects);
        };
        let subjects = format!("{}{filter}", self.prefix);
        let request = json!({"subjects_filter": subjects, "offset": BEYOND});
        Ok(self.info(&request).await?.total)
    }

    /// At most `limit` keys that match `filter` and come after `after`.
    pub(crate) async fn page(
        &self,
        filter: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<KeyPage> {
        if let Some(after) = after
            && let Some(page) = self.held(filter, after, limit)
        {
            return Ok(page);
        }
        let window = self.read(filter, after.unwrap_or_default(), limit).await?;
        let page = window.page(&window.after, limit);
        let complete = page.is_some();
        *self.lock() = Some(window);
        // A window holds more than the page it was read for, unless it holds everything.
        page.filter(|_| complete)
            .ok_or_else(|| Error::NotUnderstood("a list of keys that has no end".to_owned()))
    }

    fn held(&self, filter: &str, after: &str, limit: usize) -> Option<KeyPage> {
        let held = self.lock();
        let window = held.as_ref()?;
        let fits = window.filter == filter
            && window.after.as_str() <= after
            && window.read.elapsed() < FRESH;
        window.page(after, limit).filter(|_| fits)
    }

    async fn read(&self, filter: &str, after: &str, limit: usize) -> Result<Window> {
        let room = WINDOW.max(limit.saturating_add(1));
        let subjects = format!("{}{filter}", self.prefix);
        let mut keys = BTreeSet::new();
        let mut complete = true;
        let mut offset = 0;
        loop {
            let request = json!({"subjects_filter": subjects, "offset": offset});
            let info = self.info(&request).await?;
            let read = info.state.subjects.len() as u64;
            for subject in info.state.subjects {
                let Some(key) = subject
                    .strip_prefix(&self.prefix)
                    .filter(|key| *key > after)
                else {
                    continue;
                };
                keys.insert(key.to_owned());
                if keys.len() > room {
                    keys.pop_last();
                    complete = false;
                }
            }
            offset += read;
            if read == 0 || offset >= info.total {
                break;
            }
        }
        Ok(Window {
            filter: filter.to_owned(),
            after: after.to_owned(),
            keys: keys.into_iter().collect(),
            complete,
            read: Instant::now(),
        })
    }

    async fn info(&self, request: &serde_json::Value) -> Result<Info> {
        let subject = format!("STREAM.INFO.{}", self.stream);
        let info: Info = self
            .context
            .request(subject, request)
            .await
            .map_err(|error| Error::unavailable("failed to count keys", &error))?;
        match &info.error {
            None => Ok(info),
            Some(error) => Err(Error::Refused(format!("failed to count keys: {error}"))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Window>> {
        // A window is replaced whole, so one left by a panic is as good as any.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// The page after `after`, if this window holds it and knows whether more follow.
    fn page(&self, after: &str, limit: usize) -> Option<KeyPage> {
        let first = self.keys.partition_point(|key| key.as_str() <= after);
        let rest = &self.keys[first..];
        let more = rest.len() > limit;
        (more || self.complete).then(|| KeyPage {
            keys: rest[..limit.min(rest.len())].to_vec(),
            more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(keys: &[&str], complete: bool) -> Window {
        Window {
            filter: ">".to_owned(),
            after: String::new(),
            keys: keys.iter().map(ToString::to_string).collect(),
            complete,
            read: Instant::now(),
        }
    }

    #[track_caller]
    fn check(window: &Window, after: &str, expected: Option<(&[&str], bool)>) {
        let page = window.page(after, 2);
        let page = page.as_ref().map(|page| {
            let keys: Vec<&str> = page.keys.iter().map(String::as_str).collect();
            (keys, page.more)
        });
        assert_eq!(page, expected.map(|(keys, more)| (keys.to_vec(), more)));
    }

    #[test]
    fn pages_are_cut_from_a_complete_window_to_its_end() {
        let window = window(&["a", "b", "c"], true);
        check(&window, "", Some((&["a", "b"], true)));
        check(&window, "b", Some((&["c"], false)));
        check(&window, "c", Some((&[], false)));
    }

    #[test]
    fn the_end_of_an_incomplete_window_is_not_the_end_of_the_keys() {
        let window = window(&["a", "b", "c"], false);
        check(&window, "", Some((&["a", "b"], true)));
        check(&window, "a", None);
    }
}
