//! What really is: the state that a worker's result is compared with.
//!
//! These answers hold connection strings. That is their purpose, and the reason why this binary is
//! for tests and demos only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::configurations::{Configuration, Configurations, Deployment};
use crate::fleet::{Device, DeviceKey};
use crate::publisher::Totals;
use crate::simulator::Simulator;

/// `GET /simulator/truth`
#[derive(Serialize)]
pub(crate) struct Truth {
    devices: Vec<TrueDevice>,
    #[serde(flatten)]
    totals: Totals,
    /// Messages that wait to be released.
    messages_held: usize,
}

#[derive(Serialize)]
struct TrueDevice {
    tenant: String,
    id: String,
    /// Mender's status, or `decommissioned` from when that was asked for.
    status: &'static str,
    revision: u64,
    created_ts: Timestamp,
    delivered: Option<String>,
    deployments: usize,
}

impl TrueDevice {
    fn new(device: &Device, configurations: &Configurations) -> Self {
        Self {
            tenant: device.key.tenant.clone(),
            id: device.key.id.clone(),
            status: if device.decommissioning {
                "decommissioned"
            } else {
                device.status.as_str()
            },
            revision: device.revision,
            created_ts: device.created,
            delivered: configurations.delivered(&device.key).map(str::to_owned),
            deployments: configurations.deployments(&device.key).len(),
        }
    }
}

/// Every device there ever was, and what was published.
pub(crate) async fn truth(State(simulator): State<Arc<Simulator>>) -> Json<Truth> {
    let fleet = simulator.fleet();
    let configurations = simulator.configurations();
    let all = fleet.devices().chain(fleet.gone());
    let devices = all.map(|device| TrueDevice::new(device, &configurations));
    Json(Truth {
        devices: devices.collect(),
        totals: simulator.publisher.totals(),
        messages_held: simulator.held().len(),
    })
}

/// Whose deployments are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    #[serde(default)]
    tenant: String,
    id: String,
}

/// `GET /simulator/deployments`
#[derive(Serialize)]
pub(crate) struct Deployments {
    /// What is stored now; nothing if deviceconfig does not know the device.
    configuration: Option<Configuration>,
    /// The oldest first.
    deployments: Vec<Deployment>,
}

/// Every deployment to one device, also to one that deviceauth does not know.
pub(crate) async fn deployments(
    State(simulator): State<Arc<Simulator>>,
    Query(whose): Query<Whose>,
) -> Json<Deployments> {
    let key = DeviceKey {
        tenant: whose.tenant,
        id: whose.id,
    };
    let configurations = simulator.configurations();
    Json(Deployments {
        configuration: configurations.stored(&key).cloned(),
        deployments: configurations.deployments(&key).to_vec(),
    })
}
