//! What our streams, buckets and consumers must look like.
//!
//! Each is a change to a configuration, not a whole one: applied to an empty configuration it is
//! what `setup` makes, applied to an existing one it leaves alone whatever an operator may have
//! added, such as placement or compression.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
};

use lifecycle::TenantId;

use crate::Names;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Dead letters wait this long for somebody to look at them.
const DEAD_LETTERS: Duration = DAY.saturating_mul(30);
/// Outcomes are the event log.
const OUTCOMES: Duration = DAY.saturating_mul(7);
/// More advisories than this mean a fault that the newest ones tell as well.
const MAX_ADVISORIES: i64 = 100_000;
/// Within this a message with a known `Nats-Msg-Id` is a repetition. It must be longer than
/// [`ACK_WAIT`], and costs the server memory for each message.
const DUPLICATES: Duration = Duration::from_secs(120);
/// How long a message may be worked on without a word before it is delivered again.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(10);
/// Messages in work, over all workers. Delivery stops at this number, so it must be far above
/// what the workers hold; the server's default of 1000 is not.
const MAX_ACK_PENDING: i64 = 5_000;
/// Outcomes that were sent to one tenant's webhook and not taken yet; those behind them wait in the
/// stream. Each is sent again after minutes, so this many are no burden to a receiver that is ill.
const MAX_UNSENT: i64 = 256;

/// A stream as it is to be. Buckets are streams too.
pub(crate) struct Asset {
    pub(crate) kind: &'static str,
    /// What people call it: the stream, or the bucket.
    pub(crate) shown: String,
    pub(crate) stream: String,
    pub(crate) apply: Box<dyn Fn(&mut stream::Config) + Send + Sync>,
}

/// All streams and buckets, in the order in which they are made.
pub(crate) fn assets(names: &Names) -> Vec<Asset> {
    vec![
        stream(names.events_stream(), events(names)),
        stream(names.dead_letter_stream(), dead_letters(names)),
        stream(names.outcome_stream(), outcomes(names)),
        stream(names.advisory_stream(), advisories(names)),
        bucket(names.device_bucket()),
        bucket(names.integration_bucket()),
        bucket(names.sweep_bucket()),
        bucket(names.webhook_bucket()),
    ]
}

fn stream(name: String, apply: impl Fn(&mut stream::Config) + Send + Sync + 'static) -> Asset {
    Asset {
        kind: "stream",
        shown: name.clone(),
        stream: name,
        apply: Box::new(apply),
    }
}

/// The events: removed when acknowledged, and never before. So there is no limit of any kind, and
/// `DiscardPolicy::New`, which would refuse rather than forget, is not possible together with
/// schedules.
fn events(names: &Names) -> impl Fn(&mut stream::Config) + use<> {
    let subjects = vec![names.event_filter(), names.retry_filter()];
    move |config| {
        config.subjects.clone_from(&subjects);
        config.retention = RetentionPolicy::WorkQueue;
        config.storage = StorageType::File;
        config.discard = DiscardPolicy::Old;
        config.allow_message_schedules = true;
        config.allow_direct = true;
        config.duplicate_window = DUPLICATES;
        config.max_age = Duration::ZERO;
        config.max_messages = -1;
        config.max_bytes = -1;
        config.max_messages_per_subject = -1;
    }
}

/// The dead letters: one for each subject, so that one of a second death replaces that of the first.
fn dead_letters(names: &Names) -> impl Fn(&mut stream::Config) + use<> {
    let subjects = vec![format!("{}.dlq.>", names.prefix())];
    move |config| {
        log_of(config, &subjects, DEAD_LETTERS);
        config.max_messages_per_subject = 1;
    }
}

/// How events ended, and who edited which twin.
fn outcomes(names: &Names) -> impl Fn(&mut stream::Config) + use<> {
    let subjects = vec![
        format!("{}.outcome.>", names.prefix()),
        names.audit_filter(),
    ];
    move |config| log_of(config, &subjects, OUTCOMES)
}

