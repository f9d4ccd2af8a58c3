//! useradm's `auth/verify`, which Mender's gateway asks about each request.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use crate::rbac::Verdict;
use crate::replies::refusal;
use crate::simulator::Simulator;

const API: &str = "/api/internal/v1/useradm";
const GROUPS: &str = "X-MEN-RBAC-Inventory-Groups";

/// The routes.
pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route(&format!("{API}/auth/verify"), get(verify).post(verify))
        .route(&format!("{API}/health"), get(StatusCode::NO_CONTENT))
}

async fn verify(State(simulator): State<Arc<Simulator>>, headers: HeaderMap) -> Response {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let (Some(method), Some(uri)) = (text("x-forwarded-method"), text("x-forwarded-uri")) else {
        return refusal(StatusCode::BAD_REQUEST, "nothing is asked about");
    };
    let token = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let claims = token.and_then(|token| simulator.issuer.read(token));
    let Some(claims) = claims.filter(|claims| claims.get("mender.user") == Some(&true.into()))
    else {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized");
    };
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let (tenant, user) = (claim("mender.tenant"), claim("sub"));
    match simulator.rbac().judge(tenant, user, method, uri) {
        Verdict::Allowed => StatusCode::OK.into_response(),
        Verdict::Within(groups) => {
            let groups = groups.into_iter().collect::<Vec<_>>().join(",");
            (StatusCode::OK, [(GROUPS, groups)]).into_response()
        }
        Verdict::NoSuchUser => refusal(StatusCode::UNAUTHORIZED, "unauthorized"),
        Verdict::Forbidden => refusal(StatusCode::FORBIDDEN, "forbidden"),
    }
}
