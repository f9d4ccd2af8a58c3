//! Items of a bulk call, and lines of an import file: the same objects, read the same way.
//!
//! An item is checked for itself, so that one bad item is an error of its own and spoils nothing;
//! only a body that is no list of items at all is refused whole.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::authentication::AuthenticationDraft;
use crate::errors::ServiceError;
use crate::identity::{Capabilities, IdentityDraft, check_id};
use crate::module::{ModuleDraft, check_writable};
use crate::twin::{Document, TwinDraft, TwinSeed};

/// Most items in one call.
pub(crate) const MAX_ITEMS: usize = 100;

/// What to do with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Create,
    CreateOrUpdate,
    CreateOrUpdateIfMatch,
    Update,
    UpdateIfMatch,
    Delete,
    DeleteIfMatch,
    UpdateTwin,
    UpdateTwinIfMatch,
}

impl Mode {
    /// Reads a mode in any case: SDKs disagree about it. No mode at all means what it means in
    /// import files.
    fn parse(text: Option<&str>) -> Result<Self, ServiceError> {
        let Some(text) = text else {
            return Ok(Self::CreateOrUpdate);
        };
        match text.to_ascii_lowercase().as_str() {
            "create" => Ok(Self::Create),
            "createorupdate" => Ok(Self::CreateOrUpdate),
            "createorupdateifmatchetag" => Ok(Self::CreateOrUpdateIfMatch),
            "update" => Ok(Self::Update),
            "updateifmatchetag" => Ok(Self::UpdateIfMatch),
            "delete" => Ok(Self::Delete),
            "deleteifmatchetag" => Ok(Self::DeleteIfMatch),
            "updatetwin" => Ok(Self::UpdateTwin),
            "updatetwinifmatchetag" => Ok(Self::UpdateTwinIfMatch),
            _ => Err(ServiceError::invalid("The import mode is not known.")),
        }
    }

    /// Whether it may make a device or change the one that is there.
    pub(crate) const fn may_do_either(self) -> bool {
        matches!(self, Self::CreateOrUpdate | Self::CreateOrUpdateIfMatch)
    }
}

/// An item as it is sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: String,
    module_id: Option<String>,
    #[serde(rename = "eTag")]
    etag: Option<String>,
    import_mode: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    authentication: Option<AuthenticationDraft>,
    #[serde(rename = "twinETag")]
    twin_etag: Option<String>,
    tags: Option<Document>,
    properties: Option<Properties>,
    capabilities: Option<Capabilities>,
    device_scope: Option<String>,
    parent_scopes: Option<Vec<String>>,
    managed_by: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Properties {
    desired: Option<Document>,
    reported: Option<Document>,
}

/// One item, its fields sorted by what they are for.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) module: Option<String>,
    pub(crate) mode: Result<Mode, ServiceError>,
    pub(crate) etag: Option<String>,
    pub(crate) twin_etag: Option<String>,
    /// Whether `status` was there; import files insist on it.
    pub(crate) has_status: bool,
    pub(crate) device_draft: IdentityDraft,
    pub(crate) module_draft: ModuleDraft,
    pub(crate) twin_edit: TwinDraft,
    pub(crate) seed: TwinSeed,
}

impl Item {
    /// Reads one item. The reason given names a place, never the content, which may hold keys.
    pub(crate) fn parse(text: &str) -> Result<Self, ServiceError> {
        let written: Written = serde_json::from_str(text).map_err(|error| not_items(&error))?;
        Ok(Self::from(written))
    }

    /// Refuses ids no operation could take.
    pub(crate) fn check_ids(&self) -> Result<(), ServiceError> {
        check_id(&self.id)?;
        self.module.as_deref().map_or(Ok(()), check_writable)
    }
}

