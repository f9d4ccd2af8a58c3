//! What the sweep keeps in NATS: whose turn it is, which devices Mender said not to have, and what
//! the last pass of each tenant found.
//!
//! All three live in one small bucket, and with them whose turn it is to replay dead letters. Times are the server's own, of the stored messages and of
//! its answers, so that replicas need not agree about the time.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{
    Context,
    kv::{Entry, Operation, Store},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lifecycle::{DeviceId, DeviceRef, TenantId, Timestamp, decode_token};
use reconciler::ports::PortResult;
use reconciler::sweep::Notebook;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Names, Result, devices::timestamp, keys::Keys, open, publish::publish_after,
    server_time::server_time,
};

/// Whoever has not renewed its turn for this long has lost it.
pub const TURN: Duration = Duration::from_secs(30);
const TURN_KEY: &str = "turn";
const REPLAY_KEY: &str = "replay-turn";
/// Notes read at once.
const READS: usize = 32;
/// Keys of a page.
const PAGE: usize = 1_000;

/// The bucket of the sweep.
#[derive(Debug, Clone)]
pub struct KvSweeps {
    context: Context,
    bucket: String,
    store: Store,
    keys: Arc<Keys>,
}

/// Whether it is one's turn: to sweep, or to replay dead letters.
#[derive(Debug)]
pub enum Turn {
    /// Yes, until it is finished or has not been renewed for [`TURN`].
    Mine(Lease),
    /// Somebody else has it.
    Taken {
        /// Who, in the words of whoever took it; empty if that cannot be told.
        holder: String,
    },
    /// Nobody is, and the next pass is due after so long.
    NotDue(Duration),
}

/// A turn that is held.
#[derive(Debug)]
pub struct Lease {
    key: &'static str,
    body: Held,
    version: u64,
    /// When it was taken, by the server's clock.
    pub began: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    holder: String,
    began_us: i64,
    running: bool,
}

