//! Twins on the wire: a document of its own, joined with what it repeats about the identity.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::CAPITALS_SINCE;
use crate::authentication::{Authentication, AuthenticationType, Thumbprints};
use crate::dates::Ticks;
use crate::identity::{Capabilities, Status};
use crate::life::Life;
use crate::module::Module;
use crate::registry::Device;
use crate::twin::{Document, Mark, Section, Twin};

/// First api-version in which a twin carries `modelId` (after `2020-05-31-preview`, inclusive).
const MODEL_ID_SINCE: &str = "2020-05-31";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TwinView<'a> {
    device_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<&'a str>,
    etag: String,
    device_etag: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    status_update_time: Ticks,
    connection_state: &'static str,
    last_activity_time: Ticks,
    cloud_to_device_message_count: u32,
    authentication_type: AuthenticationType,
    x509_thumbprint: ThumbprintsView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'static str>,
    version: u64,
    #[serde(skip_serializing_if = "Document::is_empty")]
    tags: &'a Document,
    properties: PropertiesView<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    configurations: BTreeMap<&'a str, MarkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parent_scopes: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum ThumbprintsView<'a> {
    Camel(&'a Thumbprints),
    #[serde(rename_all = "PascalCase")]
    Capitals {
        primary_thumbprint: Option<&'a str>,
        secondary_thumbprint: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct PropertiesView<'a> {
    desired: SectionView<'a>,
    reported: SectionView<'a>,
}

#[derive(Serialize)]
struct MarkView {
    status: Mark,
}

/// Properties with what the hub says about them.
pub(crate) struct SectionView<'a>(pub(crate) &'a Section);

impl Serialize for SectionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0.values {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("$metadata", &self.0.metadata)?;
        map.serialize_entry("$version", &self.0.version)?;
        map.end()
    }
}

impl<'a> TwinView<'a> {
    /// The twin of a device.
    pub(super) fn new(device: &'a Device, api_version: &str) -> Self {
        let identity = &device.identity;
        Self {
            device_id: &identity.device_id,
            module_id: None,
            device_etag: identity.etag.text(),
            status: identity.status,
            status_reason: identity.status_reason.as_deref(),
            status_update_time: identity.status_updated,
            cloud_to_device_message_count: device.queued_messages,
            capabilities: Some(identity.capabilities),
            device_scope: identity.device_scope.as_deref(),
            parent_scopes: &identity.parent_scopes,
            ..Self::base(
                (&device.twin, &device.life),
                &identity.authentication,
                api_version,
            )
        }
    }

    /// The twin of a module. What it has no field of its own for reads as on an enabled device.
    pub(super) fn of_module(device: &'a str, module: &'a Module, api_version: &str) -> Self {
        let identity = &module.identity;
        Self {
            device_id: device,
            module_id: Some(&identity.module_id),
            device_etag: identity.etag.text(),
            ..Self::base(
                (&module.twin, &module.life),
                &identity.authentication,
                api_version,
            )
        }
    }

    /// The same with the capabilities of the device.
    pub(super) fn with_capabilities(self, capabilities: Capabilities) -> Self {
        Self {
            capabilities: Some(capabilities),
            ..self
        }
    }

    fn base(
        (twin, life): (&'a Twin, &'a Life),
        authentication: &'a Authentication,
        api_version: &str,
    ) -> Self {
        let marks = twin.marks.iter();
        let marks = marks.map(|(id, mark)| (id.as_str(), MarkView { status: *mark }));
        let thumbprints = &authentication.x509_thumbprint;
        let x509_thumbprint = if api_version < CAPITALS_SINCE {
            ThumbprintsView::Camel(thumbprints)
        } else {
            ThumbprintsView::Capitals {
                primary_thumbprint: thumbprints.primary_thumbprint.as_deref(),
                secondary_thumbprint: thumbprints.secondary_thumbprint.as_deref(),
            }
        };
        Self {
            device_id: "",
            module_id: None,
            etag: twin.etag.text(),
            device_etag: String::new(),
            status: Status::Enabled,
            status_reason: None,
            status_update_time: Ticks::NEVER,
            connection_state: life.state(),
            last_activity_time: life.active,
            cloud_to_device_message_count: 0,
            authentication_type: authentication.kind,
            x509_thumbprint,
            model_id: (api_version >= MODEL_ID_SINCE).then_some(""),
            version: twin.etag.version(),
            tags: &twin.tags,
            properties: PropertiesView {
                desired: SectionView(&twin.desired),
                reported: SectionView(&twin.reported),
            },
            configurations: marks.collect(),
            capabilities: None,
            device_scope: None,
            parent_scopes: &[],
        }
    }
}
