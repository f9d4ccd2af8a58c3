//! Refusals about identities and twins, and those that any request may get.

use http::StatusCode;

use super::ServiceError;
use crate::choices::{FullHub, MissingRole};
use crate::throttle::Meter;

impl ServiceError {
    /// 404: there is no such device.
    pub(crate) fn device_not_found(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "DeviceNotFound", id)
    }

    /// 409: a create met an identity that exists.
    pub(crate) fn device_already_exists(id: &str) -> Self {
        let text = format!("A device with ID '{id}' is already registered.");
        Self::new(StatusCode::CONFLICT, "DeviceAlreadyExists", text)
    }

    /// 404: the device has no such module.
    pub(crate) fn module_not_found(module: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ModuleNotFound", module)
    }

    /// 409: a create met a module that exists.
    pub(crate) fn module_already_exists(id: &str, module: &str) -> Self {
        let text = format!("Device {id} already contains Module {module}.");
        Self::new(StatusCode::CONFLICT, "ModuleAlreadyExistsOnDevice", text).newer()
    }

    /// 413: the device has as many modules as it may.
    pub(crate) fn too_many_modules(id: &str) -> Self {
        let text = format!("Device {id} has the maximum number of modules.");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "TooManyModulesOnDevice",
            text,
        )
    }

    /// 413: more items in one call than the service takes.
    pub(crate) fn too_many_items() -> Self {
        let text = "A bulk call takes at most 100 devices.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TooManyDevices", text)
    }

    /// 400: an id stands in a bulk call more than once.
    pub(crate) fn defined_twice(id: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DeviceDefinedMultipleTimes", id)
    }

    /// 412 with a text of the caller's.
    pub(crate) fn precondition_failed(text: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", text)
    }

    /// 400: the request breaks a rule about its content.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ArgumentInvalid", text)
    }

    /// 400: the hierarchy rules of edge devices are broken.
    pub(crate) fn invalid_scope(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidDeviceScope", text)
    }

    /// 400: `api-version` is missing or unknown.
    pub(crate) fn protocol_version(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidProtocolVersion", text)
    }

    /// 401: no token, a bad one, or one without the permission; the service does not say which.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "IotHubUnauthorizedAccess",
            "Unauthorized",
        )
    }

    /// 401 or 403: the caller is known, but no role allows it this.
    pub(crate) fn missing_role(principal: &str, path: &str, status: MissingRole) -> Self {
        let text = format!(
            "Principal {principal} is not authorized for this operation on {path} due to no assigned permissions"
        );
        let status = match status {
            MissingRole::Unauthorized => StatusCode::UNAUTHORIZED,
            MissingRole::Forbidden => StatusCode::FORBIDDEN,
        };
        Self::new(status, "IotHubUnauthorizedAccess", text)
    }

    /// 413 or 403: the hub has as many devices as it may.
    pub(crate) fn hub_full(choice: FullHub, most: usize) -> Self {
        let text = format!("The hub has its maximum number of {most} devices.");
        match choice {
            FullHub::TooManyDevices => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TooManyDevices", text)
            }
            FullHub::QuotaExceeded => Self::new(StatusCode::FORBIDDEN, "IotHubQuotaExceeded", text),
        }
    }

    /// 415: the body does not say that it is JSON.
    pub(crate) fn unsupported_media_type() -> Self {
        let (status, name) = (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "GenericUnsupportedMediaType",
        );
        Self::new(status, name, "The media type is not supported.")
    }

    /// 404: no operation lives at this path.
    pub(crate) fn no_such_resource() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "GenericNotFound",
            "The resource cannot be found.",
        )
    }

    /// 405: the path is served, but not with this method.
    pub(crate) fn method_not_allowed(method: &http::Method) -> Self {
        let text = format!("The requested resource does not support http method '{method}'.");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "GenericMethodNotAllowed",
            text,
        )
    }

    /// 413: the body is larger than any operation takes.
    pub(crate) fn body_too_large() -> Self {
        let text = "The request body is larger than the service accepts.";
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "GenericRequestEntityTooLarge",
            text,
        )
    }

    /// 429: the queue of the throttle is longer than the service lets a request wait.
    pub(crate) fn throttled(meter: Meter) -> Self {
        let kind = match meter {
            Meter::Configurations => "ConfigurationWrite",
            _ => "CRUD",
        };
        let text = format!(
            "The request has been throttled. Wait 10 seconds and try again. Operation type: {kind}"
        );
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "ThrottlingBacklogTimeout",
            text,
        )
    }
}
