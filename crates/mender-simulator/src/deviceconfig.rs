//! deviceconfig's internal API: store a configuration, deploy it.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::configurations::changes;
use crate::fleet::DeviceKey;
use crate::injection::ZeroDeploymentId;
use crate::replies::refusal;
use crate::server::Tenant;
use crate::simulator::Simulator;

const API: &str = "/api/internal/v1/deviceconfig";

/// The routes; the tenant is not in their paths any more.
pub(crate) fn router() -> Router<Arc<Simulator>> {
    let device = format!("{API}/configurations/device/{{id}}");
    Router::new()
        .route(&device, patch(set))
        .route(&format!("{device}/deploy"), post(deploy))
        .route(&format!("{API}/health"), get(StatusCode::NO_CONTENT))
}

async fn set(
    State(simulator): State<Arc<Simulator>>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    match changes(&body) {
        Ok(changes) => {
            let key = DeviceKey { tenant, id };
            simulator.configurations().merge(&key, changes);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(reason) => refusal(StatusCode::BAD_REQUEST, reason),
    }
}

async fn deploy(
    State(simulator): State<Arc<Simulator>>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    Path(id): Path<String>,
    zero: Option<Extension<ZeroDeploymentId>>,
    body: Bytes,
) -> Response {
    if let Err((status, reason)) = check(&body) {
        return refusal(status, reason);
    }
    let key = DeviceKey { tenant, id };
    let mut configurations = simulator.configurations();
    let id = if zero.is_some() {
        Uuid::nil()
    } else {
        Uuid::new_v4()
    };
    let started = if id.is_nil() {
        configurations.knows(&key)
    } else {
        configurations.deploy(&key, &id.to_string())
    };
    if !started {
        return refusal(StatusCode::NOT_FOUND, "device does not exist");
    }
    Json(json!({ "deployment_id": id.to_string() })).into_response()
}

/// Reads the order to deploy. All that it may say is how often to retry.
fn check(body: &[u8]) -> Result<(), (StatusCode, &'static str)> {
    let order: Value = serde_json::from_slice(body)
        .map_err(|_| (StatusCode::BAD_REQUEST, "malformed request body"))?;
    let retries = order.get("retries");
    if !order.is_object() || retries.is_some_and(|retries| !retries.is_u64()) {
        return Err((StatusCode::BAD_REQUEST, "malformed request body"));
    }
    if order
        .get("update_control_map")
        .is_some_and(|map| !map.is_null())
    {
        return Err((
            StatusCode::FORBIDDEN,
            "update_control_map needs the Enterprise plan",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn order(body: &str, expected: Option<u16>) {
        let refused = check(body.as_bytes()).err();
        assert_eq!(
            refused.map(|(status, _)| status.as_u16()),
            expected,
            "{body}"
        );
    }

    #[test]
    fn an_order_may_say_how_often_to_retry() {
        order("{}", None);
        order(r#"{"retries":1}"#, None);
    }

    #[test]
    fn other_orders_are_refused() {
        for body in ["", "[]", "{", r#"{"retries":"1"}"#, r#"{"retries":-1}"#] {
            order(body, Some(400));
        }
        order(r#"{"update_control_map":{}}"#, Some(403));
    }
}
