//! Requests about configurations and IoT Edge deployments.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;

use super::draft::Draft;
use crate::configuration::{
    Configuration, ConfigurationContent, ConfigurationId, NewConfiguration, test_input,
};
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::host::HostName;

/// Lists all configurations.
pub fn configurations(host: &HostName) -> Result<Request<Bytes>> {
    Draft::get(host, &["configurations"]).finish()
}

/// Reads a configuration.
pub fn configuration(host: &HostName, id: &ConfigurationId) -> Result<Request<Bytes>> {
    Draft::get(host, &["configurations", id.as_str()]).finish()
}

/// Creates a configuration. Without `If-Match` the hub creates or refuses, and never replaces.
pub fn create_configuration(host: &HostName, new: &NewConfiguration) -> Result<Request<Bytes>> {
    Draft::put(host, &["configurations", new.id.as_str()])
        .json(&new.to_json())
        .finish()
}

/// Replaces a configuration in the version it was read in.
pub fn update_configuration(
    host: &HostName,
    configuration: &Configuration,
) -> Result<Request<Bytes>> {
    let etag = configuration
        .etag()
        .ok_or_else(|| Error::invalid("a configuration without an etag cannot be updated"))?;
    Draft::put(host, &["configurations", configuration.id().as_str()])
        .if_match(Some(etag))?
        .body(configuration.to_body()?)
        .finish()
}

/// Deletes a configuration in the version that is named.
pub fn delete_configuration(
    host: &HostName,
    id: &ConfigurationId,
    etag: &str,
) -> Result<Request<Bytes>> {
    Draft::delete(host, &["configurations", id.as_str()])
        .if_match(Some(etag))?
        .finish()
}

/// Asks whether a condition and queries are valid.
pub fn test_queries(
    host: &HostName,
    condition: &str,
    metrics: &BTreeMap<String, String>,
) -> Result<Request<Bytes>> {
    Draft::post(host, &["configurations", "testQueries"])
        .json(&test_input(condition, metrics))
        .finish()
}

/// Sets the modules of one IoT Edge device.
pub fn apply_content(
    host: &HostName,
    device: &DeviceId,
    content: &ConfigurationContent,
) -> Result<Request<Bytes>> {
    if !content.is_edge() {
        return Err(Error::invalid("only modules can be applied to one device"));
    }
    Draft::post(
        host,
        &["devices", device.as_str(), "applyConfigurationContent"],
    )
    .json(&content.to_json())
    .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::draft::tests::{host, text};

    const JSON: &str = "accept: application/json\ncontent-type: application/json; charset=utf-8\n";

    #[test]
    fn reading_and_deleting() {
        let id = "c%1".parse().unwrap();
        assert_eq!(
            text(configurations(&host())),
            "GET /configurations?api-version=2021-04-12\naccept: application/json\n"
        );
        assert_eq!(
            text(configuration(&host(), &id)),
            "GET /configurations/c%251?api-version=2021-04-12\naccept: application/json\n"
        );
        assert_eq!(
            text(delete_configuration(&host(), &id, "MQ==")),
            "DELETE /configurations/c%251?api-version=2021-04-12\n\
             accept: application/json\nif-match: \"MQ==\"\n"
        );
    }

    #[test]
    fn creating_has_no_precondition_and_changing_has_one() {
        let content = ConfigurationContent::device(json!({"properties.desired.x": 1})).unwrap();
        let new = NewConfiguration::new("c".parse().unwrap(), content);
        let created = text(create_configuration(&host(), &new));
        let head = "PUT /configurations/c?api-version=2021-04-12\n";
        assert!(created.starts_with(&format!("{head}{JSON}{{")), "{created}");
        let read = Configuration::from_json(br#"{"id":"c","etag":"MQ==","content":{}}"#).unwrap();
        let updated = text(update_configuration(&host(), &read));
        assert!(updated.contains("if-match: \"MQ==\"\n"), "{updated}");
    }

    #[test]
    fn testing_and_applying() {
        let metrics = BTreeMap::from([("m".to_owned(), "q".to_owned())]);
        assert_eq!(
            text(test_queries(&host(), "tags.a = 1", &metrics)),
            format!(
                "POST /configurations/testQueries?api-version=2021-04-12\n{JSON}\
                 {{\"customMetricQueries\":{{\"m\":\"q\"}},\"targetCondition\":\"tags.a = 1\"}}"
            )
        );
        let edge = ConfigurationContent::edge(json!({"$edgeAgent": {}})).unwrap();
        let device = "d".parse().unwrap();
        assert_eq!(
            text(apply_content(&host(), &device, &edge)),
            format!(
                "POST /devices/d/applyConfigurationContent?api-version=2021-04-12\n{JSON}\
                 {{\"modulesContent\":{{\"$edgeAgent\":{{}}}}}}"
            )
        );
        let plain = ConfigurationContent::device(json!({"properties.desired.x": 1})).unwrap();
        assert!(apply_content(&host(), &device, &plain).is_err());
    }
}
