//! Lets the faults of a program happen to the requests of a service.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

use crate::faults::{Fault, Service, When};
use crate::replies::refusal;
use crate::server::HangUp;
use crate::simulator::Simulator;

/// As an extension of a request: answer the all-zero deployment id and start nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ZeroDeploymentId;

/// The routes of a service, with its faults in front.
pub(crate) fn faulty(
    routes: Router<Arc<Simulator>>,
    simulator: &Arc<Simulator>,
    service: Service,
) -> Router<Arc<Simulator>> {
    let state = (Arc::clone(simulator), service);
    routes.route_layer(from_fn_with_state(state, inject))
}

async fn inject(
    State((simulator, service)): State<(Arc<Simulator>, Service)>,
    mut request: Request,
    next: Next,
) -> Response {
    let deploys = request.uri().path().ends_with("/deploy");
    let Some(fault) = simulator.faults.next(service, deploys) else {
        return next.run(request).await;
    };
    if fault.down {
        return hang_up();
    }
    if fault.empty_lists {
        if request.uri().path().ends_with("/devices") {
            return Json(json!([])).into_response();
        }
        return next.run(request).await;
    }
    if fault.zero_deployment_id {
        request.extensions_mut().insert(ZeroDeploymentId);
    }
    if fault.effect == When::After {
        let answer = next.run(request).await;
        delay(&fault).await;
        return failure(&fault).unwrap_or(answer);
    }
    delay(&fault).await;
    match failure(&fault) {
        Some(failure) => failure,
        None => next.run(request).await,
    }
}

async fn delay(fault: &Fault) {
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
}

/// What the client gets in place of the answer, if the fault is about that.
fn failure(fault: &Fault) -> Option<Response> {
    if fault.drop {
        return Some(hang_up());
    }
    let status = StatusCode::from_u16(fault.status?).ok()?;
    Some(refusal(status, "simulated fault"))
}

fn hang_up() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(HangUp);
    response
}
