//! A device store in memory.
//!
//! It keeps texts rather than records, as the servers do, so that what is not understood is
//! treated here as it is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lifecycle::{DeviceRef, RECORD_VERSION, Record, TenantId, Timestamp};

use crate::ports::{DeviceStore, Page, PortError, PortResult, Saved, Stored};

/// Records in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryDevices {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: BTreeMap<String, Entry>,
    /// Versions given so far; each is given once.
    versions: u64,
    /// The clock never goes back.
    last: Timestamp,
}

#[derive(Debug)]
struct Entry {
    about: DeviceRef,
    text: String,
    version: u64,
    written_at: Timestamp,
}

impl Inside {
    fn put(&mut self, about: &DeviceRef, text: String) -> Saved {
        self.versions += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_micros();
        let now = Timestamp::from_micros(i64::try_from(now).unwrap_or(i64::MAX));
        self.last = self.last.max(now);
        let entry = Entry {
            about: about.clone(),
            text,
            version: self.versions,
            written_at: self.last,
        };
        self.entries.insert(about.to_tokens(), entry);
        Saved::Version(self.versions)
    }

    fn has(&self, about: &DeviceRef, version: u64) -> bool {
        let entry = self.entries.get(&about.to_tokens());
        entry.is_some_and(|entry| entry.version == version)
    }

    fn of<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
    ) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let entries = self
            .entries
            .iter()
            .map(|(key, entry)| (key.as_str(), entry));
        entries.filter(move |(_, entry)| tenant.is_none_or(|tenant| entry.about.tenant == *tenant))
    }
}

impl MemoryDevices {
    /// Lets the other tasks of the thread go first, as an answer over a network would.
    async fn later(&self) -> MutexGuard<'_, Inside> {
        tokio::task::yield_now().await;
        self.inside()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts any text under a device's key.
    pub fn plant(&self, about: &DeviceRef, text: &str) {
        self.inside().put(about, text.to_owned());
    }

    /// The text under a device's key.
    #[must_use]
    pub fn text(&self, about: &DeviceRef) -> Option<String> {
        let inside = self.inside();
        inside
            .entries
            .get(&about.to_tokens())
            .map(|entry| entry.text.clone())
    }
}

fn write(record: &Record) -> PortResult<String> {
    serde_json::to_string(record).map_err(|error| PortError::NotUnderstood(error.to_string()))
}

fn read(entry: &Entry) -> PortResult<Stored> {
    let record: Record = serde_json::from_str(&entry.text)
        .map_err(|error| PortError::NotUnderstood(error.to_string()))?;
    if record.v != RECORD_VERSION {
        let why = format!("version {}", record.v);
        return Err(PortError::NotUnderstood(why));
    }
    Ok(Stored {
        record,
        version: entry.version,
        written_at: entry.written_at,
    })
}

impl DeviceStore for MemoryDevices {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        let inside = self.later().await;
        inside
            .entries
            .get(&device.to_tokens())
            .map(read)
            .transpose()
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        let mut inside = self.later().await;
        if inside.entries.contains_key(&device.to_tokens()) {
            return Ok(Saved::Lost);
        }
        Ok(inside.put(device, write(record)?))
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        let mut inside = self.later().await;
        if !inside.has(device, version) {
            return Ok(Saved::Lost);
        }
        Ok(inside.put(device, write(record)?))
    }

    async fn delete(&self, device: &DeviceRef, version: u64) -> PortResult<Saved> {
        let mut inside = self.later().await;
        if !inside.has(device, version) {
            return Ok(Saved::Lost);
        }
        inside.entries.remove(&device.to_tokens());
        Ok(Saved::Version(version))
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Page> {
        let inside = self.later().await;
        let due = inside.of(tenant);
        let mut due = due.filter(|(key, _)| after.is_none_or(|after| *key > after));
        let page: Vec<_> = due.by_ref().take(limit).collect();
        let more = due.next().is_some();
        let last = page.last().map(|(key, _)| (*key).to_owned());
        let mut records = Vec::new();
        let mut unread = Vec::new();
        for (_, entry) in page {
            match read(entry) {
                Ok(stored) => records.push((entry.about.clone(), stored)),
                Err(error) => unread.push((entry.about.clone(), error.to_string())),
            }
        }
        Ok(Page {
            records,
            unread,
            next: last.filter(|_| more),
        })
    }

    async fn count(&self, tenant: Option<&TenantId>) -> PortResult<u64> {
        Ok(self.later().await.of(tenant).count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Subject;

    impl Subject for MemoryDevices {
        type Store = Self;

        async fn open(&self) -> Self {
            self.clone()
        }

        async fn plant(&self, device: &DeviceRef, _: u8, text: &str) {
            Self::plant(self, device, text);
        }

        async fn text(&self, device: &DeviceRef) -> Option<String> {
            Self::text(self, device)
        }

        async fn end(self) {}
    }

    fn start(_: &str) -> std::future::Ready<Option<MemoryDevices>> {
        std::future::ready(Some(MemoryDevices::default()))
    }

    crate::device_store_conformance!(start);
}
