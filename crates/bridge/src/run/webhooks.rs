//! Sends outcomes to tenants' webhooks, beside the worker.
//!
//! It shares nothing with the lifecycle work that it could use up, and neither do tenants with each
//! other: each has a consumer of its own in NATS and a bounded number of requests here. An outcome is
//! acknowledged once it was taken or given up, so it may be sent twice and is not lost.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use jetstream::{Fed, Feed, IntegrationChange, KvIntegrations};
use lifecycle::{TenantId, Timestamp, encode_token};
use messages::{OutcomeMessage, WebhookMessage};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use webhook::Failure;

use crate::adapters::{Receiver, Receivers};
use crate::config::Config;
use crate::keys::SealingKeys;
use crate::session::Session;
use crate::webhook::Webhook;

/// Requests under way to one tenant's receiver.
const AT_ONCE: usize = 4;
/// Pause before what could not be opened is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The same while NATS is not there.
const CONNECTING: Duration = Duration::from_millis(200);
/// Namespace of message ids; a random UUID, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x7f1d_0a5e_3c1b_4b52_9a43_5d6c_77e0_41b8);

/// What became of attempts.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounters {
    /// Outcomes that were taken.
    pub(crate) sent: AtomicU64,
    /// Attempts that failed and are repeated.
    pub(crate) retried: AtomicU64,
    /// Outcomes that will not be sent.
    pub(crate) given_up: AtomicU64,
}

/// What is needed to send.
pub(super) struct Webhooks {
    receivers: Receivers,
    keys: Arc<SealingKeys>,
    pauses: Pauses,
    max_age: Duration,
    stop_within: Duration,
    counters: Arc<WebhookCounters>,
}

/// The receiver of one tenant.
struct Lane {
    tenant: TenantId,
    receiver: Receiver,
    /// Whether the last attempt failed, so that only changes are logged.
    failing: AtomicBool,
}

impl Webhooks {
    pub(super) fn new(config: &Config, keys: Arc<SealingKeys>, receivers: Receivers) -> Self {
        let ms = Duration::from_millis;
        Self {
            receivers,
            keys,
            pauses: Pauses {
                first: ms(config.retry.first_ms),
                cap: ms(config.retry.cap_ms),
            },
            max_age: Duration::from_secs(config.webhook.max_age_s),
            stop_within: ms(config.worker.stop_within_ms),
            counters: Arc::default(),
        }
    }

    /// Counts what is sent.
    pub(super) fn counters(&self) -> Arc<WebhookCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves the webhooks that are set, as they are set, until told to stop; then what is under
    /// way may end.
    pub(super) async fn run(self, session: Session, stop: CancellationToken) {
        let this = Arc::new(self);
        let Some(kept) = stop.run_until_cancelled(kept(&session)).await else {
            return;
        };
        let mut watch = kept.watch();
        let mut running: HashMap<TenantId, (u64, CancellationToken)> = HashMap::new();
        let mut lanes = JoinSet::new();
        while let Some(change) = stop.run_until_cancelled(watch.next()).await {
            while lanes.try_join_next().is_some() {}
            let (tenant, saved) = match change {
                IntegrationChange::Removed(tenant) => (tenant, None),
                IntegrationChange::Saved {
                    tenant,
                    sealed,
                    version,
                } => (tenant, Some((sealed, version))),
            };
            let known = running.get(&tenant).map(|(version, _)| *version);
            if saved.as_ref().map(|(_, version)| *version) == known {
                continue;
            }
            if let Some((_, before)) = running.remove(&tenant) {
                before.cancel();
            }
            if let Some((sealed, version)) = saved {
                let own = stop.child_token();
                running.insert(tenant.clone(), (version, own.clone()));
                lanes.spawn(Arc::clone(&this).serve(session.clone(), tenant, sealed, own));
            }
        }
        let ended = tokio::time::timeout(this.stop_within, lanes.join_all()).await;
        if ended.is_err() {
            tracing::warn!("requests to webhooks are cut off; they are sent again");
        }
    }

    /// Sends what there is for one tenant, and then what comes.
    async fn serve(
        self: Arc<Self>,
        session: Session,
        tenant: TenantId,
        sealed: Bytes,
        stop: CancellationToken,
    ) {
        let opening = self.lane(&tenant, &sealed);
        let Some(lane) = stop.run_until_cancelled(opening).await else {
            return;
        };
        let (context, names) = (&session.context, &session.names);
        let feed = Feed::start(context, names, &tenant, AT_ONCE, stop);
        let outcomes = stream::unfold(feed, |mut feed| async move {
            let next = feed.next().await?;
            Some((next, feed))
        });
        let deliver = |fed| self.deliver(&lane, fed);
        outcomes.for_each_concurrent(AT_ONCE, deliver).await;
    }

