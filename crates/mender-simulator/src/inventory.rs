//! inventory's internal API, as far as it tells the group of a device.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::fleet::DeviceKey;
use crate::replies::refusal;
use crate::server::Tenant;
use crate::simulator::Simulator;

const API: &str = "/api/internal/v1/inventory";

/// The routes; the tenant is not in their paths any more.
pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route(&format!("{API}/devices/{{id}}/groups"), get(groups))
        .route(&format!("{API}/health"), get(StatusCode::NO_CONTENT))
}

async fn groups(
    State(simulator): State<Arc<Simulator>>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    Path(id): Path<String>,
) -> Response {
    let key = DeviceKey { tenant, id };
    if simulator.fleet().get(&key).is_none() {
        return refusal(StatusCode::NOT_FOUND, "Device not found");
    }
    let groups: Vec<String> = simulator
        .rbac()
        .group_of(&key.id)
        .map(str::to_owned)
        .into_iter()
        .collect();
    Json(json!({ "groups": groups })).into_response()
}
