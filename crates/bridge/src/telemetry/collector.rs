//! Sends spans over the HTTP client that everything else here uses, so that there is one way to do TLS.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION};
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use crate::config::{self, ConfigError, secret};

/// Limit of one request. What is not sent by then is dropped.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As much of an answer as is read.
const MAX_ANSWER: usize = 64 * 1024;

/// The way to the collector.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    client: reqwest::Client,
    /// The exporter sends from a thread of its own, where there is no runtime.
    runtime: Handle,
    traces: String,
    authorization: Option<HeaderValue>,
}

impl Collector {
    /// `None` if there is none. To be called inside of the runtime.
    pub(super) fn from_config(config: &config::Telemetry) -> Result<Option<Self>, ConfigError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(None);
        };
        let authorization = secret(
            "telemetry.otlp_authorization",
            config.otlp_authorization.as_ref(),
            config.otlp_authorization_file.as_ref(),
        )?;
        let authorization = authorization.map(|value| {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                ConfigError("`telemetry.otlp_authorization`: not the value of a header".to_owned())
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        let client = reqwest::Client::builder()
            .user_agent("mender-iothub")
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| ConfigError(format!("`telemetry.otlp_endpoint`: {error}")))?;
        Ok(Some(Self {
            client,
            runtime: Handle::current(),
            traces: traces(endpoint)?,
            authorization: authorization.transpose()?,
        }))
    }

    /// Where spans are sent to.
    pub(super) fn traces(&self) -> String {
        self.traces.clone()
    }

    async fn send(self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if let Some(authorization) = self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let request = reqwest::Request::try_from(request)?;
        let mut answer = self.client.execute(request).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err("the collector's answer is too long".into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.into());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(self.clone().send(request));
        let result = sent.await?;
        match &result {
            Ok(answer) if !answer.status().is_success() => {
                let status = answer.status().as_u16();
                tracing::warn!(status, "the collector refuses spans; they are dropped");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the collector takes no spans; they are dropped"),
        }
        result
    }
}

/// The address of the collector's traces; `endpoint` is its address for everything.
fn traces(endpoint: &str) -> Result<String, ConfigError> {
    let wrong = |why: &str| ConfigError(format!("`telemetry.otlp_endpoint`: {why}"));
    let uri: Uri = endpoint.parse().map_err(|_| wrong("not a URL"))?;
    let authority = uri
        .authority()
        .ok_or_else(|| wrong("not a URL with a host"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("begins with neither http:// nor https://"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong(
            "holds a password; use `telemetry.otlp_authorization_file`",
        ));
    }
    if uri.query().is_some() {
        return Err(wrong("holds a query"));
    }
    Ok(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_without_secrets() {
        assert_eq!(traces("http://c:4318").unwrap(), "http://c:4318/v1/traces");
        let below = traces("https://c/otlp/").unwrap();
        assert_eq!(below, "https://c/otlp/v1/traces");
        for bad in [
            "",
            "c:4318",
            "/x",
            "grpc://c:4317",
            "http://u:secret@c",
            "http://c?key=secret",
        ] {
            let error = traces(bad).unwrap_err().to_string();
            assert!(error.contains("telemetry.otlp_endpoint"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
