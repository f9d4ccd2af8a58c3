//! The test issuer on the control port: applications, and where everything is.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::chunks::Chunks;
use crate::control::{Reply, json, nothing, problem};
use crate::exchange::{self, Arrived};
use crate::hub::Hub;
use crate::server::Dropped;

/// Leads a request for a token through journal and faults, as the hub's own side does.
pub(crate) async fn token(hub: Arc<Hub>, head: Parts, body: Bytes) -> Result<Reply, Dropped> {
    let (reply, answer) = oneshot::channel();
    let arrived = Arrived {
        head,
        body: Some(body),
        encrypted: false,
    };
    exchange::run(hub, arrived, reply).await;
    let (head, body) = answer.await.map_err(|_| Dropped)?.into_parts();
    let bytes = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let bytes = bytes.unwrap_or_else(|never| match never {});
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Reply::from_parts(head, Chunks::whole(text)))
}

/// Answers a request below `/entra`.
pub(crate) fn answer(hub: &Hub, method: &str, names: &[&str], host: &str, body: &[u8]) -> Reply {
    let entra = &hub.entra;
    match (method, names) {
        ("GET", []) => json(StatusCode::OK, overview(hub, host).to_string()),
        ("PUT", ["apps", id]) => match entra.apps_mut().put(id, body) {
            Ok(()) => nothing(),
            Err(text) => problem(StatusCode::BAD_REQUEST, &text),
        },
        ("DELETE", ["apps", id]) if entra.apps_mut().remove(id) => nothing(),
        ("DELETE", ["apps", _]) => problem(StatusCode::NOT_FOUND, "no such application"),
        ("POST", ["workload-token"]) => workload_token(hub, body),
        _ => problem(StatusCode::NOT_FOUND, "no such path on the control port"),
    }
}

fn overview(hub: &Hub, host: &str) -> serde_json::Value {
    serde_json::json!({
        "authority": hub.authority(),
        "authority_without_tls": format!("http://{host}"),
        "imds": format!("http://{host}/metadata/identity/oauth2/token"),
        "identity_endpoint": format!("http://{host}/msi/token"),
        "identity_header": hub.entra.identity_header,
        "apps": hub.entra.apps().shown(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workload {
    issuer: String,
    subject: String,
    audience: String,
}

/// A token for the federated way, as a cluster would put it into a file.
fn workload_token(hub: &Hub, body: &[u8]) -> Reply {
    let Ok(Workload {
        issuer,
        subject,
        audience,
    }) = serde_json::from_slice(body)
    else {
        let text = "expected issuer, subject and audience";
        return problem(StatusCode::BAD_REQUEST, text);
    };
    let now = hub.clock.tick().unix_seconds();
    let token = hub.entra.workload_token(&issuer, &subject, &audience, now);
    json(
        StatusCode::OK,
        serde_json::json!({ "token": token }).to_string(),
    )
}
