//! A small JSON client for the HTTP ports of the processes under test.
//!
//! Every answer but a 2xx is an error that carries the body, since that is what says why.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

/// No answer of a process on this machine may take longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One base address, and requests to it.
#[derive(Clone)]
pub struct Control {
    base: String,
    client: Client,
}

impl Control {
    /// A client for `http://<address>`.
    pub fn new(address: &str) -> Result<Self> {
        // Refused when another client of this process came first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self {
            base: format!("http://{address}"),
            client,
        })
    }

    /// The base address, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET path`: whatever the answer is, its status and text.
    pub async fn ask(&self, path: &str) -> Result<(StatusCode, String)> {
        let request = self.client.get(format!("{}{path}", self.base));
        let response = request
            .send()
            .await
            .with_context(|| format!("GET {path}"))?;
        Ok((response.status(), response.text().await?))
    }

    /// `GET path`, as text.
    pub async fn text(&self, path: &str) -> Result<String> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// `GET path`, as JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        parse(path, &self.text(path).await?)
    }

    /// `POST path` with a JSON body; the answer is JSON, or `null` when it is empty.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        parse(path, &self.send(Method::POST, path, Some(body)).await?)
    }

    /// `PUT path` with a JSON body; the answer is JSON, or `null` when it is empty.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        parse(path, &self.send(Method::PUT, path, Some(body)).await?)
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, None::<&()>).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<String> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .with_context(|| format!("{method} {path}"))?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {text}");
        }
        Ok(text)
    }
}

fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    let text = if text.is_empty() { "null" } else { text };
    serde_json::from_str(text).with_context(|| format!("{path} answered {text}"))
}
