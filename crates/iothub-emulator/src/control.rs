//! The control port: what really happened, and ways to make it happen.
//!
//! It is for tests and demos on the same machine, so it is plain HTTP, asks for no token and is
//! only ever bound to loopback. Everything it answers without being asked for keys is free of
//! secrets, so that its output can go into a bug report.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::auth::{Permission, Policy};
use crate::chunks::Chunks;
use crate::control_behaviour;
use crate::control_blobs;
use crate::control_devices;
use crate::control_entra;
use crate::entra::endpoints;
use crate::faults::FaultProgram;
use crate::hub::Hub;
use crate::registry::Target;
use crate::router::parameter;
use crate::server::{Dropped, accept};

/// Longest body the control port takes, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// An answer of the control port.
pub(crate) type Reply = Response<Chunks>;

/// Accepts connections until the task is dropped.
pub(crate) async fn serve(hub: Arc<Hub>, listener: TcpListener) -> std::convert::Infallible {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(connection(Arc::clone(&hub), stream));
    }
}

async fn connection(hub: Arc<Hub>, stream: TcpStream) {
    let service = service_fn(move |request| answer(Arc::clone(&hub), request));
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        debug!(%error, "control connection ended");
    }
}

async fn answer(hub: Arc<Hub>, request: Request<Incoming>) -> Result<Reply, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too long or broke off",
        ));
    };
    let query = head.uri.query().unwrap_or_default();
    let body = body.to_bytes();
    let names: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
    if endpoints::find(head.method.as_str(), &names).is_some() {
        return control_entra::token(hub, head, body).await;
    }
    if let ["entra", rest @ ..] = names.as_slice() {
        let host = head
            .headers
            .get(header::HOST)
            .and_then(|it| it.to_str().ok());
        let host = host.unwrap_or_default();
        let reply = control_entra::answer(&hub, head.method.as_str(), rest, host, &body);
        return Ok(reply);
    }
    let reply = route(&hub, &head.method, head.uri.path(), query, &body);
    hub.durable().await.map_err(|_| Dropped)?;
    Ok(reply)
}

fn route(hub: &Arc<Hub>, method: &Method, path: &str, query: &str, body: &[u8]) -> Reply {
    let segments: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (method.as_str(), names.as_slice()) {
        ("GET", ["healthz"]) => nothing(),
        ("GET", ["journal"]) => journal(hub, query),
        ("DELETE", ["journal"]) => {
            hub.journal.clear();
            nothing()
        }
        ("GET", ["faults"]) => faults(hub),
        ("PUT", ["faults"]) => put_faults(hub, body),
        ("DELETE", ["faults"]) => {
            *hub.faults() = FaultProgram::default();
            nothing()
        }
        ("PUT", ["policies", name]) => put_policy(hub, name, body),
        ("GET", ["devices"]) => control_devices::list(hub, query),
        ("GET", ["devices", id]) => control_devices::get(hub, id, query),
        ("PUT", ["devices", id]) => control_devices::put(hub, id, query, body),
        ("DELETE", ["devices", id]) => control_devices::delete(hub, id),
        (verb, ["blobs", container, blob]) => {
            control_blobs::answer(hub, verb, container, blob, body)
        }
        (verb, ["devices", device, rest @ ..]) if !rest.is_empty() => {
            match on_living(hub, verb, device, rest, body) {
                Some(reply) => reply,
                None => problem(StatusCode::NOT_FOUND, "no such path on the control port"),
            }
        }
        (_, ["healthz" | "journal" | "faults" | "devices"] | ["devices" | "policies", _]) => {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take that method",
            )
        }
        _ => problem(StatusCode::NOT_FOUND, "no such path on the control port"),
    }
}

/// What devices and modules do by themselves.
fn on_living(
    hub: &Arc<Hub>,
    verb: &str,
    device: &str,
    rest: &[&str],
    body: &[u8],
) -> Option<Reply> {
    let (module, what) = match *rest {
        [what] => (None, what),
        ["modules", module, what] => (Some(module.to_owned()), what),
        _ => return None,
    };
    let device = device.to_owned();
    let target = Target { device, module };
    match (verb, what) {
        (_, "behaviour") => control_behaviour::answer(hub, verb, target, body),
        ("PUT", "reported") => Some(control_behaviour::report(hub, &target, body)),
        ("GET", "connection-string") => Some(control_devices::connection_string(hub, &target)),
        _ => None,
    }
}

fn journal(hub: &Arc<Hub>, query: &str) -> Reply {
    let since = match parameter(query, "since").map(|text| text.parse::<u64>()) {
        None => 0,
        Some(Ok(since)) => since,
        Some(Err(_)) => return problem(StatusCode::BAD_REQUEST, "since must be a sequence number"),
    };
    let (hub, mut since) = (Arc::clone(hub), since);
    // Requests that arrive while this is being read are left to the next reader.
    let until = hub.journal.last_seq();
    let lines = std::iter::from_fn(move || {
        let (last, text) = hub.journal.lines(since, until)?;
        since = last;
        Some(Bytes::from(text))
    });
    reply(StatusCode::OK, "application/x-ndjson", Chunks::of(lines))
}

fn faults(hub: &Hub) -> Reply {
    let shown = serde_json::to_string(&*hub.faults());
    json(
        StatusCode::OK,
        shown.expect("text keys and plain values always serialize"),
    )
}

fn put_faults(hub: &Hub, body: &[u8]) -> Reply {
    match FaultProgram::parse(body) {
        Ok(program) => {
            *hub.faults() = program;
            faults(hub)
        }
        Err(text) => problem(StatusCode::BAD_REQUEST, &text),
    }
}

/// The body of `PUT /policies/{name}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyBody {
    key: String,
    /// The other key that is good at the same time, if any.
    secondary_key: Option<String>,
    permissions: Vec<String>,
}

fn put_policy(hub: &Hub, name: &str, body: &[u8]) -> Reply {
    let parsed = serde_json::from_slice::<PolicyBody>(body).map_err(|error| {
        // The parser's own words could quote a key.
        format!(
            "not a policy (line {} column {}); expected key and permissions",
            error.line(),
            error.column()
        )
    });
    let policy = parsed.and_then(|body| {
        let permissions = body
            .permissions
            .iter()
            .map(|it| Permission::parse(it))
            .collect::<Result<_, _>>()?;
        Policy::new(
            [Some(body.key.as_str()), body.secondary_key.as_deref()]
                .into_iter()
                .flatten(),
            permissions,
        )
    });
    match policy {
        Ok(policy) => {
            hub.policies
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .set(name, policy);
            nothing()
        }
        Err(text) => problem(StatusCode::BAD_REQUEST, &text),
    }
}

/// 204.
pub(crate) fn nothing() -> Reply {
    let mut reply = Response::new(Chunks::whole(String::new()));
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// A JSON body.
pub(crate) fn json(status: StatusCode, body: String) -> Reply {
    reply(status, "application/json", Chunks::whole(body))
}

/// `{"error": text}`.
pub(crate) fn problem(status: StatusCode, text: &str) -> Reply {
    json(status, serde_json::json!({ "error": text }).to_string())
}

/// Any body.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: Chunks) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    reply
}
