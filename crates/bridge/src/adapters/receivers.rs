//! From a tenant's webhook to whoever receives its outcomes.

use anyhow::anyhow;
use lifecycle::Timestamp;
use messages::WebhookMessage;
use uuid::Uuid;
use webhook::{AllowedHosts, Endpoint, Failure, InvalidEndpoint, Message, Options, Sender};

use crate::config::{self, ConfigError};
use crate::webhook::Opened;

/// Makes receivers.
pub(crate) struct Receivers {
    allowed: AllowedHosts,
    options: Options,
}

/// A tenant's receiver.
pub(crate) struct Receiver {
    sender: Sender,
    opened: Opened,
}

impl Receivers {
    pub(crate) fn from_config(config: &config::Webhook) -> Result<Self, ConfigError> {
        let allowed = AllowedHosts::new(&config.allowed_hosts.0)
            .map_err(|error| ConfigError(format!("`webhook.allowed_hosts`: {error}")))?;
        let extra_root_pem = match &config.ca_file {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                ConfigError(format!("`webhook.ca_file` {}: {error}", path.display()))
            })?),
        };
        Ok(Self {
            allowed,
            options: Options {
                timeout: config.request_timeout(),
                extra_root_pem,
            },
        })
    }

    /// The URL, if it may be called.
    pub(crate) fn endpoint(&self, url: &str) -> anyhow::Result<Endpoint> {
        Endpoint::parse(url, &self.allowed).map_err(|error| match error {
            InvalidEndpoint::Plain | InvalidEndpoint::Address => anyhow!(
                "{error}; if it is meant, name it in `webhook.allowed_hosts`, with its port"
            ),
            InvalidEndpoint::Form | InvalidEndpoint::Entry(_) => error.into(),
        })
    }

    /// Judges the URL once more: the configuration may have changed since it was stored.
    pub(crate) fn open(&self, opened: Opened) -> anyhow::Result<Receiver> {
        let endpoint = self.endpoint(&opened.url)?;
        let sender = Sender::new(endpoint, self.options.clone())?;
        Ok(Receiver { sender, opened })
    }
}

impl Receiver {
    /// Makes one attempt. `id` is that of the message, the same in each attempt.
    pub(crate) async fn send(&self, id: Uuid, message: &WebhookMessage) -> Result<(), Failure> {
        let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let message = Message {
            id: id.to_string(),
            body: message.to_body().into(),
        };
        let secrets = self.opened.secrets(now);
        self.sender.send(&message, &secrets).await
    }
}
