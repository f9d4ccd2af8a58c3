//! One request to the twin service, and its reply.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::client::RequestErrorKind;
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use lifecycle::{DeviceId, TenantId};
use messages::twin::TwinDocument;
use messages::{ModuleId, header};

use crate::cli::OneTwin;
use crate::print;
use crate::session::Session;

/// How much longer the command waits than it says, so that the service's own answer arrives.
const SLACK: Duration = Duration::from_secs(5);

/// Whom a request is about, and what it asks.
pub(super) struct Subject<'a> {
    pub(super) verb: &'static str,
    pub(super) tenant: &'a TenantId,
    pub(super) device: Option<&'a DeviceId>,
    pub(super) module: Option<&'a ModuleId>,
}

impl<'a> Subject<'a> {
    /// A device or module.
    pub(super) fn of(verb: &'static str, of: &'a OneTwin) -> Self {
        Self {
            verb,
            tenant: &of.device.of.tenant,
            device: Some(&of.device.device),
            module: of.module.as_ref(),
        }
    }

    /// A tenant's devices.
    pub(super) fn tenant(verb: &'static str, tenant: &'a TenantId) -> Self {
        Self {
            verb,
            tenant,
            device: None,
            module: None,
        }
    }
}

/// The service refused.
#[derive(Debug, thiserror::Error)]
#[error("{text} ({code})")]
pub(super) struct Refused {
    pub(super) code: u16,
    text: String,
}

/// The twin service.
pub(super) struct Service {
    session: Session,
    patience: Duration,
    token: Option<String>,
}

impl Service {
    pub(super) fn new(
        session: Session,
        patience: Duration,
        token_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path);
            text.with_context(|| format!("the token in {}", path.display()))
        };
        let token = token_file.map(read).transpose()?;
        Ok(Self {
            session,
            patience,
            token: token.map(|token| token.trim().to_owned()),
        })
    }

    /// The same, for what takes another time.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends a request and returns the body of the reply. [`Refused`] if the service says so.
    pub(super) async fn ask(&self, about: &Subject<'_>, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let names = &self.session.names;
        let subject = names.twin_subject(about.verb, about.tenant, about.device, about.module);
        let request = Request::new()
            .payload(body.into())
            .headers(self.headers())
            .timeout(Some(self.patience + SLACK));
        let reply = self.session.client.send_request(subject, request).await;
        let reply = reply.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => {
                anyhow!(
                    "nobody answers twin requests: is the worker (`mender-iothub run`) running?"
                )
            }
            _ => anyhow!("the twin service did not answer: {error}"),
        })?;
        let header = |name: &str| reply.headers.as_ref()?.get(name).map(ToString::to_string);
        if let Some(code) = header(header::SERVICE_ERROR_CODE) {
            let text = header(header::SERVICE_ERROR).unwrap_or_default();
            return Err(Refused {
                code: code.parse().unwrap_or_default(),
                text: print::harmless(text),
            }
            .into());
        }
        Ok(reply.payload)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let millis = self.patience.as_millis().to_string();
        headers.insert(header::TIMEOUT_MS, millis.as_str());
        if let Some(token) = &self.token {
            headers.insert("Authorization", format!("Bearer {token}").as_str());
        }
        headers
    }

    /// Asks for a twin, or edits one.
    pub(super) async fn twin(
        &self,
        verb: &'static str,
        of: &OneTwin,
        body: Vec<u8>,
    ) -> anyhow::Result<TwinDocument> {
        let body = self.ask(&Subject::of(verb, of), body).await?;
        TwinDocument::parse(&body).context("the reply of the twin service")
    }
}