    /// Opens a webhook as often as it takes: a sealing key or an allowed host may be missing.
    async fn lane(&self, tenant: &TenantId, sealed: &[u8]) -> Lane {
        let mut told = false;
        loop {
            match self.open(tenant, sealed).await {
                Ok(receiver) => {
                    return Lane {
                        tenant: tenant.clone(),
                        receiver,
                        failing: AtomicBool::new(false),
                    };
                }
                Err(error) if !mem::replace(&mut told, true) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%tenant, error, "nothing can be sent to the webhook");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn open(&self, tenant: &TenantId, sealed: &[u8]) -> anyhow::Result<Receiver> {
        let webhook = Webhook::from_bytes(tenant, sealed)?;
        let opened = self.keys.open_webhook(&webhook).await?;
        self.receivers.open(opened)
    }

    async fn deliver(&self, lane: &Lane, fed: Fed) {
        let failure = match &fed.outcome {
            Ok(outcome) => {
                let message = WebhookMessage::outcome(outcome.clone(), fed.at);
                let id = message_id(&lane.tenant, outcome);
                lane.receiver.send(id, &message).await.err()
            }
            Err(malformed) => {
                tracing::warn!(tenant = %lane.tenant, %malformed, "an outcome is not understood");
                Some(Failure::Gone)
            }
        };
        lane.tell(failure.as_ref());
        let ended = match failure {
            None => {
                count(&self.counters.sent);
                fed.done().await
            }
            Some(Failure::Later { wait, .. }) if age(fed.at) < self.max_age => {
                count(&self.counters.retried);
                let pause = self.pauses.after(fed.deliveries, wait, super::jitter());
                fed.again(pause).await
            }
            Some(failure) => {
                count(&self.counters.given_up);
                tracing::debug!(tenant = %lane.tenant, %failure, "an outcome is not sent");
                fed.done().await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an outcome is sent again");
        }
    }
}

impl Lane {
    /// Logs when a receiver begins to fail, and when it is well again.
    fn tell(&self, failure: Option<&Failure>) {
        let was = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(failure) if !was => {
                tracing::warn!(tenant = %self.tenant, %failure, "the webhook takes no outcomes");
            }
            None if was => {
                tracing::info!(tenant = %self.tenant, "the webhook takes outcomes again");
            }
            _ => {}
        }
    }
}

/// The webhooks there are. An installation whose `setup` is older has no place for them.
async fn kept(session: &Session) -> KvIntegrations {
    let mut told = false;
    loop {
        let pause = match KvIntegrations::open_webhooks(&session.context, &session.names).await {
            Ok(kept) => return kept,
            Err(error @ jetstream::Error::Missing { .. }) => {
                if !mem::replace(&mut told, true) {
                    tracing::warn!(%error, "no webhooks are served");
                }
                LOOK_AGAIN
            }
            Err(error) => {
                tracing::debug!(%error, "waiting for the webhooks");
                CONNECTING
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One id for one outcome of one life of an event, however often it is reported or sent.
fn message_id(tenant: &TenantId, outcome: &OutcomeMessage) -> Uuid {
    let device = encode_token(outcome.device_id.as_deref().unwrap_or_default());
    let event = encode_token(&outcome.event_id);
    let name = format!("{}.{device}.{event}.{}", tenant.to_token(), outcome.replay);
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

fn age(since: Timestamp) -> Duration {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()).since(since)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Pauses between attempts.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    first: Duration,
    cap: Duration,
}

impl Pauses {
    /// Doubled after each attempt, up to the cap, and stretched by up to a half. What the receiver
    /// asks for counts up to the cap. `jitter` is in thousandths.
    fn after(self, attempts: u32, asked: Option<Duration>, jitter: u16) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let pause = doubled.max(asked.unwrap_or_default()).min(self.cap);
        pause + pause * u32::from(jitter.min(1000)) / 2000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_whatever_is_asked_for() {
        let s = Duration::from_secs;
        let pauses = Pauses {
            first: s(1),
            cap: s(300),
        };
        let secs = [1, 2, 3, 9, 10, u32::MAX].map(|n| pauses.after(n, None, 0).as_secs());
        assert_eq!(secs, [1, 2, 4, 256, 300, 300]);
        assert_eq!(pauses.after(1, Some(s(60)), 0), s(60));
        assert_eq!(pauses.after(1, Some(s(86_400)), 0), s(300));
        assert_eq!(pauses.after(2, None, 1000), s(3));
    }

    #[test]
    fn an_id_is_that_of_one_outcome_and_holds_no_full_stop() {
        let outcome = |tenant: &str, event: &str, replay: u64| {
            let body = serde_json::json!({
                "event_id": event, "tenant_id": tenant, "device_id": "d.1", "status": "accepted",
                "revision": 1, "created_ts": null, "outcome": "applied", "reason": null,
                "replay": replay,
            });
            let outcome = OutcomeMessage::parse(body.to_string().as_bytes()).unwrap();
            message_id(&tenant.parse().unwrap(), &outcome)
        };
        let one = outcome("t", "E-1", 0);
        assert_eq!(one, outcome("t", "E-1", 0));
        for other in [
            outcome("t", "E-1", 7),
            outcome("t", "E.1", 0),
            outcome("u", "E-1", 0),
        ] {
            assert_ne!(one, other);
        }
        assert!(!one.to_string().contains('.'));
    }
}
