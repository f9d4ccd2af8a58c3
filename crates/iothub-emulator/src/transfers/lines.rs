//! Lines of export files: the objects that bulk calls and import files are made of.

use serde::Serialize;
use serde_json::Value;

use crate::authentication::Authentication;
use crate::identity::{Capabilities, Status};
use crate::registry::Device;
use crate::twin::{Document, Twin};
use crate::views::SectionView;

/// First line of a file without keys, and no JSON.
pub(super) const WITHOUT_KEYS: &str =
    "The following devices were exported without their keys, as the job asked for.";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<&'a str>,
    #[serde(rename = "eTag")]
    etag: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_by: Option<&'a str>,
    authentication: Value,
    #[serde(rename = "twinETag")]
    twin_etag: String,
    #[serde(skip_serializing_if = "Document::is_empty")]
    tags: &'a Document,
    properties: Properties<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parent_scopes: &'a [String],
}

#[derive(Serialize)]
struct Properties<'a> {
    desired: SectionView<'a>,
    reported: SectionView<'a>,
}

/// The lines of a device and its modules. Those of the edge runtime come by themselves.
pub(super) fn of(device: &Device, with_keys: bool) -> Vec<String> {
    let identity = &device.identity;
    let own = Line {
        module_id: None,
        etag: identity.etag.text(),
        status: identity.status,
        status_reason: identity.status_reason.as_deref(),
        capabilities: Some(identity.capabilities),
        device_scope: identity.device_scope.as_deref(),
        parent_scopes: &identity.parent_scopes,
        ..line(
            &identity.device_id,
            &device.twin,
            &identity.authentication,
            with_keys,
        )
    };
    let modules = device
        .modules
        .values()
        .filter(|it| !it.identity.module_id.starts_with('$'));
    let modules = modules.map(|module| Line {
        module_id: Some(&module.identity.module_id),
        etag: module.identity.etag.text(),
        managed_by: module.identity.managed_by.as_deref(),
        ..line(
            &identity.device_id,
            &module.twin,
            &module.identity.authentication,
            with_keys,
        )
    });
    let text = |line: Line<'_>| {
        serde_json::to_string(&line).expect("text keys and plain values always serialize")
    };
    std::iter::once(own).chain(modules).map(text).collect()
}

fn line<'a>(
    id: &'a str,
    twin: &'a Twin,
    authentication: &Authentication,
    with_keys: bool,
) -> Line<'a> {
    let mut authentication = serde_json::to_value(authentication).unwrap_or_default();
    if !with_keys {
        authentication["symmetricKey"] =
            serde_json::json!({"primaryKey": null, "secondaryKey": null});
    }
    Line {
        id,
        module_id: None,
        etag: String::new(),
        status: Status::Enabled,
        status_reason: None,
        managed_by: None,
        authentication,
        twin_etag: twin.etag.text(),
        tags: &twin.tags,
        properties: Properties {
            desired: SectionView(&twin.desired),
            reported: SectionView(&twin.reported),
        },
        capabilities: None,
        device_scope: None,
        parent_scopes: &[],
    }
}
