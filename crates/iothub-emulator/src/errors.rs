//! What the service answers when it refuses: a status, a name and a text, in its own odd shape.
//!
//! Clients tell errors apart by the `iothub-errorcode` header or by the `ErrorCode:` name inside
//! `Message`, so both are always there. Only the style used by the registry and by twins is needed
//! for the operations served so far.

mod names;

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::dates::Ticks;

/// Which part of the service speaks; the registry marks its tracking ids, twins do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Identities, and everything that fails before an operation is chosen.
    Registry,
    /// Twins.
    Twins,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "d13bed74-7f56-45ad-8834-4794baaa1fa7";
    const NOW: Ticks = Ticks::from_unix_micros(1_592_346_896_000_000);

    #[test]
    fn a_registry_error_carries_name_text_tracking_id_and_group() {
        assert_eq!(
            ServiceError::device_not_found("d 1").body(ID, NOW),
            r#"{"Message":"ErrorCode:DeviceNotFound;d 1","ExceptionMessage":"Tracking ID:d13bed747f5645ad88344794baaa1fa7-G:1-TimeStamp:06/16/2020 22:34:56"}"#
        );
    }

    #[test]
    fn a_twin_error_has_no_group_in_its_tracking_id() {
        let body = ServiceError::device_not_found("d1")
            .by_twins()
            .body(ID, NOW);
        assert!(
            body.contains("Tracking ID:d13bed747f5645ad88344794baaa1fa7-TimeStamp:"),
            "{body}"
        );
    }

    #[test]
    fn texts_with_quotes_stay_valid_json() {
        let body = ServiceError::invalid(r#"a "quoted" \ text"#).body(ID, NOW);
        let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            parsed["Message"],
            r#"ErrorCode:ArgumentInvalid;a "quoted" \ text"#
        );
    }

    #[test]
    fn injected_refusals_borrow_the_usual_name_of_their_status() {
        let name =
            |status: u16| ServiceError::injected(StatusCode::from_u16(status).unwrap(), None).name;
        assert_eq!(name(429), "ThrottlingBacklogTimeout");
        assert_eq!(name(503), "ServiceUnavailable");
        assert_eq!(name(507), "ServerError");
        let own = ServiceError::injected(StatusCode::SERVICE_UNAVAILABLE, Some("ServerBusy"));
        assert_eq!(own.name, "ServerBusy");
    }

    #[test]
    fn each_named_refusal_has_its_status() {
        for (error, status) in [
            (ServiceError::device_already_exists("d"), 409),
            (ServiceError::precondition_failed("x"), 412),
            (ServiceError::protocol_version("x"), 400),
            (ServiceError::invalid_scope("x"), 400),
            (ServiceError::unauthorized(), 401),
            (ServiceError::no_such_resource(), 404),
            (ServiceError::method_not_allowed(&http::Method::PUT), 405),
            (ServiceError::body_too_large(), 413),
            (ServiceError::throttled(), 429),
        ] {
            assert_eq!(error.status, status, "{}", error.name);
        }
    }
}
