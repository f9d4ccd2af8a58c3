//! The requests of the API, as plain values.
//!
//! Nothing is sent from here, so every request can be compared with what the service's
//! documentation and recordings show. Authorization is added when a request is sent, because one
//! request may need two tokens. Two traps of the API are closed here: a quoted empty `If-Match`
//! counts as none, and a quoted `*` matches everything, so neither passes for an ETag.

mod bulk;
mod configurations;
mod digital_twins;
mod draft;
mod jobs;
mod methods;
mod modules;
mod queries;
mod registry;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

pub use bulk::bulk;
pub use configurations::{
    apply_content, configuration, configurations, create_configuration, delete_configuration,
    test_queries, update_configuration,
};
pub use digital_twins::{command, digital_twin, patch_digital_twin};
use draft::Draft;
pub(crate) use draft::{check_etag, object};
pub use jobs::{
    cancel_job, cancel_transfer, create_job, create_transfer, job, jobs, transfer, transfers,
};
pub use methods::{device_method, module_method};
pub use modules::{
    create_module, delete_module, module, module_twin, modules, patch_module_twin,
    replace_module_twin, update_module,
};
pub use queries::query;
pub use registry::{MAX_LIST, device_statistics, devices, purge_messages, service_statistics};

use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::host::HostName;
use crate::identity::{Identity, NewIdentity};

/// The newest stable version of the API, and the one Azure's own SDKs use.
pub const API_VERSION: &str = "2021-04-12";

/// Reads an identity.
pub fn device(host: &HostName, id: &DeviceId) -> Result<Request<Bytes>> {
    Draft::get(host, &["devices", id.as_str()]).finish()
}

/// Creates an identity. Without `If-Match` the hub creates or refuses, and never replaces.
pub fn create_device(host: &HostName, new: &NewIdentity) -> Result<Request<Bytes>> {
    Draft::put(host, &["devices", new.device_id.as_str()])
        .body(new.to_body()?)
        .finish()
}

/// Replaces an identity in the version it was read in.
pub fn update_device(host: &HostName, identity: &Identity) -> Result<Request<Bytes>> {
    let etag = identity
        .etag()
        .ok_or_else(|| Error::invalid("an identity without an etag cannot be updated"))?;
    Draft::put(host, &["devices", identity.device_id().as_str()])
        .if_match(Some(etag))?
        .body(identity.to_body()?)
        .finish()
}

/// Deletes an identity, its twin and its modules, in the version that is named.
pub fn delete_device(host: &HostName, id: &DeviceId, etag: &str) -> Result<Request<Bytes>> {
    Draft::delete(host, &["devices", id.as_str()])
        .if_match(Some(etag))?
        .finish()
}

/// Reads a twin.
pub fn twin(host: &HostName, id: &DeviceId) -> Result<Request<Bytes>> {
    Draft::get(host, &["twins", id.as_str()]).finish()
}

/// Merges `{"tags": .., "properties": {"desired": ..}}` into a twin; null removes a key.
pub fn patch_twin(
    host: &HostName,
    id: &DeviceId,
    patch: &Value,
    etag: Option<&str>,
) -> Result<Request<Bytes>> {
    Draft::patch(host, &["twins", id.as_str()])
        .if_match(etag)?
        .json(object(patch)?)
        .finish()
}

/// Replaces tags and desired properties; what the body leaves out is gone.
pub fn replace_twin(
    host: &HostName,
    id: &DeviceId,
    twin: &Value,
    etag: Option<&str>,
) -> Result<Request<Bytes>> {
    Draft::put(host, &["twins", id.as_str()])
        .if_match(etag)?
        .json(object(twin)?)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::draft::tests::{host, text};
    use super::*;
    use crate::error::{Effect, Kind};
    use crate::identity::Status;

    fn id() -> DeviceId {
        "dev-1".parse().unwrap()
    }

    #[test]
    fn reading_a_device() {
        assert_eq!(
            text(device(&host(), &id())),
            "GET /devices/dev-1?api-version=2021-04-12\naccept: application/json\n",
        );
    }

    #[test]
    fn creating_a_device_has_no_precondition() {
        let new = NewIdentity {
            status: Status::Disabled,
            status_reason: Some("mender:1:2".into()),
            ..NewIdentity::new(id())
        };
        assert_eq!(
            text(create_device(&host(), &new)),
            "PUT /devices/dev-1?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"deviceId\":\"dev-1\",\"status\":\"disabled\",\"statusReason\":\"mender:1:2\"}",
        );
    }

    #[test]
    fn updating_a_device_sends_everything_back_in_the_version_read() {
        let body = r#"{"authentication":{"type":"sas"},"deviceId":"dev-1","etag":"NzI3"}"#;
        let identity = Identity::from_json(body.as_bytes()).unwrap();
        assert_eq!(
            text(update_device(&host(), &identity)),
            format!(
                "PUT /devices/dev-1?api-version=2021-04-12\n\
                 accept: application/json\n\
                 if-match: \"NzI3\"\n\
                 content-type: application/json; charset=utf-8\n\
                 {body}"
            ),
        );
    }

    #[test]
    fn deleting_a_device_names_its_version() {
        assert_eq!(
            text(delete_device(&host(), &id(), "NzI3")),
            "DELETE /devices/dev-1?api-version=2021-04-12\n\
             accept: application/json\n\
             if-match: \"NzI3\"\n",
        );
    }

    #[test]
    fn editing_a_twin_with_and_without_a_version() {
        let edit = json!({"properties": {"desired": {"a": null}}});
        assert_eq!(
            text(patch_twin(&host(), &id(), &edit, None)),
            "PATCH /twins/dev-1?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"properties\":{\"desired\":{\"a\":null}}}",
        );
        let replaced = text(replace_twin(&host(), &id(), &edit, Some("AAAAAAAAAAE=")));
        assert!(replaced.starts_with("PUT /twins/dev-1?"), "{replaced}");
        assert!(
            replaced.contains("if-match: \"AAAAAAAAAAE=\"\n"),
            "{replaced}"
        );
    }

    #[test]
    fn an_id_is_one_path_segment_whatever_it_holds() {
        let id = "a#b?c%2Fd+e$'()*!,=@;:".parse().unwrap();
        let request = twin(&host(), &id).unwrap();
        assert_eq!(
            request.uri().to_string(),
            "https://h.azure-devices.net/twins/\
             a%23b%3Fc%252Fd%2Be%24%27%28%29%2A%21%2C%3D%40%3B%3A?api-version=2021-04-12",
        );
    }

    #[test]
    fn what_would_match_anything_is_no_etag() {
        for etag in ["", "*", "\"MQ==\"", "a b", "a\r\nb", "ä"] {
            let error = delete_device(&host(), &id(), etag).unwrap_err();
            assert_eq!(
                (error.kind(), error.effect()),
                (Kind::Invalid, Effect::None),
                "{etag}"
            );
        }
    }

    #[test]
    fn an_edit_that_is_no_object_is_refused() {
        assert_eq!(
            patch_twin(&host(), &id(), &json!([1]), None)
                .unwrap_err()
                .kind(),
            Kind::Invalid
        );
    }
}