impl KvSweeps {
    /// Opens the bucket that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        let bucket = names.sweep_bucket();
        Ok(Self {
            context: context.clone(),
            store: open::bucket(context, &bucket).await?,
            keys: Arc::new(Keys::new(context.clone(), &bucket)),
            bucket,
        })
    }

    /// The server's time.
    pub async fn server_time(&self) -> Result<Timestamp> {
        server_time(&self.context, &format!("KV_{}", self.bucket)).await
    }

    /// Takes the turn to sweep if nobody has it and the last one began at least `every` ago.
    pub async fn take_turn(&self, holder: &str, every: Duration) -> Result<Turn> {
        self.take(TURN_KEY, holder, every).await
    }

    /// Takes the turn to replay dead letters, if nobody has it.
    pub async fn take_replay_turn(&self, holder: &str) -> Result<Turn> {
        self.take(REPLAY_KEY, holder, Duration::ZERO).await
    }

    async fn take(&self, key: &'static str, holder: &str, every: Duration) -> Result<Turn> {
        let entry = self.entry(key).await?;
        let now = self.server_time().await?;
        let version = entry.as_ref().map_or(0, |entry| entry.revision);
        if let Some(entry) = entry.filter(is_value) {
            let last: Option<Held> = serde_json::from_slice(&entry.value).ok();
            let silent = now.since(timestamp(entry.created));
            if let Some(last) = last {
                if last.running && silent < TURN {
                    let holder = last.holder;
                    return Ok(Turn::Taken { holder });
                }
                let since = now.since(Timestamp::from_micros(last.began_us));
                if !last.running && since < every {
                    return Ok(Turn::NotDue(every.saturating_sub(since)));
                }
            }
        }
        let body = Held {
            holder: holder.to_owned(),
            began_us: now.as_micros(),
            running: true,
        };
        let taken = self.put(key, &json!(body), Some(version)).await?;
        Ok(match taken {
            Some(version) => Turn::Mine(Lease {
                key,
                body,
                version,
                began: now,
            }),
            // Whoever was quicker by a moment.
            None => Turn::Taken {
                holder: String::new(),
            },
        })
    }

    /// Keeps the turn; false if it was lost.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool> {
        let body = json!(lease.body);
        let Some(version) = self.put(lease.key, &body, Some(lease.version)).await? else {
            return Ok(false);
        };
        lease.version = version;
        Ok(true)
    }

    /// Gives the turn back; the next one is due `every` after this one began.
    pub async fn finish(&self, lease: Lease) -> Result<()> {
        let body = json!(Held {
            running: false,
            ..lease.body
        });
        let put = self.put(lease.key, &body, Some(lease.version));
        put.await.map(drop)
    }

    /// Keeps what a pass found.
    pub async fn save_result(&self, tenant: &TenantId, result: &serde_json::Value) -> Result<()> {
        let key = format!("result.{}", tenant.to_token());
        self.put(&key, result, None).await.map(drop)
    }

    /// What the last pass of each tenant found, with the time it was stored.
    pub async fn results(&self) -> Result<Vec<(TenantId, Timestamp, serde_json::Value)>> {
        let page = self.keys.page("result.*", None, PAGE).await?;
        let mut results = Vec::new();
        for key in page.keys {
            let tenant = key.strip_prefix("result.").and_then(|token| {
                let tenant = decode_token(token).ok()?;
                tenant.parse::<TenantId>().ok()
            });
            let entry = self.entry(&key).await?.filter(is_value);
            if let (Some(tenant), Some(entry)) = (tenant, entry)
                && let Ok(result) = serde_json::from_slice(&entry.value)
            {
                results.push((tenant, timestamp(entry.created), result));
            }
        }
        Ok(results)
    }

    async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let entry = self.store.entry(key).await;
        entry.map_err(|error| Error::unavailable("failed to read what the sweep keeps", &error))
    }

    /// Stores a value in place of version `last`, of none (0), or of any (`None`).
    async fn put(
        &self,
        key: &str,
        value: &serde_json::Value,
        last: Option<u64>,
    ) -> Result<Option<u64>> {
        let subject = format!("{}{key}", self.store.prefix);
        let headers = async_nats::HeaderMap::new();
        let body = value.to_string().into();
        match last {
            Some(last) => publish_after(&self.context, &subject, headers, body, last).await,
            None => crate::publish::publish(&self.context, subject, headers, body)
                .await
                .map(|stored| Some(stored.sequence)),
        }
    }
}

impl Notebook for KvSweeps {
    async fn noted(
        &self,
        tenant: &TenantId,
        most: usize,
    ) -> PortResult<Vec<(DeviceId, Timestamp)>> {
        let filter = format!("gone.{}.*", tenant.to_token());
        let mut noted = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let limit = PAGE.min(most - noted.len());
            let page = self.keys.page(&filter, after.as_deref(), limit).await?;
            after = page.keys.last().filter(|_| page.more).cloned();
            let read = |key: String| async move { Ok::<_, Error>((self.entry(&key).await?, key)) };
            let found: Vec<_> = stream::iter(page.keys.into_iter().map(read))
                .buffered(READS)
                .try_collect()
                .await?;
            noted.extend(found.into_iter().filter_map(|(entry, key)| {
                let token = key.rsplit('.').next()?;
                let device = decode_token(token).ok()?.parse().ok()?;
                Some((device, timestamp(entry.filter(is_value)?.created)))
            }));
            if after.is_none() || noted.len() >= most {
                return Ok(noted);
            }
        }
    }

    async fn note(&self, device: &DeviceRef) -> PortResult<()> {
        // Lost means noted already.
        Ok(self
            .put(&note(device), &json!({}), Some(0))
            .await
            .map(drop)?)
    }

    async fn forget(&self, device: &DeviceRef) -> PortResult<()> {
        let Some(entry) = self.entry(&note(device)).await? else {
            return Ok(());
        };
        // Whoever was quicker has done the same.
        if let Err(error) = self.store.stream.delete_message(entry.revision).await {
            tracing::debug!(%error, "a note of the sweep is gone already");
        }
        Ok(())
    }
}

fn note(device: &DeviceRef) -> String {
    format!("gone.{}", device.to_tokens())
}

fn is_value(entry: &Entry) -> bool {
    entry.operation == Operation::Put
}
