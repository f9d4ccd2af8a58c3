//! The accept loop.
//!
//! axum's own server cannot do the two things that matter here: match a path with an empty
//! segment (the tenant of the open-source server), and close a connection in place of an answer.
//! So the tenant is taken out of the path before the router sees it, and an answer that carries
//! [`HangUp`] ends the connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

/// What stands between a service's name and its tenant.
const TENANTS: &str = "/tenants/";

/// The tenant that stood in the path of a request, as an extension of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant(pub(crate) String);

/// As an extension of an answer: send nothing, close the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("hung up on purpose")]
    OnPurpose,
    #[error("the handler panicked")]
    Panicked,
}

/// Serves until it is dropped; connections go on then until they end.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let router = Arc::new(router);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&router)));
            }
            Err(error) => {
                warn!("failed to accept a connection: {error}");
                // Out of files, most likely: they come back when connections end.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Arc<Router>) {
    let service = service_fn(move |request| answer(Router::clone(&router), request));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!("connection ended: {error}");
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> Result<Response<Body>, NoAnswer> {
    let request = without_tenant(request.map(Body::new));
    // A task of its own: a server goes on with its work when the client hangs up.
    let answered = tokio::spawn(async move {
        let answered: Result<_, Infallible> = TowerToHyperService::new(router).call(request).await;
        answered
    });
    let Ok(Ok(answer)) = answered.await else {
        return Err(NoAnswer::Panicked);
    };
    if answer.extensions().get::<HangUp>().is_some() {
        return Err(NoAnswer::OnPurpose);
    }
    Ok(answer)
}

/// `…/tenants/T/devices` becomes `…/devices` with T as an extension.
fn without_tenant(mut request: Request<Body>) -> Request<Body> {
    let Some((tenant, path)) = request.uri().path_and_query().and_then(split) else {
        return request;
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(tenant);
    }
    request
}

fn split(path: &PathAndQuery) -> Option<(Tenant, PathAndQuery)> {
    let (service, rest) = path.path().split_once(TENANTS)?;
    let (tenant, rest) = rest.split_once('/')?;
    let tenant = percent_decode_str(tenant).decode_utf8().ok()?.into_owned();
    let query = path.query().map(|query| format!("?{query}"));
    let path = format!("{service}/{rest}{}", query.unwrap_or_default());
    Some((Tenant(tenant), path.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        let found = split(&path.parse().expect("a path"));
        let found = found
            .as_ref()
            .map(|(tenant, path)| (tenant.0.as_str(), path.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_empty_tenant_is_taken_out_of_the_path() {
        check(
            "/x/v1/auth/tenants//devices?id=a",
            Some(("", "/x/v1/auth/devices?id=a")),
        );
    }

    #[test]
    fn a_tenant_is_decoded_and_the_rest_is_left_alone() {
        check(
            "/x/tenants/a%2Fb/devices/c%2Fd/status",
            Some(("a/b", "/x/devices/c%2Fd/status")),
        );
    }

    #[test]
    fn other_paths_stay() {
        check("/simulator/truth", None);
        check("/x/tenants/a", None);
    }
}
