//! Names and numbers of errors, as the service pairs them.

use http::StatusCode;

/// The numbers in "Troubleshoot Azure IoT Hub error codes" and in the SDKs. The first three digits
/// are the status.
const NUMBERS: [(&str, u32); 29] = [
    ("ArgumentInvalid", 400_004),
    ("InvalidProtocolVersion", 400_001),
    ("DeviceDefinedMultipleTimes", 400_011),
    ("BulkRegistryOperationFailure", 400_013),
    ("InvalidDeviceScope", 400_028),
    ("IotHubUnauthorizedAccess", 401_002),
    ("IotHubUnauthorized", 401_003),
    ("IotHubQuotaExceeded", 403_002),
    ("JobQuotaExceeded", 403_003),
    ("DeviceNotFound", 404_001),
    ("JobNotFound", 404_002),
    ("ModuleNotFound", 404_010),
    ("DeviceNotOnline", 404_103),
    ("ConfigurationNotFound", 404_301),
    ("OperationNotAllowedInCurrentState", 405_102),
    ("DeviceAlreadyExists", 409_001),
    ("JobAlreadyExists", 409_104),
    ("ModuleAlreadyExistsOnDevice", 409_301),
    ("ConfigurationAlreadyExists", 409_401),
    ("PreconditionFailed", 412_001),
    ("MessageTooLarge", 413_001),
    ("TooManyDevices", 413_002),
    ("TooManyModulesOnDevice", 413_003),
    ("ConfigurationCountLimitExceeded", 413_101),
    ("ThrottlingException", 429_001),
    ("ThrottlingBacklogTimeout", 429_003),
    ("ThrottlingMaxActiveJobCountExceeded", 429_004),
    ("ServiceUnavailable", 503_001),
    ("GatewayTimeout", 504_101),
];

/// The number of a name; one that has none gets the general number of its status.
pub(super) fn number(name: &str, status: StatusCode) -> u32 {
    let known = NUMBERS.iter().find(|(known, _)| *known == name);
    known.map_or(u32::from(status.as_u16()) * 1000, |(_, number)| *number)
}

/// The name a status has when nothing more is known.
pub(super) fn usual(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "ArgumentInvalid",
        401 => "IotHubUnauthorizedAccess",
        403 => "IotHubQuotaExceeded",
        404 => "DeviceNotFound",
        409 => "DeviceAlreadyExists",
        412 => "PreconditionFailed",
        413 => "TooManyDevices",
        429 => "ThrottlingBacklogTimeout",
        502 => "GenericBadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        500..=599 => "ServerError",
        _ => "InvalidErrorCode",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_with_their_status() {
        assert_eq!(number("DeviceNotFound", StatusCode::NOT_FOUND), 404_001);
        assert_eq!(number("Unheard", StatusCode::CONFLICT), 409_000);
        for (name, number) in NUMBERS {
            assert!((400_000..505_000).contains(&number), "{name}");
        }
    }
}
