//! Requests that call a direct method.

use bytes::Bytes;
use http::Request;

use super::draft::Draft;
use crate::device_id::DeviceId;
use crate::error::Result;
use crate::host::HostName;
use crate::method::Method;
use crate::module::ModuleId;

/// Calls a method of a device.
pub fn device_method(
    host: &HostName,
    device: &DeviceId,
    method: &Method,
) -> Result<Request<Bytes>> {
    Draft::post(host, &["twins", device.as_str(), "methods"])
        .json(&method.to_json()?)
        .finish()
}

/// Calls a method of a module.
pub fn module_method(
    host: &HostName,
    device: &DeviceId,
    module: &ModuleId,
    method: &Method,
) -> Result<Request<Bytes>> {
    let (device, module) = (device.as_str(), module.as_str());
    Draft::post(host, &["twins", device, "modules", module, "methods"])
        .json(&method.to_json()?)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn a_method_is_posted_below_the_twin() {
        let method = Method::new("reboot").unwrap();
        let (device, module) = ("d".parse().unwrap(), "m".parse().unwrap());
        let rest = "?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"connectTimeoutInSeconds\":0,\"methodName\":\"reboot\",\"payload\":null,\
             \"responseTimeoutInSeconds\":30}";
        assert_eq!(
            text(device_method(&host(), &device, &method)),
            format!("POST /twins/d/methods{rest}")
        );
        assert_eq!(
            text(module_method(&host(), &device, &module, &method)),
            format!("POST /twins/d/modules/m/methods{rest}")
        );
    }
}
