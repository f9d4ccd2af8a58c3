//! The hub's error names and numbers, and the remedy for each.
//!
//! Names and numbers are those of Microsoft's page "Troubleshoot Azure IoT Hub error codes" and of
//! its SDKs. What is not listed is judged by its HTTP status alone.

use super::Kind;

/// One of the hub's errors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
}

const THROTTLED: Kind = Kind::Throttled { retry_after: None };

const fn code(name: &'static str, number: u32, kind: Kind) -> Code {
    Code { name, number, kind }
}

const CODES: &[Code] = &[
    code("GenericBadRequest", 400_000, Kind::Invalid),
    code("InvalidProtocolVersion", 400_001, Kind::Invalid),
    code("InvalidOperation", 400_003, Kind::Invalid),
    code("ArgumentInvalid", 400_004, Kind::Invalid),
    code("ArgumentNull", 400_005, Kind::Invalid),
    code("IotHubFormatError", 400_006, Kind::Invalid),
    code("DeviceDefinedMultipleTimes", 400_011, Kind::Invalid),
    code("BulkRegistryOperationFailure", 400_013, Kind::Invalid),
    code("InvalidDeviceScope", 400_028, Kind::Invalid),
    // A hub that does not exist under this name is a matter of the integration, like a wrong key.
    code("IotHubNotFound", 401_001, Kind::Unauthorized),
    code("IotHubUnauthorizedAccess", 401_002, Kind::Unauthorized),
    code("IotHubUnauthorized", 401_003, Kind::Unauthorized),
    code("IotHubQuotaExceeded", 403_002, Kind::QuotaExceeded),
    code("JobQuotaExceeded", 403_003, Kind::QuotaExceeded),
    code(
        "DeviceMaximumQueueDepthExceeded",
        403_004,
        Kind::NotAvailable,
    ),
    code(
        "OperationNotAvailableInCurrentTier",
        403_010,
        Kind::NotAvailable,
    ),
    code("DeviceDisabled", 403_012, Kind::NotAvailable),
    code("DeviceNotFound", 404_001, Kind::NotFound),
    code("JobNotFound", 404_002, Kind::NotFound),
    code("ModuleNotFound", 404_010, Kind::NotFound),
    // The device exists: taking this for "not found" would make a caller forget it.
    code("DeviceNotOnline", 404_103, Kind::NotAvailable),
    code("ConfigurationNotFound", 404_301, Kind::NotFound),
    code(
        "OperationNotAllowedInCurrentState",
        405_102,
        Kind::NotAvailable,
    ),
    code("DeviceAlreadyExists", 409_001, Kind::AlreadyExists),
    code("DeviceLocked", 409_102, Kind::Transient),
    code("JobAlreadyExists", 409_104, Kind::AlreadyExists),
    code("ModuleAlreadyExistsOnDevice", 409_301, Kind::AlreadyExists),
    code("ConfigurationAlreadyExists", 409_401, Kind::AlreadyExists),
    code("PreconditionFailed", 412_001, Kind::PreconditionFailed),
    code("MessageTooLarge", 413_001, Kind::Invalid),
    code("TooManyDevices", 413_002, Kind::HubFull),
    code("TooManyModulesOnDevice", 413_003, Kind::HubFull),
    code("ConfigurationCountLimitExceeded", 413_101, Kind::HubFull),
    code("GenericUnsupportedMediaType", 415_000, Kind::Invalid),
    code("GenericTooManyRequests", 429_000, THROTTLED),
    code("ThrottlingException", 429_001, THROTTLED),
    code("ThrottleBacklogLimitExceeded", 429_002, THROTTLED),
    code("ThrottlingBacklogTimeout", 429_003, THROTTLED),
    code("ThrottlingMaxActiveJobCountExceeded", 429_004, THROTTLED),
    code("DeviceThrottlingLimitExceeded", 429_005, THROTTLED),
    code("ServerError", 500_001, Kind::Transient),
    code("GenericTimeout", 500_008, Kind::Transient),
    code("ServiceUnavailable", 503_001, Kind::Transient),
    code("ServerBusy", 503_005, Kind::Transient),
    code("IotHubRestoring", 503_006, Kind::Transient),
    code("GatewayTimeout", 504_101, Kind::Transient),
];

/// Names without a number of their own.
const UNNUMBERED: &[(&str, Kind)] = &[
    ("IotHubSuspended", Kind::NotAvailable),
    ("GenericUnauthorized", Kind::Unauthorized),
    ("GenericNotFound", Kind::NotFound),
    ("GenericConflict", Kind::AlreadyExists),
    ("GenericPreconditionFailed", Kind::PreconditionFailed),
    ("EtagDoesNotMatch", Kind::PreconditionFailed),
    ("GenericRequestEntityTooLarge", Kind::Invalid),
    ("GenericServerError", Kind::Transient),
    ("GenericBadGateway", Kind::Transient),
    ("GenericServiceUnavailable", Kind::Transient),
    ("GenericGatewayTimeout", Kind::Transient),
];

pub(super) fn by_name(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name == name)
}

pub(super) fn by_number(number: u32) -> Option<&'static Code> {
    // The service has two numbers for this one.
    let number = if number == 403_001 { 403_003 } else { number };
    CODES.iter().find(|code| code.number == number)
}

/// The remedy for an error's name.
pub(super) fn kind_of_name(name: &str) -> Option<Kind> {
    let unnumbered = || {
        UNNUMBERED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    };
    by_name(name).map(|code| code.kind).or_else(unnumbered)
}

/// The remedy for an HTTP status below 500 that comes with nothing known.
pub(super) fn kind_of_status(status: u16) -> Kind {
    match status {
        401 | 403 => Kind::Unauthorized,
        404 => Kind::NotFound,
        409 => Kind::AlreadyExists,
        412 => Kind::PreconditionFailed,
        429 => THROTTLED,
        408 | 500.. => Kind::Transient,
        400.. => Kind::Invalid,
        // Redirects are not followed, and nothing else below 400 is a failure.
        _ => Kind::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_and_number_stands_once() {
        for (place, code) in CODES.iter().enumerate() {
            assert_eq!(by_name(code.name), Some(&CODES[place]));
            assert_eq!(by_number(code.number), Some(&CODES[place]));
        }
    }

    #[test]
    fn no_known_code_outside_404_means_not_found() {
        // "Not found" makes a caller treat the device as gone.
        for code in CODES.iter().filter(|code| code.kind == Kind::NotFound) {
            assert_eq!(code.number / 1000, 404, "{}", code.name);
        }
    }
}
