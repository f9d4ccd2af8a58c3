//! iot-manager's HTTP APIs.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::integration::Tier;

/// Where iot-manager listens.
const PORT: &str = "0.0.0.0:8080";

/// The HTTP APIs of Mender's iot-manager, which this can take the place of: see `replace-iot-manager.md`.
/// Each is off unless it has an address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct IotManager {
    /// Address of the internal API, for Mender's services. It asks nobody who they are: keep it inside.
    #[schemars(example = &"0.0.0.0:8080")]
    pub(crate) internal_listen: Option<String>,
    /// Address of the management API, for Mender's gateway. May be the same.
    #[schemars(example = &"0.0.0.0:8080")]
    pub(crate) management_listen: Option<String>,
    /// Who verifies the tokens of users.
    pub(crate) management_trust: Trust,
    /// Pricing tier of hubs that are set through Mender, which does not ask for it.
    pub(crate) tier: Tier,
    /// Units of such hubs.
    pub(crate) units: u32,
    /// Refuse hubs whose name is not in the DNS, as iot-manager does.
    pub(crate) lookup_hosts: bool,
    /// The longest body of a request, in bytes. A longer one is answered with 413.
    pub(crate) request_size_limit: usize,
    /// Requests in work at once. More are answered with 503.
    pub(crate) in_flight: usize,
}

/// Who verifies the tokens of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trust {
    /// Nobody, so the management API must not be reachable from elsewhere.
    None,
    /// Mender's gateway; nobody else may reach the address.
    Gateway,
    /// The worker, as `twin.authorization` says.
    Verify,
}

impl Default for IotManager {
    fn default() -> Self {
        Self {
            internal_listen: None,
            management_listen: None,
            management_trust: Trust::None,
            tier: Tier::S1,
            units: 1,
            lookup_hosts: true,
            request_size_limit: 1024 * 1024,
            in_flight: 256,
        }
    }
}

impl IotManager {
    /// Whether there is anything to serve.
    pub(crate) fn is_on(&self) -> bool {
        self.internal_listen.is_some() || self.management_listen.is_some()
    }

    /// As iot-manager's `server`: both APIs on its port, unless it was said where.
    pub(crate) fn as_server(&mut self) -> Result<(), ConfigError> {
        if !self.is_on() {
            self.internal_listen = Some(PORT.to_owned());
            self.management_listen = Some(PORT.to_owned());
        }
        self.check().map_err(ConfigError)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.request_size_limit == 0 || self.in_flight == 0 || self.units == 0 {
            return Err(
                "`iot_manager.request_size_limit`, `in_flight` and `units` must be more than 0"
                    .to_owned(),
            );
        }
        match (&self.management_listen, self.management_trust) {
            (Some(address), Trust::None) if !is_loopback(address) => Err(
                "`iot_manager.management_listen` can be reached from elsewhere, but nobody is said \
                 to verify the tokens of users: set `iot_manager.management_trust` to \"gateway\" if \
                 only Mender's gateway can reach it, or to \"verify\""
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

/// Whether only programs on this machine can connect.
fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => address
            .split_once(':')
            .is_some_and(|(host, _)| host == "localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_management_address_needs_a_declared_trust() {
        let config = |address: &str, management_trust| IotManager {
            management_listen: Some(address.to_owned()),
            management_trust,
            ..IotManager::default()
        };
        for address in [
            "0.0.0.0:8080",
            "[::]:8080",
            "10.0.0.1:8080",
            "host:8080",
            ":8080",
        ] {
            assert!(config(address, Trust::None).check().is_err(), "{address}");
            assert!(config(address, Trust::Gateway).check().is_ok());
            assert!(config(address, Trust::Verify).check().is_ok());
        }
        for address in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080"] {
            assert!(config(address, Trust::None).check().is_ok(), "{address}");
        }
    }
}
