//! Requests about modules and their twins.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::draft::{Draft, object};
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::host::HostName;
use crate::module::{Module, ModuleId, NewModule};

/// Lists the modules of a device.
pub fn modules(host: &HostName, device: &DeviceId) -> Result<Request<Bytes>> {
    Draft::get(host, &["devices", device.as_str(), "modules"]).finish()
}

/// Reads a module.
pub fn module(host: &HostName, device: &DeviceId, module: &ModuleId) -> Result<Request<Bytes>> {
    Draft::get(host, &identity(device, module)).finish()
}

/// Creates a module. Without `If-Match` the hub creates or refuses, and never replaces.
pub fn create_module(host: &HostName, new: &NewModule) -> Result<Request<Bytes>> {
    Draft::put(host, &identity(&new.device_id, &new.module_id))
        .body(new.to_body())
        .finish()
}

/// Replaces a module in the version it was read in.
pub fn update_module(host: &HostName, module: &Module) -> Result<Request<Bytes>> {
    let etag = module
        .etag()
        .ok_or_else(|| Error::invalid("a module without an etag cannot be updated"))?;
    Draft::put(host, &identity(module.device_id(), module.module_id()))
        .if_match(Some(etag))?
        .body(module.to_body()?)
        .finish()
}

/// Deletes a module and its twin, in the version that is named.
pub fn delete_module(
    host: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    etag: &str,
) -> Result<Request<Bytes>> {
    Draft::delete(host, &identity(device, module))
        .if_match(Some(etag))?
        .finish()
}

/// Reads a module's twin.
pub fn module_twin(
    host: &HostName,
    device: &DeviceId,
    module: &ModuleId,
) -> Result<Request<Bytes>> {
    Draft::get(host, &twin(device, module)).finish()
}

/// Merges `{"tags": .., "properties": {"desired": ..}}` into a module's twin; null removes a key.
pub fn patch_module_twin(
    host: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    patch: &Value,
    etag: Option<&str>,
) -> Result<Request<Bytes>> {
    Draft::patch(host, &twin(device, module))
        .if_match(etag)?
        .json(object(patch)?)
        .finish()
}

/// Replaces a module's tags and desired properties; what the body leaves out is gone.
pub fn replace_module_twin(
    host: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    edited: &Value,
    etag: Option<&str>,
) -> Result<Request<Bytes>> {
    Draft::put(host, &twin(device, module))
        .if_match(etag)?
        .json(object(edited)?)
        .finish()
}

fn identity<'a>(device: &'a DeviceId, module: &'a ModuleId) -> [&'a str; 4] {
    ["devices", device.as_str(), "modules", module.as_str()]
}

fn twin<'a>(device: &'a DeviceId, module: &'a ModuleId) -> [&'a str; 4] {
    ["twins", device.as_str(), "modules", module.as_str()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::draft::tests::{host, text};

    fn ids() -> (DeviceId, ModuleId) {
        ("dev-1".parse().unwrap(), "$edgeAgent".parse().unwrap())
    }

    #[test]
    fn a_module_is_a_path_below_its_device() {
        let (device, id) = ids();
        assert_eq!(
            text(modules(&host(), &device)),
            "GET /devices/dev-1/modules?api-version=2021-04-12\naccept: application/json\n"
        );
        assert_eq!(
            text(module(&host(), &device, &id)),
            "GET /devices/dev-1/modules/%24edgeAgent?api-version=2021-04-12\n\
             accept: application/json\n"
        );
        assert_eq!(
            text(module_twin(&host(), &device, &id)),
            "GET /twins/dev-1/modules/%24edgeAgent?api-version=2021-04-12\n\
             accept: application/json\n"
        );
    }

    #[test]
    fn creating_has_no_precondition_and_changing_has_one() {
        let (device, _) = ids();
        let new = NewModule {
            managed_by: Some("fleet".into()),
            ..NewModule::new(device.clone(), "m".parse().unwrap())
        };
        assert_eq!(
            text(create_module(&host(), &new)),
            "PUT /devices/dev-1/modules/m?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"deviceId\":\"dev-1\",\"managedBy\":\"fleet\",\"moduleId\":\"m\"}"
        );
        let body = r#"{"authentication":{},"deviceId":"dev-1","etag":"MQ==","moduleId":"m"}"#;
        let module = Module::from_json(body.as_bytes()).unwrap();
        assert_eq!(
            text(update_module(&host(), &module)),
            format!(
                "PUT /devices/dev-1/modules/m?api-version=2021-04-12\n\
                 accept: application/json\n\
                 if-match: \"MQ==\"\n\
                 content-type: application/json; charset=utf-8\n\
                 {body}"
            )
        );
        assert_eq!(
            text(delete_module(&host(), &device, module.module_id(), "MQ==")),
            "DELETE /devices/dev-1/modules/m?api-version=2021-04-12\n\
             accept: application/json\n\
             if-match: \"MQ==\"\n"
        );
        assert!(delete_module(&host(), &device, module.module_id(), "*").is_err());
    }

    #[test]
    fn a_modules_twin_is_merged_and_replaced() {
        let (device, id) = ids();
        let edit = json!({"tags": {"a": null}});
        assert_eq!(
            text(patch_module_twin(&host(), &device, &id, &edit, None)),
            "PATCH /twins/dev-1/modules/%24edgeAgent?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"tags\":{\"a\":null}}"
        );
        let replaced = text(replace_module_twin(
            &host(),
            &device,
            &id,
            &edit,
            Some("AAE="),
        ));
        assert!(
            replaced.starts_with("PUT ") && replaced.contains("if-match: \"AAE=\"\n"),
            "{replaced}"
        );
    }
}
