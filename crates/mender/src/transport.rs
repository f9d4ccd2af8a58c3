//! Sends one request and sorts the answer.
//!
//! Proxies of the environment are not used: these calls stay in the cluster's network, and one of
//! them carries a secret. Redirects are not followed: these services send none, so one that
//! arrives comes from something else.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::base_url::BaseUrl;
use crate::error::{Error, Result, Service};
use crate::options::{Options, SetupError};
use crate::watch::Watch;

/// Longest text of a service that is quoted in an error.
const MAX_REASON: usize = 200;
/// How much of the body of a failure is read to find that text.
const MAX_FAILURE_BODY: usize = 16 * 1024;
/// Says which trace a request belongs to.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A connection pool to one service.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: Client,
    base: BaseUrl,
    service: Service,
    watch: Option<Arc<dyn Watch>>,
}

/// One request, before it is sent.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Encoded, beginning with `/`.
    pub(crate) path: String,
    /// Encoded, may be empty.
    pub(crate) query: String,
    /// Beside those that every request has.
    pub(crate) headers: HeaderMap,
    /// JSON. Never printed.
    pub(crate) body: Option<Bytes>,
    /// Whether the service's words about a failure may be quoted; not where they may repeat a
    /// secret of the request.
    pub(crate) quotable: bool,
}

impl Call {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            query: String::new(),
            headers: HeaderMap::new(),
            body: None,
            quotable: true,
        }
    }
}

/// What came back with the status that was expected.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    pub(crate) fn new(
        service: Service,
        base_url: &str,
        options: Options,
    ) -> std::result::Result<Self, SetupError> {
        let base = BaseUrl::parse(base_url)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError::NoTlsProvider);
        }
        let client = Client::builder()
            .user_agent("mender-iothub")
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| SetupError::Http(words(error)))?;
        Ok(Self {
            client,
            base,
            service,
            watch: options.watch,
        })
    }

    /// Sends the call once. `limit` is the most bytes that the answer may have.
    pub(crate) async fn send(
        &self,
        call: Call,
        expected: StatusCode,
        limit: usize,
    ) -> Result<Answer> {
        let begun = Instant::now();
        let span = self.span(&call);
        let sent = self.exchange(call, expected, limit);
        let result = sent.instrument(span.clone()).await;
        let error = result.as_ref().err();
        if let Some(error) = error {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", tracing::field::display(error));
        }
        if let Some(watch) = &self.watch {
            watch.ended(self.service, error, begun.elapsed());
        }
        result
    }

    /// A span by OpenTelemetry's conventions for HTTP clients, without ids and query.
    fn span(&self, call: &Call) -> Span {
        tracing::info_span!(
            "mender request",
            otel.name = format_args!("{} {}", call.method, self.service),
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            peer.service = %self.service,
            http.request.method = %call.method,
            http.response.status_code = Empty,
        )
    }

    async fn exchange(&self, call: Call, expected: StatusCode, limit: usize) -> Result<Answer> {
        let quotable = call.quotable;
        let response = self
            .request(call)
            .send()
            .await
            .map_err(|error| self.unsent(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        Span::current().record("http.response.status_code", status.as_u16());
        if status != expected {
            return Err(self.failure(response, quotable).await);
        }
        let body = self.read(response, limit).await?;
        Ok(Answer { headers, body })
    }

    /// An answer that arrived well but says something impossible.
    pub(crate) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Malformed {
            service: self.service,
            reason: reason.into(),
            effect_unknown: true,
        }
    }

    fn request(&self, call: Call) -> RequestBuilder {
        let url = self.base.join(&call.path, &call.query);
        let mut request = self.client.request(call.method, url).headers(call.headers);
        if let Some(traceparent) = self.watch.as_ref().and_then(|watch| watch.traceparent()) {
            request = request.header(TRACEPARENT, traceparent);
        }
        match call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        }
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unsent(error))? {
            if body.len() + chunk.len() > limit {
                return Err(self.malformed(format!("more than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// A request that ended without an answer.
    fn unsent(&self, error: reqwest::Error) -> Error {
        if error.is_builder() {
            return Error::Refused {
                service: self.service,
                status: None,
                reason: words(error),
            };
        }
        Error::Transient {
            service: self.service,
            effect_unknown: !error.is_connect(),
            reason: if error.is_timeout() {
                "timed out".to_owned()
            } else {
                words(error)
            },
        }
    }

    async fn failure(&self, response: Response, quotable: bool) -> Error {
        let service = self.service;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Error::Throttled {
                service,
                retry_after: retry_after(response.headers()),
            };
        }
        let body = self.read(response, MAX_FAILURE_BODY).await;
        let said = body.ok().and_then(|body| said(&body));
        let reason = match &said {
            Some(said) if quotable => format!("{status}: {said}"),
            _ => status.to_string(),
        };
        if status == StatusCode::NOT_FOUND {
            return not_found(service, said.is_some());
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Error::Transient {
                service,
                reason,
                effect_unknown: status.is_server_error(),
            };
        }
        if status.is_client_error() {
            return Error::Refused {
                service,
                status: Some(status.as_u16()),
                reason,
            };
        }
        Error::Malformed {
            service,
            reason,
            effect_unknown: status.is_success(),
        }
    }
}

/// A 404 counts only in Mender's own words: a gateway without a route says 404 of everything, and
/// "everything is gone" must not be believed.
fn not_found(service: Service, in_menders_words: bool) -> Error {
    if in_menders_words {
        return Error::NotFound { service };
    }
    Error::Malformed {
        service,
        reason: "404 without Mender's error object".to_owned(),
        effect_unknown: false,
    }
}

/// The `error` of Mender's error object, shortened and without control characters.
fn said(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        error: String,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    Some(said.error.chars().take(MAX_REASON).map(clean).collect())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The innermost cause says most; the URL is left out, the caller knows whom it called.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.source() {
        Some(_) => format!("{error}: {innermost}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_shortened_and_cleaned() {
        let body = format!(
            r#"{{"error":"a\nb\u0000{}","request_id":"r"}}"#,
            "x".repeat(500)
        );
        let said = said(body.as_bytes()).expect("an error object");
        assert!(said.starts_with("a b x"), "{said}");
        assert_eq!(said.chars().count(), MAX_REASON);
    }

    #[test]
    fn other_bodies_say_nothing() {
        assert_eq!(said(b"404 page not found"), None);
        assert_eq!(said(br#"{"message":"no"}"#), None);
    }

    #[test]
    fn only_seconds_are_read_from_retry_after() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a header"));
            retry_after(&headers)
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        assert_eq!(with("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(with("-1"), None);
    }
}
