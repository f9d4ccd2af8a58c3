//! What a webhook is sent: an outcome in the form that Standard Webhooks recommends.

use lifecycle::{Outcome, Timestamp};
use serde::Serialize;

use crate::{OutcomeMessage, json};

/// The body of a request to a webhook (`schemas/webhook.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookMessage {
    /// `outcome.` and the outcome, or `webhook.test`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When the event ended, in RFC 3339: the same in each attempt.
    timestamp: String,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Data {
    Outcome(Box<OutcomeMessage>),
    Test { tenant_id: String },
}

impl WebhookMessage {
    /// Tells of an outcome that was stored `at` then.
    #[must_use]
    pub fn outcome(outcome: OutcomeMessage, at: Timestamp) -> Self {
        let kind = match outcome.outcome {
            Outcome::Applied => "outcome.applied",
            Outcome::Unchanged => "outcome.unchanged",
            Outcome::Superseded => "outcome.superseded",
            Outcome::Ignored => "outcome.ignored",
            Outcome::Dead => "outcome.dead",
        };
        Self {
            kind,
            timestamp: rfc3339(at),
            data: Data::Outcome(Box::new(outcome)),
        }
    }

    /// Tells of nothing: an operator tries a tenant's webhook.
    #[must_use]
    pub fn test(tenant: &str, at: Timestamp) -> Self {
        Self {
            kind: "webhook.test",
            timestamp: rfc3339(at),
            data: Data::Test {
                tenant_id: tenant.to_owned(),
            },
        }
    }

    /// Writes it. The same message has the same bytes.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }
}

fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.as_micros());
    at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
