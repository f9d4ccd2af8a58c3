//! The worker's own HTTP port: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::readiness::Readiness;
use crate::config::ConfigError;

/// What the handlers look at.
#[derive(Clone)]
struct Shown {
    readiness: Readiness,
    metrics: Metrics,
}

/// Whether the address has the form of one.
pub(crate) fn check(listen: &str) -> Result<(), ConfigError> {
    let port = listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        _ => Err(ConfigError(format!(
            "`http.listen` {listen:?} is not HOST:PORT"
        ))),
    }
}

/// Listens, and says where.
pub(crate) async fn serve(
    listen: &str,
    readiness: Readiness,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on `http.listen` {listen}"))?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/healthz", get(StatusCode::NO_CONTENT))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(Shown { readiness, metrics });
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the HTTP port is gone");
        }
    });
    Ok(address)
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let missing = shown.readiness.missing();
    if missing.is_empty() {
        return Json(json!({"ready": true})).into_response();
    }
    let waiting: Vec<_> = missing
        .iter()
        .map(|(need, why)| json!({"for": need, "because": why}))
        .collect();
    let body = Json(json!({"ready": false, "waiting": waiting}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn metrics_page(State(shown): State<Shown>) -> Response {
    match shown.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
