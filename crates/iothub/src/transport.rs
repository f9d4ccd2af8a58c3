//! Sends requests and sorts what comes back.
//!
//! The client repeats one thing only: a request that was refused with 401, once, with a new token,
//! because that costs milliseconds and cannot do harm. Every longer wait belongs to the caller,
//! who knows what else has happened meanwhile. The time limit covers the operation as a whole,
//! repetition included, so that a caller may reckon with it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use zeroize::Zeroizing;

use crate::clock::HubClock;
use crate::credential::{Credential, TokenCache};
use crate::error::{self, Error, Result};
use crate::host::HostName;
use crate::options::{Options, SetupError, http_client};

/// As much of a refusal as is read. Real ones have a few hundred bytes.
const MAX_REFUSAL: usize = 64 * 1024;

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
        Ok(Self {
            http: http_client(&host, options)?,
            host,
            credential,
            tokens: TokenCache::default(),
            clock: HubClock::default(),
            request_timeout,
            max_body,
        })
    }

    pub(crate) fn host(&self) -> &HostName {
        &self.host
    }

    /// Sends a request, once more with a new token if the hub refuses the first, and gives the
    /// body of a success.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Zeroizing<Vec<u8>>> {
        let begun = Instant::now();
        let result = self.attempt(request.clone(), begun).await;
        let result = match result {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED.as_u16()) => {
                self.attempt(request.clone(), begun).await
            }
            result => result,
        };
        let elapsed_ms = begun.elapsed().as_millis();
        let (method, path) = (request.method(), request.uri().path());
        match &result {
            Ok(_) => tracing::debug!(%method, path, elapsed_ms, "hub answered"),
            Err(error) => tracing::debug!(%method, path, elapsed_ms, %error, "hub call failed"),
        }
        result
    }

    async fn attempt(
        &self,
        mut request: Request<Bytes>,
        begun: Instant,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let now = self.clock.now();
        let token = self
            .tokens
            .get(now, async || {
                Ok::<_, Error>(self.credential.token(&self.host, now))
            })
            .await?;
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        let mut request = reqwest::Request::try_from(request).map_err(Error::transport)?;
        *request.timeout_mut() = Some(self.request_timeout.saturating_sub(begun.elapsed()));

        let mut response = self.http.execute(request).await.map_err(Error::transport)?;
        self.clock.learn(response.headers());
        let status = response.status();
        if status.is_success() {
            return match read_body(&mut response, self.max_body).await {
                Ok(Body::Whole(body)) => Ok(body),
                Ok(Body::Cut(_)) => {
                    Err(Error::malformed("the body is too large").with_status(status))
                }
                Err(error) => Err(Error::transport(error).with_status(status)),
            };
        }
        if status == StatusCode::UNAUTHORIZED {
            self.tokens.discard(&token).await;
        }
        // A refusal counts even if its explanation is cut or breaks off.
        let body = match read_body(&mut response, MAX_REFUSAL).await {
            Ok(Body::Whole(body) | Body::Cut(body)) => body,
            Err(_) => Zeroizing::default(),
        };
        Err(error::read(status, response.headers(), &body))
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
