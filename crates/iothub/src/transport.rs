//! Sends requests and sorts what comes back.
//!
//! The client repeats one thing only: a request that was refused with 401, once, with a new token,
//! because that costs milliseconds and cannot do harm. Every longer wait belongs to the caller,
//! who knows what else has happened meanwhile. The time limit covers the operation as a whole,
//! repetition included, so that a caller may reckon with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Request, StatusCode};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use zeroize::Zeroizing;

use crate::clock::HubClock;
use crate::credential::Credential;
use crate::error::{self, Error, Result};
use crate::host::HostName;
use crate::options::{Options, SetupError, http_client};
use crate::token::TokenCache;
use crate::watch::{Ended, Watch, operation};

/// As much of a refusal as is read. Real ones have a few hundred bytes.
const MAX_REFUSAL: usize = 64 * 1024;
/// Says which trace a request belongs to.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The way to one hub: connections, token and clock.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    host: HostName,
    credential: Credential,
    tokens: TokenCache,
    clock: HubClock,
    request_timeout: Duration,
    max_body: usize,
    watch: Option<Arc<dyn Watch>>,
}

impl Transport {
    pub(crate) fn new(
        host: HostName,
        credential: Credential,
        options: Options,
    ) -> Result<Self, SetupError> {
        let Options {
            request_timeout,
            max_body,
            ..
        } = options;
        let watch = options.watch.clone();
        Ok(Self {
            http: http_client(&host, options)?,
            host,
            credential,
            tokens: TokenCache::default(),
            clock: HubClock::default(),
            request_timeout,
            max_body,
            watch,
        })
    }

    pub(crate) fn clock_offset(&self) -> i64 {
        self.clock.offset()
    }

    pub(crate) fn host(&self) -> &HostName {
        &self.host
    }

    /// Sends a request, once more with a new token if the hub refuses the first.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Answer> {
        self.send_as(request, Manner::default()).await
    }

    /// The same, for requests that are not like most.
    pub(crate) async fn send_as(&self, request: Request<Bytes>, manner: Manner) -> Result<Answer> {
        let operation = operation(&request);
        let span = self.span(operation, &request);
        let begun = Instant::now();
        let result = self.attempts(request, manner, begun);
        let result = result.instrument(span.clone()).await;
        let (error, took) = (result.as_ref().err(), begun.elapsed());
        record(&span, &result);
        if let Some(watch) = &self.watch {
            watch.ended(&Ended {
                operation,
                error,
                took,
            });
        }
        let elapsed_ms = took.as_millis();
        match error {
            None => tracing::debug!(operation, elapsed_ms, "hub answered"),
            Some(error) => tracing::debug!(operation, elapsed_ms, %error, "hub call failed"),
        }
        result
    }

    async fn attempts(
        &self,
        mut request: Request<Bytes>,
        manner: Manner,
        begun: Instant,
    ) -> Result<Answer> {
        let limit = self.request_timeout.max(manner.at_least);
        let traceparent = self.watch.as_ref().and_then(|watch| watch.traceparent());
        request
            .headers_mut()
            .extend(traceparent.map(|value| (TRACEPARENT, value)));
        let mut result = self.attempt(&request, manner, begun, limit).await;
        if let Err(Failure::TokenRefused(_)) = result {
            result = self.attempt(&request, manner, begun, limit).await;
        }
        result.map_err(Failure::into_error)
    }

    /// A span by OpenTelemetry's conventions for HTTP clients, without ids and query.
    fn span(&self, operation: &'static str, request: &Request<Bytes>) -> Span {
        tracing::info_span!(
            "hub request",
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            http.request.method = %request.method(),
            http.response.status_code = Empty,
            server.address = %self.host,
        )
    }

    async fn attempt(
        &self,
        request: &Request<Bytes>,
        manner: Manner,
        begun: Instant,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let remaining = || limit.saturating_sub(begun.elapsed());
        let token = self.token(remaining()).await?;
        let mut request = request.clone();
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        let mut request = reqwest::Request::try_from(request).map_err(Error::transport)?;
        *request.timeout_mut() = Some(remaining());

        let mut response = self.http.execute(request).await.map_err(Error::transport)?;
        self.clock.learn(response.headers());
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if status.is_success() || manner.takes_400 && status == StatusCode::BAD_REQUEST {
            return match read_body(&mut response, self.max_body).await {
                Ok(Body::Whole(body)) => Ok(Answer {
                    status,
                    headers,
                    body,
                }),
                Ok(Body::Cut(_)) => {
                    Err(Error::malformed("the body is too large").with_status(status))?
                }
                Err(error) => Err(Error::transport(error).with_status(status))?,
            };
        }
        // A refusal counts even if its explanation is cut or breaks off.
        let body = read_limited(&mut response, MAX_REFUSAL).await;
        let body = body.unwrap_or_default();
        let error = error::read(status, &headers, &body);
        if status == StatusCode::UNAUTHORIZED {
            self.tokens.discard(&token);
            return Err(Failure::TokenRefused(error));
        }
        Err(Failure::Other(error))
    }

    /// The token in use, or a new one within the time that is left.
    async fn token(&self, remaining: Duration) -> Result<HeaderValue> {
        let now = self.clock.now();
        let fetch = async || self.credential.token(&self.host, now).await;
        tokio::time::timeout(remaining, self.tokens.get(now, fetch))
            .await
            .unwrap_or_else(|_| Err(Error::unsent("no token in time")))
    }
}

/// A success, and for some calls a 400 that is a result.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// A header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error that this answer is, if it is one.
    pub(crate) fn refusal(&self) -> Error {
        error::read(self.status, &self.headers, &self.body)
    }
}

/// How to send a request that is not like most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// The least time to wait, whatever the options say.
    pub(crate) at_least: Duration,
    /// Whether a 400 may be a result.
    pub(crate) takes_400: bool,
}

/// Says in the span how it ended.
fn record(span: &Span, result: &Result<Answer>) {
    let status = match result {
        Ok(answer) => Some(answer.status.as_u16()),
        Err(error) => error.status(),
    };
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if let Err(error) = result {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", tracing::field::display(error));
    }
}

/// A failed attempt.
enum Failure {
    /// The hub refused the token, which another one may mend.
    TokenRefused(Error),
    Other(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::TokenRefused(error) | Self::Other(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// A body of at most `limit` bytes; what is longer is cut.
pub(crate) async fn read_limited(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, reqwest::Error> {
    match read_body(response, limit).await? {
        Body::Whole(body) | Body::Cut(body) => Ok(body),
    }
}

enum Body {
    Whole(Zeroizing<Vec<u8>>),
    /// Longer than the limit, and cut before it.
    Cut(Zeroizing<Vec<u8>>),
}

async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Body, reqwest::Error> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    // Reserved at once, so that a body with keys is not left behind by a growing buffer.
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or_default().min(limit)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(Body::Cut(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body))
}