impl From<Written> for Item {
    fn from(written: Written) -> Self {
        let Properties { desired, reported } = written.properties.unwrap_or_default();
        let text = |etag: Option<String>| {
            let etag = etag.map(|it| it.trim_matches('"').to_owned());
            etag.filter(|it| !it.is_empty())
        };
        Self {
            mode: Mode::parse(written.import_mode.as_deref()),
            etag: text(written.etag),
            twin_etag: text(written.twin_etag),
            has_status: written.status.is_some(),
            device_draft: IdentityDraft {
                device_id: Some(written.id.clone()),
                status: written.status,
                status_reason: written.status_reason,
                authentication: written.authentication.clone(),
                capabilities: written.capabilities,
                device_scope: written.device_scope,
                parent_scopes: written.parent_scopes,
            },
            module_draft: ModuleDraft {
                device_id: Some(written.id.clone()),
                module_id: written.module_id.clone(),
                managed_by: written.managed_by,
                authentication: written.authentication,
            },
            twin_edit: TwinDraft::new(written.tags.clone(), desired.clone()),
            seed: TwinSeed::new(written.tags, desired, reported),
            id: written.id,
            module: written.module_id,
        }
    }
}

/// Reads the body of a bulk call.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Item>, ServiceError> {
    let raw: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| not_items(&error))?;
    if raw.len() > MAX_ITEMS {
        return Err(ServiceError::too_many_items());
    }
    if raw.is_empty() {
        return Err(ServiceError::invalid("The list of devices is empty."));
    }
    raw.iter().map(|text| Item::parse(text.get())).collect()
}

/// How many items a body holds, for the throttle; a body that is none counts as one request.
pub(crate) fn count(body: &[u8]) -> u32 {
    let raw: Result<Vec<&RawValue>, _> = serde_json::from_slice(body);
    let items = raw.map_or(1, |items| items.len().clamp(1, MAX_ITEMS));
    u32::try_from(items).unwrap_or(1)
}

fn not_items(error: &serde_json::Error) -> ServiceError {
    let place = format!("line {} column {}", error.line(), error.column());
    ServiceError::invalid(format!(
        "The request body is not a list of devices: {place}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_bare_list_of_one_to_a_hundred_items() {
        let list = |n: usize| format!("[{}]", vec![r#"{"id":"d"}"#; n].join(","));
        assert_eq!(parse(list(100).as_bytes()).unwrap().len(), 100);
        let status = |body: &str| parse(body.as_bytes()).unwrap_err().status.as_u16();
        assert_eq!(status(&list(101)), 413);
        assert_eq!(status("[]"), 400);
        assert_eq!(status(r#"{"devices":[{"id":"d"}]}"#), 400);
        assert_eq!(status(r#"[{"deviceId":"d"}]"#), 400);
        assert_eq!(status(r#"[{"id":7}]"#), 400);
        assert_eq!(status("["), 400);
    }

    #[test]
    fn modes_are_read_in_any_case() {
        for (text, mode) in [
            ("create", Mode::Create),
            ("UpdateIfMatchETag", Mode::UpdateIfMatch),
            ("deleteIfMatchEtag", Mode::DeleteIfMatch),
            ("UPDATETWIN", Mode::UpdateTwin),
        ] {
            assert_eq!(Mode::parse(Some(text)), Ok(mode));
        }
        assert_eq!(Mode::parse(None), Ok(Mode::CreateOrUpdate));
        assert!(Mode::parse(Some("upsert")).is_err());
    }

    #[test]
    fn etags_lose_their_quotes_and_empty_ones_count_as_missing() {
        let item = Item::parse(r#"{"id":"d","eTag":"\"MQ==\"","twinETag":""}"#).unwrap();
        assert_eq!((item.etag.as_deref(), item.twin_etag), (Some("MQ=="), None));
    }

    #[test]
    fn the_throttle_counts_items() {
        assert_eq!(count(br#"[{"id":"a"},{"id":"b"}]"#), 2);
        assert_eq!((count(b"[]"), count(b"nonsense")), (1, 1));
    }

    #[test]
    fn refusals_quote_nothing_that_was_sent() {
        let error = Item::parse(r#"{"id":"d","authentication":"c2VjcmV0"}"#).unwrap_err();
        assert!(!error.text.contains("c2VjcmV0"), "{}", error.text);
    }
}
