//! A tenant's outcomes for its webhook: each is handed out until somebody says that it is done with.
//!
//! Each tenant that has a webhook has a durable consumer of its own on the outcomes. What is still
//! to be sent is remembered by the server, so a crash loses nothing; and it is bounded for each
//! tenant alone, so a receiver that takes nothing holds up nobody else's.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Context};
use lifecycle::{TenantId, Timestamp};
use messages::{Malformed, OutcomeMessage};
use tokio_util::sync::CancellationToken;

use crate::{
    Action, Error, Names, Result,
    ack::Hold,
    assets,
    devices::timestamp,
    error::api_error,
    headers::is_end_of_tenant,
    open,
    pull::{Delivery, Puller, Source},
    setup::{ensure_consumer, is_missing},
};

/// What is still to be sent to a tenant's webhook.
#[derive(Debug)]
pub struct Feed {
    puller: Puller,
    stop: CancellationToken,
}

/// An outcome to send. Dropped without a word, it comes again.
#[derive(Debug)]
pub struct Fed {
    /// What is to be sent; `Err` if nobody understands it.
    pub outcome: Result<OutcomeMessage, Malformed>,
    /// When it was stored, by the server's clock.
    pub at: Timestamp,
    /// How often it was handed out, this time included.
    pub deliveries: u32,
    hold: Hold,
}

/// How much of a feed is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedState {
    /// Never handed out yet.
    pub waiting: u64,
    /// Handed out, and not done with: being sent, or to be tried again.
    pub in_work: usize,
}

impl Feed {
    /// Begins to fetch, `ahead` outcomes at most ahead of their handling. The consumer need not be
    /// there yet: it is waited for.
    #[must_use]
    pub fn start(
        context: &Context,
        names: &Names,
        tenant: &TenantId,
        ahead: usize,
        stop: CancellationToken,
    ) -> Self {
        let source = Source {
            context: context.clone(),
            stream: names.outcome_stream(),
            consumer: names.webhook_consumer(tenant),
            ahead,
            make: None,
        };
        Self {
            puller: Puller::start(source, stop.clone()),
            stop,
        }
    }

    /// The next one; `None` once stopped, when all that was fetched ahead has been given back.
    pub async fn next(&mut self) -> Option<Fed> {
        let stop = self.stop.clone();
        while let Some(Some(delivery)) = stop.run_until_cancelled(self.puller.next()).await {
            if !is_end_of_tenant(delivery.message.headers.as_ref()) {
                return Some(Fed::from(delivery));
            }
            if let Err(error) = delivery.hold.say(AckKind::Ack).await {
                tracing::debug!(%error, "the end of a tenant comes again");
            }
        }
        self.puller.give_back().await;
        None
    }

    /// Makes what remembers what is to be sent, from now on. What is there already stays as it is.
    pub async fn ensure(
        context: &Context,
        names: &Names,
        tenant: &TenantId,
        dry_run: bool,
    ) -> Result<Action> {
        let consumer = assets::webhook(names, tenant);
        ensure_consumer(context, &names.outcome_stream(), consumer, dry_run).await
    }

    /// Forgets what is still to be sent. It may be gone already.
    pub async fn remove(context: &Context, names: &Names, tenant: &TenantId) -> Result<()> {
        let (stream, consumer) = (names.outcome_stream(), names.webhook_consumer(tenant));
        let removed = context.delete_consumer_from_stream(&consumer, &stream);
        match removed.await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(match api_error(&error) {
                Some(api) => Error::Refused(format!("failed to remove {consumer}: {api}")),
                None => Error::unavailable(&format!("failed to remove {consumer}"), &error),
            }),
        }
    }

    /// How much is left; `None` where nothing remembers it.
    pub async fn state(
        context: &Context,
        names: &Names,
        tenant: &TenantId,
    ) -> Result<Option<FeedState>> {
        let (stream, consumer) = (names.outcome_stream(), names.webhook_consumer(tenant));
        match open::consumer(context, &stream, &consumer).await {
            Ok(consumer) => {
                let info = consumer.cached_info();
                Ok(Some(FeedState {
                    waiting: info.num_pending,
                    in_work: info.num_ack_pending,
                }))
            }
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<Delivery> for Fed {
    fn from(delivery: Delivery) -> Self {
        Self {
            outcome: OutcomeMessage::parse(&delivery.message.payload),
            at: timestamp(delivery.published),
            deliveries: u32::try_from(delivery.delivered).unwrap_or(1),
            hold: delivery.hold,
        }
    }
}

impl Fed {
    /// It is done with: sent, or given up. Returns once the server knows.
    pub async fn done(self) -> Result<()> {
        self.hold.say(AckKind::Ack).await
    }

    /// It is to come again after so long.
    pub async fn again(self, after: Duration) -> Result<()> {
        self.hold.say(AckKind::Nak(Some(after))).await
    }
}
