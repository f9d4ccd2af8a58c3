//! Refusals about queries, methods, jobs, configurations and messages.

use http::StatusCode;

use super::ServiceError;

impl ServiceError {
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

    /// 400: not a query, or not a page of one. The service says no more about it.
    pub(crate) fn bad_query() -> Self {
        Self::invalid("BadRequest").by_twins()
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
}
