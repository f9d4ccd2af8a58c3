//! The control API: what a test or a demo tells the simulated server to do.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use uuid::Uuid;

use crate::control_errors::ControlError;
use crate::delivery::{self, Delivery, Report, deliver};
use crate::faults::Program;
use crate::fleet::{Device, DeviceKey, NewDevice};
use crate::orders::{self, Additions, Decommission, DeviceOrder, Raw, Release, Statuses};
use crate::simulator::Simulator;
use crate::tokens;
use crate::truth;
use crate::workflows;

/// A call may be about a whole fleet.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Answer<T> = Result<Json<T>, ControlError>;

/// The routes.
pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/simulator/devices", post(add))
        .route("/simulator/devices/status", post(change))
        .route("/simulator/devices/decommission", post(decommission))
        .route("/simulator/release", post(release))
        .route("/simulator/raw", post(raw))
        .route("/simulator/faults", put(faults))
        .route("/simulator/rbac", put(rbac))
        .route("/simulator/tokens", post(tokens::issue))
        .route("/simulator/keys", get(tokens::keys))
        .route("/simulator/truth", get(truth::truth))
        .route("/simulator/deployments", get(truth::deployments))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

#[derive(Serialize)]
struct Added {
    ids: Vec<String>,
    #[serde(flatten)]
    report: Report,
}

async fn add(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<Added> {
    let (order, delivery): (Additions, Delivery) = orders::read_with_delivery(&body)?;
    let added = make(&simulator, &order.tenant, order.orders()?)?;
    let request_id = request_id();
    let messages = if order.publish {
        let told = |device| workflows::status(simulator.version, device, &request_id);
        added.iter().map(told).collect()
    } else {
        Vec::new()
    };
    let report = deliver(&simulator, messages, delivery).await?;
    let ids = added.into_iter().map(|device| device.key.id).collect();
    Ok(Json(Added { ids, report }))
}

/// Makes all devices, or none if one is there already.
fn make(
    simulator: &Simulator,
    tenant: &str,
    orders: Vec<DeviceOrder>,
) -> Result<Vec<Device>, ControlError> {
    let now = now();
    let news: Vec<NewDevice> = orders
        .into_iter()
        .map(|order| NewDevice {
            key: DeviceKey {
                tenant: tenant.to_owned(),
                id: order.id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            },
            status: order.status,
            created: order.created_ts,
            auth_set: Uuid::new_v4().to_string(),
        })
        .collect();
    let added = simulator.fleet().add_all(news, now)?;
    let mut configurations = simulator.configurations();
    for device in &added {
        configurations.forget(&device.key);
    }
    Ok(added)
}

async fn change(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<Report> {
    let (order, delivery): (Statuses, Delivery) = orders::read_with_delivery(&body)?;
    let changes = order.changes()?;
    let changes = simulator.fleet().change_all(&changes, now())?;
    let request_id = request_id();
    let mut messages = Vec::new();
    for change in &changes {
        if change.provisions {
            simulator.configurations().add(&change.device.key);
        }
        messages.extend(workflows::changed(simulator.version, change, &request_id));
    }
    deliver(&simulator, messages, delivery).await.map(Json)
}

async fn decommission(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<Report> {
    let (order, delivery): (Decommission, Delivery) = orders::read_with_delivery(&body)?;
    let devices = simulator.fleet().decommission_all(&order.keys(), now())?;
    let request_id = request_id();
    let told = |device| workflows::decommissioned(device, &request_id);
    let messages = devices.iter().map(told).collect();
    deliver(&simulator, messages, delivery).await.map(Json)
}

async fn release(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<Report> {
    let order: Release = orders::read(&body)?;
    let released = delivery::release(&simulator, order.shuffle_seed).await;
    released.map(Json)
}

async fn raw(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<Report> {
    let (order, delivery): (Raw, Delivery) = orders::read_with_delivery(&body)?;
    let message = workflows::raw(&order.subject, order.bytes()?, order.events);
    deliver(&simulator, vec![message], delivery).await.map(Json)
}

async fn faults(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<()> {
    let program: Program = orders::read(&body)?;
    let checked = program.check();
    checked.map_err(|reason| ControlError::Body(reason.to_owned()))?;
    simulator.faults.play(program);
    Ok(Json(()))
}

async fn rbac(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Answer<()> {
    *simulator.rbac() = orders::read(&body)?;
    Ok(Json(()))
}

/// One for each call, as Mender has one for each call of its API.
fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// Mender's database keeps milliseconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