/// What the server says when a message of ours was delivered too often or was given up: the last
/// trace of a message that kills every process that looks at it.
fn advisories(names: &Names) -> impl Fn(&mut stream::Config) + use<> {
    let consumers = [
        (names.events_stream(), names.worker_consumer()),
        (names.source_stream().to_owned(), names.ingest_consumer()),
    ];
    let subjects: Vec<String> = consumers
        .iter()
        .flat_map(|(stream, consumer)| {
            ["MAX_DELIVERIES", "MSG_TERMINATED"]
                .map(|what| format!("$JS.EVENT.ADVISORY.CONSUMER.{what}.{stream}.{consumer}"))
        })
        .collect();
    move |config| {
        log_of(config, &subjects, OUTCOMES);
        config.max_messages = MAX_ADVISORIES;
    }
}

fn log_of(config: &mut stream::Config, subjects: &[String], max_age: Duration) {
    config.subjects = subjects.to_vec();
    config.retention = RetentionPolicy::Limits;
    config.storage = StorageType::File;
    config.allow_direct = true;
    config.max_age = max_age;
}

/// A key-value bucket with a history of one. Unlike the buckets that client libraries make it
/// allows messages to be deleted: removing the very message that was read is a compare-and-set
/// that leaves no tombstone behind.
fn bucket(name: String) -> Asset {
    let subjects = vec![format!("$KV.{name}.>")];
    let apply = move |config: &mut stream::Config| {
        config.subjects.clone_from(&subjects);
        config.retention = RetentionPolicy::Limits;
        config.storage = StorageType::File;
        config.discard = DiscardPolicy::New;
        config.max_messages_per_subject = 1;
        config.max_age = Duration::ZERO;
        // A direct read may be answered by a replica that lags: a wake-up could find no record yet
        // and be acknowledged for good.
        config.allow_direct = false;
        config.allow_rollup = true;
        config.deny_delete = false;
    };
    Asset {
        kind: "bucket",
        stream: format!("KV_{name}"),
        shown: name,
        apply: Box::new(apply),
    }
}

/// The consumer that hands out events. It must not see the schedules: to acknowledge one would
/// remove it.
pub(crate) fn worker(names: &Names) -> impl Fn(&mut pull::Config) + use<> {
    durable(names.worker_consumer(), names.event_filter())
}

/// The consumer on the source stream.
pub(crate) fn ingest(names: &Names) -> impl Fn(&mut pull::Config) + use<> {
    durable(names.ingest_consumer(), names.source_filter().to_owned())
}

/// The consumer that hands out advisories.
pub(crate) fn watch(names: &Names) -> impl Fn(&mut pull::Config) + use<> {
    durable(names.advisory_consumer(), String::new())
}

/// The consumer that remembers what is still to be sent to a tenant's webhook, from the day on which
/// it was made.
pub(crate) fn webhook(names: &Names, tenant: &TenantId) -> impl Fn(&mut pull::Config) + use<> {
    let filter = names.outcome_filter(Some(tenant.as_str()), None);
    let durable = durable(names.webhook_consumer(tenant), filter);
    move |config| {
        durable(config);
        config.deliver_policy = DeliverPolicy::New;
        config.max_ack_pending = MAX_UNSENT;
    }
}

/// Deliveries are unlimited because we count them ourselves: a message that the server has given
/// up stays in its work queue, unseen.
fn durable(name: String, filter: String) -> impl Fn(&mut pull::Config) {
    move |config| {
        config.durable_name = Some(name.clone());
        config.name = Some(name.clone());
        config.deliver_policy = DeliverPolicy::All;
        config.ack_policy = AckPolicy::Explicit;
        config.ack_wait = ACK_WAIT;
        config.max_deliver = -1;
        config.max_ack_pending = MAX_ACK_PENDING;
        config.filter_subject.clone_from(&filter);
        config.filter_subjects = Vec::new();
        config.backoff = Vec::new();
    }
}
