//! Device records, one document each.

use futures::TryStreamExt as _;
use lifecycle::{DeviceRef, Record, TenantId, Timestamp};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use reconciler::ServerClock;
use reconciler::ports::{DeviceStore, Page, PortResult, Saved, Stored};

use crate::connect::{called, within};
use crate::document::{
    ID, TENANT, VERSION, WRITTEN_AT, device, exactly, keys, read, stored_as, time, version,
};
use crate::error::is_duplicate;
use crate::{Error, Mongo, Result, setup, versions};

/// Name of the collection.
pub(crate) const COLLECTION: &str = "devices";
/// The server's present, in what [`MongoDevices::load`] asks for.
const NOW: &str = "now";
/// A version that no document has, so that a filter with it only ever creates.
const NEVER: i64 = -1;

/// The device store of the reconciler, in MongoDB.
#[derive(Debug)]
pub struct MongoDevices {
    records: Collection<Document>,
    clock: ServerClock,
}

impl MongoDevices {
    /// Opens the collection whose indexes `setup` has made.
    pub async fn open(mongo: &Mongo) -> Result<Self> {
        setup::check(mongo).await?;
        Ok(Self {
            records: mongo.collection(COLLECTION),
            clock: ServerClock::new(),
        })
    }

    async fn find(&self, device: &DeviceRef) -> Result<Option<Stored>> {
        let pipeline = [
            doc! {"$match": {ID: device.to_tokens()}},
            doc! {"$set": {NOW: "$$NOW"}},
        ];
        let found = async { self.records.aggregate(pipeline).await?.try_next().await };
        let found = called("read a record", found).await?;
        if let Some(now) = found.as_ref().and_then(|found| time(found, NOW)) {
            self.clock.observe(now);
        }
        found.as_ref().map(read).transpose()
    }

    /// Stores `record` as `version`, provided that `filter` finds what it replaces.
    async fn put(
        &self,
        device: &DeviceRef,
        record: &Record,
        filter: Document,
        next: i64,
        create: bool,
    ) -> Result<Saved> {
        let pipeline = stored_as(device, record, next)?;
        let put = self
            .records
            .find_one_and_update(filter, pipeline)
            .upsert(create)
            .return_document(ReturnDocument::After)
            .projection(doc! {VERSION: 1, WRITTEN_AT: 1});
        let stored = match within("store a record", put).await? {
            Err(error) if is_duplicate(&error) => return Ok(Saved::Lost),
            Err(error) => return Err(Error::unavailable("store a record", &error)),
            Ok(stored) => stored,
        };
        let Some(stored) = stored else {
            return Ok(Saved::Lost);
        };
        if let Some(now) = time(&stored, WRITTEN_AT) {
            self.clock.observe(now);
        }
        let stored = version(&stored).map(Saved::Version);
        stored.ok_or_else(|| Error::Unavailable("a record was stored without version".to_owned()))
    }

    async fn page(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        // One more, which tells whether this is the last page.
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let find = async {
            let found = self.records.find(keys(tenant, after));
            let found = found.sort(doc! {ID: 1}).limit(most).await?;
            found.try_collect::<Vec<Document>>().await
        };
        let mut found = called("list records", find).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().and_then(|last| last.get_str(ID).ok());
        let next = last.filter(|_| more).map(ToOwned::to_owned);
        let mut page = Page {
            next,
            ..Page::default()
        };
        for (device, read) in found.iter().filter_map(listed) {
            match read {
                Ok(stored) => page.records.push((device, stored)),
                Err(why) => page.unread.push((device, why)),
            }
        }
        Ok(page)
    }
}

/// A record in a list. One that is not understood must not hide all the others.
fn listed(document: &Document) -> Option<(DeviceRef, std::result::Result<Stored, String>)> {
    let key = document.get_str(ID).unwrap_or_default();
    let Some(device) = device(key) else {
        tracing::warn!(
            key,
            "a document in the collection of records is not a device's"
        );
        return None;
    };
    let read = read(document);
    if let Err(error) = &read {
        tracing::warn!(%device.tenant, %device.device, %error, "a record is skipped");
    }
    Some((device, read.map_err(|error| error.to_string())))
}

impl DeviceStore for MongoDevices {
    async fn load(&self, device: &DeviceRef) -> PortResult<Option<Stored>> {
        Ok(self.find(device).await?)
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        let filter = doc! {ID: device.to_tokens(), VERSION: NEVER};
        let first = versions::first()?;
        Ok(self.put(device, record, filter, first, true).await?)
    }

    async fn compare_and_set(
        &self,
        device: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        let Some(version) = versions::stored(version) else {
            return Ok(Saved::Lost);
        };
        let filter = exactly(device, version);
        Ok(self.put(device, record, filter, version + 1, false).await?)
    }

    async fn delete(&self, device: &DeviceRef, version: u64) -> PortResult<Saved> {
        let Some(stored) = versions::stored(version) else {
            return Ok(Saved::Lost);
        };
        let delete = self.records.delete_one(exactly(device, stored));
        let deleted = called("delete a record", delete).await?.deleted_count;
        Ok(if deleted == 0 {
            Saved::Lost
        } else {
            Saved::Version(version)
        })
    }

    async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Page> {
        Ok(self.page(tenant, after, limit).await?)
    }

    async fn count(&self, tenant: Option<&TenantId>) -> PortResult<u64> {
        let filter = tenant.map_or_else(Document::new, |tenant| doc! {TENANT: tenant.as_str()});
        let count = self.records.count_documents(filter);
        Ok(called("count records", count).await?)
    }

    fn own_clock(&self) -> Option<Timestamp> {
        Some(self.clock.now())
    }
}
