//! Whether Mender's services are there, for whoever looks for what is wrong.

use ::mender::{Inventory, SetupError, Useradm, Workflows};
use serde_json::Value;

use super::mender::{MenderPort, options};
use crate::config::{Authorization, Config};

/// How one service is.
pub(crate) struct ServiceHealth {
    pub(crate) name: &'static str,
    /// The key of the configuration that says where it is.
    pub(crate) key: &'static str,
    pub(crate) url: String,
    pub(crate) health: Result<(), String>,
}

/// Asks all services that the configuration makes use of, at once.
pub(crate) async fn services(config: &Config) -> anyhow::Result<Vec<ServiceHealth>> {
    let mender = MenderPort::from_config(&config.mender)?;
    let of = &config.mender;
    let deviceauth = async {
        mender.deviceauth.health().await?;
        // That something is well says not yet that it is deviceauth.
        mender
            .deviceauth
            .devices_page("", 1, 1, None)
            .await
            .map(drop)
    };
    let deviceconfig = mender.deviceconfig.health();
    let (deviceauth, deviceconfig) = tokio::join!(deviceauth, deviceconfig);
    let found = |name, key, url: &str, health: Result<(), ::mender::Error>| ServiceHealth {
        name,
        key,
        url: url.to_owned(),
        health: health.map_err(|error| error.to_string()),
    };
    let mut services = vec![
        found(
            "deviceauth",
            "mender.deviceauth_url",
            &of.deviceauth_url,
            deviceauth,
        ),
        found(
            "deviceconfig",
            "mender.deviceconfig_url",
            &of.deviceconfig_url,
            deviceconfig,
        ),
    ];
    if config.twin.enabled && config.twin.authorization == Authorization::Mender {
        let useradm = Useradm::new(&of.useradm_url, options(of))?;
        let inventory = Inventory::new(&of.inventory_url, options(of))?;
        let (useradm, inventory) = tokio::join!(useradm.health(), inventory.health());
        services.push(found(
            "useradm",
            "mender.useradm_url",
            &of.useradm_url,
            useradm,
        ));
        services.push(found(
            "inventory",
            "mender.inventory_url",
            &of.inventory_url,
            inventory,
        ));
    }
    Ok(services)
}

/// The workflow definitions that the server at `url` uses.
pub(crate) async fn definitions(config: &Config, url: &str) -> anyhow::Result<Vec<Value>> {
    let workflows = Workflows::new(url, options(&config.mender));
    let workflows = workflows.map_err(|error: SetupError| anyhow::anyhow!("{url}: {error}"))?;
    Ok(workflows.definitions().await?)
}
