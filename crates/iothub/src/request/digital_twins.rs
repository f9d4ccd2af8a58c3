//! Requests about digital twins.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::draft::Draft;
use crate::device_id::DeviceId;
use crate::digital_twin::{Command, check_patch};
use crate::error::Result;
use crate::host::HostName;

/// Reads a digital twin.
pub fn digital_twin(host: &HostName, device: &DeviceId) -> Result<Request<Bytes>> {
    Draft::get(host, &["digitaltwins", device.as_str()]).finish()
}

/// Edits a digital twin with a JSON Patch.
pub fn patch_digital_twin(
    host: &HostName,
    device: &DeviceId,
    patch: &Value,
    etag: Option<&str>,
) -> Result<Request<Bytes>> {
    Draft::patch(host, &["digitaltwins", device.as_str()])
        .if_match(etag)?
        .json(check_patch(patch)?)
        .finish()
}

/// Calls a command of a device or of one of its components.
pub fn command(host: &HostName, device: &DeviceId, command: &Command) -> Result<Request<Bytes>> {
    let (component, name, payload, patience) = command.parts();
    patience.check()?;
    let mut segments = vec!["digitaltwins", device.as_str()];
    if let Some(component) = component {
        segments.extend(["components", component]);
    }
    segments.extend(["commands", name]);
    Draft::post(host, &segments)
        .query("connectTimeoutInSeconds", &patience.connect.to_string())
        .query("responseTimeoutInSeconds", &patience.response.to_string())
        .json(payload)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn a_digital_twin_is_read_and_patched() {
        let device = "d".parse().unwrap();
        assert_eq!(
            text(digital_twin(&host(), &device)),
            "GET /digitaltwins/d?api-version=2021-04-12\naccept: application/json\n"
        );
        let patch = json!([{"op": "add", "path": "/interval", "value": 5}]);
        assert_eq!(
            text(patch_digital_twin(&host(), &device, &patch, Some("AAE="))),
            "PATCH /digitaltwins/d?api-version=2021-04-12\n\
             accept: application/json\n\
             if-match: \"AAE=\"\n\
             content-type: application/json; charset=utf-8\n\
             [{\"op\":\"add\",\"path\":\"/interval\",\"value\":5}]"
        );
    }

    #[test]
    fn commands_are_posted_below_device_or_component() {
        let device = "d".parse().unwrap();
        let rest = "?api-version=2021-04-12&connectTimeoutInSeconds=0&responseTimeoutInSeconds=30\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             null";
        let plain = Command::new("reboot").unwrap();
        assert_eq!(
            text(command(&host(), &device, &plain)),
            format!("POST /digitaltwins/d/commands/reboot{rest}")
        );
        let component = plain.of_component("t1").unwrap();
        assert_eq!(
            text(command(&host(), &device, &component)),
            format!("POST /digitaltwins/d/components/t1/commands/reboot{rest}")
        );
    }
}
