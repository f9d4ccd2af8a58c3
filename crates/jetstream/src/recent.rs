//! The newest outcomes of a tenant, and the end of them all.
//!
//! A stream is read forwards only. So reading begins a little before the end of the stream, or
//! further back until enough of the tenant's outcomes lie behind: how many there are the server
//! says of each consumer, before a single message is sent.

use std::collections::VecDeque;

use async_nats::{
    HeaderMap,
    jetstream::{
        Message,
        consumer::{DeliverPolicy, pull},
    },
};
use futures::StreamExt as _;
use lifecycle::{TenantId, Timestamp};
use messages::OutcomeMessage;

use crate::{
    Error, NatsStreams, Outcomes, Result,
    devices::timestamp,
    headers::{FORGOTTEN, append, is_end_of_tenant},
    outcomes::SILENCE,
    publish::publish,
};

/// How far back reading begins, in messages of the stream for each outcome that is wanted.
const BACK: u64 = 4;
/// How much further it begins if that was not enough.
const FURTHER: u64 = 8;

/// An outcome and when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// By the server's clock.
    pub at: Timestamp,
    /// The outcome.
    pub outcome: OutcomeMessage,
}

impl Outcomes {
    /// The tenant's newest outcomes since it was last forgotten, newest first, at most so many.
    pub async fn newest(&self, tenant: &TenantId, most: usize) -> Result<Vec<Reported>> {
        let filter = self.names.outcome_filter(Some(tenant.as_str()), None);
        let mut stream = self.stream.clone();
        let info = stream.info().await;
        let state = &info.map_err(|error| away(&error))?.state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        let most = most.max(1);
        let mut back = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(BACK);
        loop {
            let start = last.saturating_sub(back).max(first).max(1);
            let consumer = self.stream.create_consumer(pull::OrderedConfig {
                filter_subject: filter.clone(),
                deliver_policy: DeliverPolicy::ByStartSequence {
                    start_sequence: start,
                },
                ..pull::OrderedConfig::default()
            });
            let consumer = consumer.await.map_err(|error| away(&error))?;
            let waiting = consumer.cached_info().num_pending;
            let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
            if waiting < most && start > first.max(1) {
                back = back.saturating_mul(FURTHER);
                continue;
            }
            if waiting == 0 {
                return Ok(Vec::new());
            }
            let messages = consumer.messages().await.map_err(|error| away(&error))?;
            return gather(messages, waiting, tenant, most).await;
        }
    }
}

impl NatsStreams {
    /// Hides the tenant's outcomes so far from [`Outcomes::newest`]. They end with the stream's age.
    pub async fn forget_outcomes(&self, tenant: &TenantId) -> Result<()> {
        let subject = self.names.outcome_subject(Some(tenant.as_str()), None);
        let mut headers = HeaderMap::new();
        append(&mut headers, FORGOTTEN, "1");
        publish(&self.context, subject, headers, "{}".into()).await?;
        Ok(())
    }

    /// Whether events can be published now.
    pub async fn check_events(&self) -> Result<()> {
        crate::open::stream(&self.context, &self.names.events_stream()).await?;
        Ok(())
    }
}

/// The last of the next `waiting` messages, newest first.
async fn gather(
    mut messages: pull::Ordered,
    waiting: usize,
    tenant: &TenantId,
    most: usize,
) -> Result<Vec<Reported>> {
    let mut newest = VecDeque::new();
    for _ in 0..waiting {
        let message = match tokio::time::timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => message.map_err(|error| away(&error))?,
            Ok(None) | Err(_) => return Err(Error::Unavailable("outcomes fell silent".to_owned())),
        };
        if is_end_of_tenant(message.headers.as_ref()) {
            newest.clear();
        }
        newest.extend(reported(&message, tenant));
        if newest.len() > most {
            newest.pop_front();
        }
    }
    Ok(newest.into_iter().rev().collect())
}

/// Of the empty tenant's subjects are also those of messages of nobody.
fn reported(message: &Message, tenant: &TenantId) -> Option<Reported> {
    let outcome = OutcomeMessage::parse(&message.payload).ok()?;
    let at = timestamp(message.info().ok()?.published);
    (outcome.tenant_id.as_deref() == Some(tenant.as_str())).then_some(Reported { at, outcome })
}

fn away(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::unavailable("outcomes", error)
}
