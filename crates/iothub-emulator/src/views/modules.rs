//! Module identities and their twins on the wire.

use serde::Serialize;

use super::twins::TwinView;
use super::{AuthenticationView, Date, Keys, as_created, to_json, with_zone};
use crate::module::Module;
use crate::registry::Device;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleView<'a> {
    module_id: &'a str,
    managed_by: Option<&'a str>,
    device_id: &'a str,
    generation_id: String,
    etag: String,
    connection_state: &'static str,
    connection_state_updated_time: String,
    last_activity_time: String,
    cloud_to_device_message_count: u32,
    authentication: AuthenticationView<'a>,
}

impl<'a> ModuleView<'a> {
    pub(super) fn new(device: &'a str, module: &'a Module, keys: Keys, date: Date) -> Self {
        let identity = &module.identity;
        Self {
            module_id: &identity.module_id,
            managed_by: identity.managed_by.as_deref(),
            device_id: device,
            generation_id: identity.generation.count().to_string(),
            etag: identity.etag.text(),
            connection_state: module.life.state(),
            connection_state_updated_time: date(module.life.since),
            last_activity_time: date(module.life.active),
            cloud_to_device_message_count: 0,
            authentication: AuthenticationView::new(&identity.authentication, keys),
        }
    }
}

/// A module identity as GET, list and updates answer it.
pub(crate) fn identity(device: &str, module: &Module) -> String {
    to_json(&ModuleView::new(device, module, Keys::Shown, with_zone))
}

/// A module identity as its creation answers it.
pub(crate) fn created_identity(device: &str, module: &Module) -> String {
    to_json(&ModuleView::new(device, module, Keys::Shown, as_created))
}

/// A module twin, in the dialect of an api-version.
pub(crate) fn twin(device: &str, module: &Module, api_version: &str) -> String {
    to_json(&TwinView::of_module(device, module, api_version))
}

/// A module twin as queries show it: with the capabilities of its device.
pub(crate) fn listed_twin(device: &Device, module: &Module, api_version: &str) -> String {
    let id = &device.identity.device_id;
    let twin = TwinView::of_module(id, module, api_version);
    to_json(&twin.with_capabilities(device.identity.capabilities))
}
