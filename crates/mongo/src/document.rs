//! The stored form of a record: its text, and beside it what the server must see.
//!
//! The record itself stays the JSON that every store holds, so that a number or a name never
//! depends on what BSON makes of it. The fields around it are for filters, indexes and people.

use lifecycle::{DeviceId, DeviceRef, RECORD_VERSION, Record, TenantId, Timestamp, decode_token};
use mongodb::bson::{DateTime, Document, doc};
use reconciler::ports::Stored;

use crate::connect::number;
use crate::{Error, Result};

/// The key: `<tenant>.<device>`, each as one token.
pub(crate) const ID: &str = "_id";
/// Counts the changes of a record.
pub(crate) const VERSION: &str = "version";
/// When it was changed last, by the server's clock.
pub(crate) const WRITTEN_AT: &str = "written_at";
/// [`RECORD_VERSION`] of the record in it.
pub(crate) const FORM: &str = "v";
/// The tenant's id, for indexes and people.
pub(crate) const TENANT: &str = "tenant";
/// The device's id, for indexes and people.
pub(crate) const DEVICE: &str = "device";
const RECORD: &str = "record";

/// The pipeline that stores `record` as `version`.
///
/// The time never goes back, whichever server is the primary: leases are judged by it.
pub(crate) fn stored_as(
    device: &DeviceRef,
    record: &Record,
    version: i64,
) -> Result<Vec<Document>> {
    let text = serde_json::to_string(record)
        .map_err(|error| Error::NotUnderstood(format!("a record cannot be stored: {error}")))?;
    // A text that begins with `$` would be taken for the name of a field.
    Ok(vec![doc! {"$set": {
        FORM: i32::from(record.v),
        VERSION: version,
        WRITTEN_AT: {"$max": ["$$NOW", format!("${WRITTEN_AT}")]},
        TENANT: {"$literal": device.tenant.as_str()},
        DEVICE: {"$literal": device.device.as_str()},
        RECORD: {"$literal": text},
    }}])
}

/// The filter for one version of a record, in a form that this program knows.
pub(crate) fn exactly(device: &DeviceRef, version: i64) -> Document {
    doc! {ID: device.to_tokens(), VERSION: version, FORM: i32::from(RECORD_VERSION)}
}

/// Reads a stored record.
pub(crate) fn read(document: &Document) -> Result<Stored> {
    let key = document.get_str(ID).unwrap_or("without a key");
    let not_understood = |why: String| Error::NotUnderstood(format!("record {key}: {why}"));
    let form = number(document, FORM);
    if form != Some(i64::from(RECORD_VERSION)) {
        let found = form.map_or("no version".to_owned(), |form| format!("version {form}"));
        return Err(not_understood(format!(
            "it has {found}, this program knows version {RECORD_VERSION}"
        )));
    }
    let lacks = |what: &str| not_understood(format!("it has no {what}"));
    let text = document.get_str(RECORD).map_err(|_| lacks(RECORD))?;
    let record: Record =
        serde_json::from_str(text).map_err(|error| not_understood(error.to_string()))?;
    if record.v != RECORD_VERSION {
        return Err(not_understood(format!("its text has version {}", record.v)));
    }
    Ok(Stored {
        record,
        version: version(document).ok_or_else(|| lacks(VERSION))?,
        written_at: time(document, WRITTEN_AT).ok_or_else(|| lacks(WRITTEN_AT))?,
    })
}

/// The version in a document.
pub(crate) fn version(document: &Document) -> Option<u64> {
    number(document, VERSION).and_then(|version| u64::try_from(version).ok())
}

/// A time in a document; milliseconds is as fine as the server's are.
pub(crate) fn time(document: &Document, field: &str) -> Option<Timestamp> {
    let time: &DateTime = document.get_datetime(field).ok()?;
    Some(Timestamp::from_micros(
        time.timestamp_millis().saturating_mul(1_000),
    ))
}

/// The device that a key names.
pub(crate) fn device(key: &str) -> Option<DeviceRef> {
    let (tenant, device) = key.split_once('.')?;
    Some(DeviceRef {
        tenant: decode_token(tenant).ok()?.parse().ok()?,
        device: decode_token(device).ok()?.parse::<DeviceId>().ok()?,
    })
}

/// The filter for the keys after `after`, of one tenant or of all.
///
/// Keys are compared byte by byte, and `/` comes right after the `.` that ends the tenant.
pub(crate) fn keys(tenant: Option<&TenantId>, after: Option<&str>) -> Document {
    let mut range = Document::new();
    if let Some(tenant) = tenant {
        let token = tenant.to_token();
        range.insert("$gte", format!("{token}."));
        range.insert("$lt", format!("{token}/"));
    }
    if let Some(after) = after {
        range.insert("$gt", after);
    }
    if range.is_empty() {
        return Document::new();
    }
    doc! {ID: range}
}
