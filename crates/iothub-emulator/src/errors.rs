//! What the service answers when it refuses: a status, a name and a text, in its own odd shape.
//!
//! Clients tell errors apart by the `iothub-errorcode` header or by the `ErrorCode:` name inside
//! `Message`, so both are always there. Only the style used by the registry and by twins is needed
//! for the operations served so far.

mod names;

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::choices::MissingRole;
use crate::dates::Ticks;

/// Which part of the service speaks; the registry marks its tracking ids, twins do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Identities, and everything that fails before an operation is chosen.
    Registry,
    /// Twins.
    Twins,
    /// Direct methods, which put one JSON text inside another.
    Methods,
}

/// A refusal, before it is tied to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The name sent as `iothub-errorcode`.
    pub(crate) name: Cow<'static, str>,
    /// The text after `ErrorCode:<name>;`.
    pub(crate) text: String,
    /// Who refuses.
    pub(crate) speaker: Speaker,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "ExceptionMessage")]
    exception: &'a str,
}

impl ServiceError {
    fn new(status: StatusCode, name: &'static str, text: impl Into<String>) -> Self {
        let (name, text) = (Cow::Borrowed(name), text.into());
        Self {
            status,
            name,
            text,
            speaker: Speaker::Registry,
        }
    }

    /// The same refusal, spoken by the twin service.
    pub(crate) fn by_twins(self) -> Self {
        Self {
            speaker: Speaker::Twins,
            ..self
        }
    }

    fn nested(self) -> Self {
        Self {
            speaker: Speaker::Methods,
            ..self
        }
    }

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
        Self::new(StatusCode::CONFLICT, "ModuleAlreadyExistsOnDevice", text)
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

    /// 404: no job of this kind has that id.
    pub(crate) fn job_not_found(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "JobNotFound", id)
    }

    /// 409: a job's id is taken.
    pub(crate) fn job_already_exists(id: &str) -> Self {
        let text = format!("A job with ID '{id}' already exists.");
        Self::new(StatusCode::CONFLICT, "JobAlreadyExists", text)
    }

    /// 429: as many jobs as the hub's edition allows are at work or planned.
    pub(crate) fn too_many_active_jobs() -> Self {
        let (status, name) = (
            StatusCode::TOO_MANY_REQUESTS,
            "ThrottlingMaxActiveJobCountExceeded",
        );
        Self::new(
            status,
            name,
            "The maximum number of active jobs is reached.",
        )
    }

    /// 403: another import or export job is going on.
    pub(crate) fn job_quota_exceeded() -> Self {
        let text = "Another import or export job is running.";
        Self::new(StatusCode::FORBIDDEN, "JobQuotaExceeded", text)
    }

    /// 400: a container cannot be used for what a job wants.
    pub(crate) fn bad_container() -> Self {
        let text = "Failed to read or write the blob container.";
        Self::new(
            StatusCode::BAD_REQUEST,
            "BlobContainerValidationError",
            text,
        )
    }

    /// 412: nobody holds a message under this lock.
    pub(crate) fn lock_lost() -> Self {
        let text = "The lock on the message is lost.";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "DeviceMessageLockLost",
            text,
        )
    }

    /// 405: a job is past the point where it could be cancelled.
    pub(crate) fn job_not_in_that_state() -> Self {
        let (status, name) = (
            StatusCode::METHOD_NOT_ALLOWED,
            "OperationNotAllowedInCurrentState",
        );
        Self::new(status, name, "The job is running or over.")
    }

    /// 404: there is no such configuration.
    pub(crate) fn configuration_not_found(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ConfigurationNotFound", id)
    }

    /// 409: a create met a configuration that exists.
    pub(crate) fn configuration_already_exists(id: &str) -> Self {
        let text = format!("A configuration with ID '{id}' already exists.");
        Self::new(StatusCode::CONFLICT, "ConfigurationAlreadyExists", text)
    }

    /// 413: the hub has as many configurations as it may.
    pub(crate) fn too_many_configurations(most: usize) -> Self {
        let text =
            format!("Number of deployments exceed the maximum quota {most} for this IotHub.");
        let (status, name) = (
            StatusCode::PAYLOAD_TOO_LARGE,
            "ConfigurationCountLimitExceeded",
        );
        Self::new(status, name, text)
    }

    /// 400: a content is missing, of several kinds, or not well-formed.
    pub(crate) fn bad_content() -> Self {
        let text = "The configuration content is not valid.";
        Self::new(StatusCode::BAD_REQUEST, "InvalidConfigurationContent", text)
    }

    /// 400: the device is no gateway.
    pub(crate) fn not_an_edge_device(id: &str) -> Self {
        Self::invalid(format!("The device '{id}' is not an IoT Edge device."))
    }

    /// 412 with a text of the caller's.
    pub(crate) fn precondition_failed(text: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", text)
    }

    /// 400: the request breaks a rule about its content.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ArgumentInvalid", text)
    }

    /// 400: not a query, or not a page of one. The service says no more about it.
    pub(crate) fn bad_query() -> Self {
        Self::invalid("BadRequest").by_twins()
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

    /// 413: the payload of a message or method is larger than the service takes.
    pub(crate) fn message_too_large() -> Self {
        let text = "The payload is larger than the service accepts.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "MessageTooLarge", text).by_twins()
    }

    /// 404: the device is there but not connected.
    pub(crate) fn device_not_online() -> Self {
        let text = "The operation failed because the requested device isn't online. To learn more, see https://aka.ms/iothub404103";
        Self::new(StatusCode::NOT_FOUND, "DeviceNotOnline", text).nested()
    }

    /// 504: the device took the call and did not answer in time.
    pub(crate) fn method_timeout() -> Self {
        let text = "Timed out waiting for the response from device.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout", text).nested()
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
    pub(crate) fn throttled() -> Self {
        let text =
            "The request has been throttled. Wait 10 seconds and try again. Operation type: CRUD";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "ThrottlingBacklogTimeout",
            text,
        )
    }

    /// A refusal made up by a fault rule; without a name it gets the usual one of its status.
    pub(crate) fn injected(status: StatusCode, name: Option<&str>) -> Self {
        let usual = Cow::Borrowed(names::usual(status));
        let name = name.map_or(usual, |name| Cow::Owned(name.to_owned()));
        let text = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            status,
            name,
            text,
            speaker: Speaker::Registry,
        }
    }

    /// The number that goes with the name.
    pub(crate) fn number(&self) -> u32 {
        names::number(&self.name, self.status)
    }

    /// The body, as compact JSON. The tracking id is the request id without its dashes.
    pub(crate) fn body(&self, request_id: &str, now: Ticks) -> String {
        let group = match self.speaker {
            Speaker::Registry => "-G:1",
            Speaker::Twins => "",
            Speaker::Methods => return self.nested_body(request_id, now),
        };
        let message = format!("ErrorCode:{};{}", self.name, self.text);
        let tracking = request_id.replace('-', "");
        let exception = format!("Tracking ID:{tracking}{group}-TimeStamp:{}", now.american());
        let body = Body {
            message: &message,
            exception: &exception,
        };
        serde_json::to_string(&body).expect("two strings always serialize")
    }

    fn nested_body(&self, request_id: &str, now: Ticks) -> String {
        let inner = serde_json::json!({
            "errorCode": self.number(),
            "message": self.text,
            "trackingId": request_id.replace('-', ""),
            "timestampUtc": now.to_string(),
            "info": null,
        });
        let body = Body {
            message: &inner.to_string(),
            exception: "",
        };
        serde_json::to_string(&body).expect("two strings always serialize")
    }
}

#[cfg(test)]
mod tests;
