//! From a request to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LENGTH, HeaderValue, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use futures::FutureExt as _;
use tokio::sync::Semaphore;

use crate::body;
use crate::ports::Backend;
use crate::reply::Reply;
use crate::request_id::RequestId;
use crate::route::{self, Endpoint, Found, Offered};
use crate::watch::{Answered, Watch};

/// What callers may use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest body, in bytes.
    pub body: usize,
    /// Requests in work at once; more are refused.
    pub in_flight: usize,
    /// How long a caller waits for a hub.
    pub twin_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            in_flight: 256,
            twin_within: Duration::from_secs(30),
        }
    }
}

/// Both APIs.
#[derive(Debug)]
pub struct Api<B> {
    pub(crate) backend: B,
    pub(crate) limits: Limits,
    watch: Option<Arc<dyn Watch>>,
    places: Semaphore,
    stopping: AtomicBool,
}

/// What is asked, without headers and body.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) parts: Vec<String>,
    pub(crate) query: Option<&'a str>,
    pub(crate) request: &'a RequestId,
}

impl Call<'_> {
    /// One of the variable parts of the path.
    pub(crate) fn part(&self, index: usize) -> &str {
        self.parts.get(index).map_or("", String::as_str)
    }
}

impl<B: Backend> Api<B> {
    /// APIs over `backend`.
    pub fn new(backend: B, limits: Limits) -> Self {
        Self {
            backend,
            limits,
            watch: None,
            places: Semaphore::new(limits.in_flight),
            stopping: AtomicBool::new(false),
        }
    }

    /// The same, with somebody who hears of each answer.
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// From now on the health check says that the service is going away.
    pub fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Answers one request. It may be dropped at any time: the caller has gone.
    pub async fn answer(&self, offered: Offered, request: Request<Body>) -> Response<Body> {
        let begun = Instant::now();
        let id = RequestId::of(request.headers());
        let (parts, body) = request.into_parts();
        let found = route::find(offered, &parts.method, parts.uri.path());
        let (route, method) = (found.route(), route::method(&parts.method));
        let work = AssertUnwindSafe(self.reply(found, parts, body, &id));
        let reply = work.catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(request = id.as_str(), "a request made the service panic");
            Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        });
        let (request, status) = (id.as_str(), reply.status.as_u16());
        match reply.status {
            // Callers come back; what is away is logged where that was found out.
            StatusCode::SERVICE_UNAVAILABLE => tracing::debug!(request, status, "not now"),
            status if status.is_server_error() => {
                tracing::warn!(request, status = status.as_u16(), "failed a request");
            }
            _ => tracing::trace!(request, status, "answered a request"),
        }
        if let Some(watch) = &self.watch {
            watch.answered(&Answered {
                method,
                route,
                status: reply.status,
                took: begun.elapsed(),
            });
        }
        reply.into_response(&id)
    }

    async fn reply(&self, found: Found, parts: Parts, body: Body, id: &RequestId) -> Reply {
        let (endpoint, found) = match found {
            Found::Endpoint(endpoint, found) => (endpoint, found),
            Found::Nothing => return Reply::not_found(),
            Found::Redirect(path) => return redirect(&parts.method, path, parts.uri.query()),
            Found::WrongMethod(methods) => return wrong_method(&methods),
        };
        match endpoint {
            Endpoint::Alive => return Reply::empty(StatusCode::NO_CONTENT),
            Endpoint::Health => return self.health().await,
            _ => {}
        }
        if is_longer(&parts.headers, self.limits.body) {
            let refusal = body::text(body, self.limits.body).await;
            return refusal.err().unwrap_or_else(Reply::not_found);
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Reply::unavailable("too many requests at once");
        };
        let call = Call {
            parts: found,
            query: parts.uri.query(),
            request: id,
        };
        if endpoint.is_internal() {
            self.internal(endpoint, call, body).await
        } else {
            self.management(endpoint, call, &parts.headers, body).await
        }
    }
}

/// Whether the caller announces too long a body: refused whoever it is.
fn is_longer(headers: &HeaderMap, longest: usize) -> bool {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|text| text.to_str().ok());
    let length: Option<usize> = length.and_then(|text| text.parse().ok());
    length.is_some_and(|length| length > longest)
}

/// To a path, so that it holds behind any gateway.
fn redirect(method: &Method, path: String, query: Option<&str>) -> Reply {
    let status = if *method == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    match HeaderValue::from_str(&target) {
        Ok(target) => Reply::empty(status).with(LOCATION, target),
        Err(_) => Reply::not_found(),
    }
}

fn wrong_method(methods: &[&str]) -> Reply {
    let reply = Reply::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    match HeaderValue::from_str(&methods.join(", ")) {
        Ok(methods) => reply.with(ALLOW, methods),
        Err(_) => reply,
    }
}
