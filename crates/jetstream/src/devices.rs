//! Device records in a key-value bucket.
//!
//! The version of a record is the sequence of the message that holds it. A write names the
//! sequence it replaces and a delete names the one it removes, so the server makes each of them a
//! compare-and-set. Reads may come from a replica that lags: the next write then loses, and the
//! caller reads again.

use async_nats::jetstream::{
    Context,
    kv::{Entry, Operation, Store},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lifecycle::{DeviceId, DeviceRef, RECORD_VERSION, Record, TenantId, Timestamp, decode_token};
use reconciler::ports::{DeviceStore, Page, PortError, PortResult, Saved, Stored};
use serde::Deserialize;

use crate::{Error, Names, Result, keys::Keys, open, publish::publish_after};

/// Records of a page that are read at once.
const READS: usize = 32;

/// The device store of the reconciler, in a bucket of JetStream.
#[derive(Debug)]
pub struct KvDevices {
    context: Context,
    store: Store,
    keys: Keys,
}

/// As much of a stored record as any version of it has.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

impl KvDevices {
    /// Opens the bucket that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        let bucket = names.device_bucket();
        Ok(Self {
            context: context.clone(),
            store: open::bucket(context, &bucket).await?,
            keys: Keys::new(context.clone(), &bucket),
        })
    }

    async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let entry = self.store.entry(key).await;
        entry.map_err(|error| Error::unavailable("failed to read a record", &error))
    }

    async fn put(&self, key: &str, record: &Record, last: u64) -> Result<Saved> {
        let body = serde_json::to_vec(record)
            .map_err(|error| Error::NotUnderstood(format!("a record cannot be stored: {error}")))?;
        let subject = format!("{}{key}", self.store.prefix);
        let headers = async_nats::HeaderMap::new();
        let put = publish_after(&self.context, &subject, headers, body.into(), last).await?;
        Ok(put.map_or(Saved::Lost, Saved::Version))
    }
}

impl DeviceStore for KvDevices {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        let entry = self.entry(&device.to_tokens()).await?;
        entry.filter(is_value).as_ref().map(read).transpose()
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        let key = device.to_tokens();
        let saved = self.put(&key, record, 0).await?;
        if saved != Saved::Lost {
            return Ok(saved);
        }
        // We leave no tombstones, but another tool may: the key is free all the same.
        match self.entry(&key).await? {
            Some(entry) if !is_value(&entry) => Ok(self.put(&key, record, entry.revision).await?),
            _ => Ok(Saved::Lost),
        }
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        Ok(self.put(&device.to_tokens(), record, version).await?)
    }

    async fn delete(&self, device: &DeviceRef, version: u64) -> PortResult<Saved> {
        let Err(error) = self.store.stream.delete_message(version).await else {
            return Ok(Saved::Version(version));
        };
        // The server says of a sequence that is gone only that it failed; look whether it is.
        match self.entry(&device.to_tokens()).await? {
            Some(entry) if entry.revision == version => {
                Err(Error::unavailable("failed to delete a record", &error).into())
            }
            _ => Ok(Saved::Lost),
        }
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Page> {
        let page = self.keys.page(&filter(tenant), after, limit).await?;
        let next = page.keys.last().filter(|_| page.more).cloned();
        let read = |key: String| async move {
            let Some(device) = device(&key) else {
                tracing::warn!(key, "a key in the bucket of records is not a device's");
                return Ok(None);
            };
            match self.load(&device).await {
                Ok(stored) => Ok(stored.map(|stored| (device, Ok(stored)))),
                // One record of a newer version must not hide all the others.
                Err(PortError::NotUnderstood(why)) => {
                    tracing::warn!(%device.tenant, %device.device, why, "a record is skipped");
                    Ok(Some((device, Err(why))))
                }
                Err(error) => Err(error),
            }
        };
        let found: Vec<Option<(DeviceRef, Result<Stored, String>)>> =
            stream::iter(page.keys.into_iter().map(read))
                .buffered(READS)
                .try_collect()
                .await?;
        let mut page = Page {
            next,
            ..Page::default()
        };
        for (device, found) in found.into_iter().flatten() {
            match found {
                Ok(stored) => page.records.push((device, stored)),
                Err(why) => page.unread.push((device, why)),
            }
        }
        Ok(page)
    }

    async fn count(&self, tenant: Option<&TenantId>) -> PortResult<u64> {
        let filter = tenant.map(|_| filter(tenant));
        Ok(self.keys.count(filter.as_deref()).await?)
    }
}

fn filter(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(
        || ">".to_owned(),
        |tenant| format!("{}.*", tenant.to_token()),
    )
}

fn device(key: &str) -> Option<DeviceRef> {
    let (tenant, device) = key.split_once('.')?;
    Some(DeviceRef {
        tenant: decode_token(tenant).ok()?.parse().ok()?,
        device: decode_token(device).ok()?.parse::<DeviceId>().ok()?,
    })
}

fn is_value(entry: &Entry) -> bool {
    entry.operation == Operation::Put
}

fn read(entry: &Entry) -> PortResult<Stored> {
    let not_understood =
        |why: String| PortError::NotUnderstood(format!("record {}: {why}", entry.key));
    let versioned: Versioned =
        serde_json::from_slice(&entry.value).map_err(|error| not_understood(error.to_string()))?;
    if versioned.v != u64::from(RECORD_VERSION) {
        let found = versioned.v;
        return Err(not_understood(format!(
            "it has version {found}, this program knows version {RECORD_VERSION}"
        )));
    }
    Ok(Stored {
        record: serde_json::from_slice(&entry.value)
            .map_err(|error| not_understood(error.to_string()))?,
        version: entry.revision,
        written_at: timestamp(entry.created),
    })
}

/// A time of the server's clock.
pub(crate) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    let micros = time.unix_timestamp_nanos() / 1_000;
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
