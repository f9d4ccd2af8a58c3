//! The worker's own HTTP port: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::metrics::{Format, Metrics};
use super::readiness::Readiness;
use crate::config::ConfigError;

/// What the handlers look at.
#[derive(Clone)]
struct Shown {
    health: Health,
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
    health: Health,
    readiness: Readiness,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on `http.listen` {listen}"))?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(Shown {
            health,
            readiness,
            metrics,
        });
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the HTTP port is gone");
        }
    });
    Ok(address)
}

/// Whether the process moves; if not, restart it. What it waits for is told by [`readyz`].
async fn healthz(State(shown): State<Shown>) -> Response {
    let stuck = shown.health.stuck();
    if stuck.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let stuck: Vec<_> = stuck
        .iter()
        .map(|(part, why)| json!({"part": part, "because": why}))
        .collect();
    let body = Json(json!({"healthy": false, "stuck": stuck}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

/// Whether everything is there that the worker needs, and how each of it is.
async fn readyz(State(shown): State<Shown>) -> Response {
    let all = shown.readiness.all();
    let dependencies: Vec<_> = all
        .iter()
        .map(|one| {
            json!({
                "name": one.label, "what": one.words, "ready": one.state.is_ok(),
                "because": one.state.as_ref().err(), "since_s": one.lasts().as_secs(),
            })
        })
        .collect();
    let ready = all.iter().all(|one| one.state.is_ok());
    let body = Json(json!({"ready": ready, "dependencies": dependencies}));
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, body).into_response()
}

async fn metrics_page(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    match shown.metrics.encode(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
