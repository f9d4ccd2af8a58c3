//! The deviceconfig service: what reaches the device's configuration file.
//!
//! Setting and deploying are two calls. The first merges by key and can be repeated at will; the
//! second starts a deployment each time and so disturbs the device, which is why it is never
//! repeated here.

use std::fmt;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Error, Result, Service};
use crate::options::{Options, SetupError};
use crate::path;
use crate::transport::{Call, Transport};

/// The configuration key that devices look for.
pub const CONNECTION_STRING_KEY: &str = "azureConnectionString";
/// Longest value that deviceconfig takes, in bytes.
pub const MAX_VALUE: usize = 4096;
/// Answers here are a line long.
const MAX_ANSWER: usize = 64 * 1024;
/// How often Mender retries on the device, as its own integration asks.
const DEPLOY: &[u8] = br#"{"retries":1}"#;

/// A started deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeploymentId(Uuid);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The deviceconfig service of one Mender server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Deviceconfig(Transport);

impl Deviceconfig {
    /// A client for the service at `base_url`. Connects to nothing yet.
    pub fn new(base_url: &str, options: Options) -> std::result::Result<Self, SetupError> {
        Transport::new(Service::Deviceconfig, base_url, options).map(Self)
    }

    /// Stores the connection string in the device's configuration, replacing the one there. Other
    /// keys stay. Deploys nothing.
    ///
    /// A device that deviceconfig does not know is added to it. The value appears in no error.
    pub async fn set_connection_string(
        &self,
        tenant: &str,
        device: &str,
        connection_string: &str,
    ) -> Result<()> {
        let call = set_connection_string(tenant, device, connection_string)?;
        let sent = self.0.send(call, StatusCode::NO_CONTENT, MAX_ANSWER).await;
        sent.map(drop)
    }

    /// Starts a deployment of the whole stored configuration, each time it is called.
    ///
    /// [`Error::NotStarted`] if the device vanished in between, [`Error::NotFound`] if
    /// deviceconfig never knew it.
    pub async fn deploy(&self, tenant: &str, device: &str) -> Result<DeploymentId> {
        let answer = self
            .0
            .send(deploy(tenant, device)?, StatusCode::OK, MAX_ANSWER)
            .await?;
        let id = deployment_id(&answer.body).map_err(|reason| self.0.malformed(reason))?;
        if id.is_nil() {
            return Err(Error::NotStarted);
        }
        Ok(DeploymentId(id))
    }

    /// Whether the service and its storage work.
    pub async fn health(&self) -> Result<()> {
        let call = Call::get(format!("{}/health", Service::Deviceconfig.api()));
        let sent = self.0.send(call, StatusCode::NO_CONTENT, MAX_ANSWER).await;
        sent.map(drop)
    }
}

fn set_connection_string(tenant: &str, device: &str, value: &str) -> Result<Call> {
    #[derive(Serialize)]
    struct Configuration<'a> {
        #[serde(rename = "azureConnectionString")]
        connection_string: &'a str,
    }
    if value.len() > MAX_VALUE {
        return Err(refused("the connection string is too long"));
    }
    let path = path_of(tenant, device, "")?;
    // Big enough from the start even if every byte is escaped: growing would leave a copy of the
    // secret behind in freed memory.
    let mut body = Zeroizing::new(Vec::with_capacity(64 + 6 * value.len()));
    let configuration = Configuration {
        connection_string: value,
    };
    serde_json::to_writer(&mut *body, &configuration)
        .map_err(|_| refused("the connection string cannot be written"))?;
    Ok(Call {
        method: Method::PATCH,
        body: Some(Bytes::from_owner(body)),
        quotable: false,
        ..Call::get(path)
    })
}

fn deploy(tenant: &str, device: &str) -> Result<Call> {
    Ok(Call {
        method: Method::POST,
        body: Some(Bytes::from_static(DEPLOY)),
        ..Call::get(path_of(tenant, device, "/deploy")?)
    })
}

fn path_of(tenant: &str, device: &str, end: &str) -> Result<String> {
    path::of_device(
        Service::Deviceconfig,
        tenant,
        "/configurations/device",
        device,
        end,
    )
}

fn deployment_id(body: &[u8]) -> std::result::Result<Uuid, &'static str> {
    #[derive(Deserialize)]
    struct Started<'a> {
        #[serde(borrow)]
        deployment_id: std::borrow::Cow<'a, str>,
    }
    let started: Started<'_> =
        serde_json::from_slice(body).map_err(|_| "no deployment id in it")?;
    Uuid::try_parse(&started.deployment_id).map_err(|_| "the deployment id is no UUID")
}

fn refused(reason: &str) -> Error {
    Error::Refused {
        service: Service::Deviceconfig,
        status: None,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_sends_one_key_to_the_path_of_the_device() {
        let value = "HostName=h;DeviceId=d;SharedAccessKey=a+/=";
        let call = set_connection_string("", "d", value).expect("a call");
        assert_eq!(call.method, Method::PATCH);
        assert_eq!(
            call.path,
            "/api/internal/v1/deviceconfig/tenants//configurations/device/d"
        );
        assert_eq!(
            call.body.as_deref(),
            Some(format!(r#"{{"{CONNECTION_STRING_KEY}":"{value}"}}"#).as_bytes()),
        );
        assert!(!call.quotable);
    }

    #[test]
    fn deploying_asks_for_one_retry() {
        let call = deploy("t", "d").expect("a call");
        assert_eq!(call.method, Method::POST);
        assert_eq!(
            call.path,
            "/api/internal/v1/deviceconfig/tenants/t/configurations/device/d/deploy"
        );
        assert_eq!(call.body.as_deref(), Some(br#"{"retries":1}"#.as_slice()));
    }

    #[test]
    fn a_value_that_mender_would_refuse_is_not_sent() {
        let value = "x".repeat(MAX_VALUE + 1);
        let Err(error) = set_connection_string("", "d", &value) else {
            panic!("it was accepted");
        };
        assert!(!error.effect_unknown());
        assert!(!error.to_string().contains("xx"));
    }

    #[test]
    fn only_a_uuid_is_a_deployment_id() {
        assert!(deployment_id(br#"{"deployment_id":"1"}"#).is_err());
        assert!(deployment_id(b"<html>").is_err());
        assert!(
            deployment_id(br#"{"deployment_id":"7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11"}"#).is_ok()
        );
    }
}
