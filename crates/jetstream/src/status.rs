//! How our streams and consumers are doing.

use std::time::Duration;

use async_nats::jetstream::{Context, ErrorCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{Error, Names, Result, devices::timestamp};

/// State of everything of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Streams, the source and the buckets included; what is missing is listed too.
    pub streams: Vec<StreamStatus>,
    /// Our consumers.
    pub consumers: Vec<ConsumerStatus>,
    /// Age in seconds of the oldest event that is not done, by the server's clock; `None` if there
    /// is none, or if the user may not look.
    pub oldest_event_seconds: Option<u64>,
}

/// State of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Whether it is there; if not, the rest is zero.
    pub exists: bool,
    /// Messages in it.
    pub messages: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Age of the oldest one in seconds, by the server's clock.
    pub oldest_seconds: Option<u64>,
}

/// State of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumerStatus {
    /// Its stream.
    pub stream: String,
    /// Its name.
    pub name: String,
    /// Whether it is there; if not, the rest is zero.
    pub exists: bool,
    /// Messages not delivered yet.
    pub pending: u64,
    /// Messages delivered and not acknowledged yet.
    pub in_work: u64,
    /// Of those, the ones delivered more than once.
    pub redelivered: u64,
}

#[derive(Deserialize, Default)]
struct StreamInfo {
    #[serde(default)]
    state: State,
    /// The server's time; since 2.10.
    ts: Option<String>,
}

#[derive(Deserialize, Default)]
struct State {
    messages: u64,
    bytes: u64,
    first_ts: String,
}

#[derive(Deserialize, Default)]
struct ConsumerInfo {
    #[serde(rename = "num_pending")]
    pending: u64,
    #[serde(rename = "num_ack_pending")]
    in_work: u64,
    #[serde(rename = "num_redelivered")]
    redelivered: u64,
}

/// Asks the server about everything of ours.
pub async fn status(context: &Context, names: &Names) -> Result<Status> {
    let streams = [
        names.source_stream().to_owned(),
        names.events_stream(),
        names.dead_letter_stream(),
        names.outcome_stream(),
        names.advisory_stream(),
        format!("KV_{}", names.device_bucket()),
        format!("KV_{}", names.integration_bucket()),
        format!("KV_{}", names.webhook_bucket()),
    ];
    let consumers = [
        (names.source_stream().to_owned(), names.ingest_consumer()),
        (names.events_stream(), names.worker_consumer()),
        (names.advisory_stream(), names.advisory_consumer()),
    ];
    let mut status = Status {
        streams: Vec::new(),
        consumers: Vec::new(),
        oldest_event_seconds: None,
    };
    for name in streams {
        let info: Option<StreamInfo> = ask(context, format!("STREAM.INFO.{name}")).await?;
        let exists = info.is_some();
        let StreamInfo { state, ts } = info.unwrap_or_default();
        if exists && name == names.events_stream() && state.messages > 0 {
            status.oldest_event_seconds = oldest_event(context, names, ts.as_deref()).await;
        }
        let oldest = age(&state.first_ts, ts.as_deref()).filter(|_| state.messages > 0);
        status.streams.push(StreamStatus {
            name,
            exists,
            messages: state.messages,
            bytes: state.bytes,
            oldest_seconds: oldest.map(|age| age.as_secs()),
        });
    }
    for (stream, name) in consumers {
        let subject = format!("CONSUMER.INFO.{stream}.{name}");
        let info: Option<ConsumerInfo> = ask(context, subject).await?;
        let exists = info.is_some();
        let info = info.unwrap_or_default();
        status.consumers.push(ConsumerStatus {
            stream,
            name,
            exists,
            pending: info.pending,
            in_work: info.in_work,
            redelivered: info.redelivered,
        });
    }
    Ok(status)
}

/// The stream holds the schedules of wake-ups too, so its first message tells nothing.
async fn oldest_event(context: &Context, names: &Names, now: Option<&str>) -> Option<u64> {
    let stream = context
        .get_stream_no_info(names.events_stream())
        .await
        .ok()?;
    let filter = names.event_filter();
    let first = stream.direct_get_next_for_subject(&filter, Some(1)).await;
    let first = timestamp(first.ok()?.time);
    let now: jiff::Timestamp = now?.parse().ok()?;
    let now = lifecycle::Timestamp::from_micros(now.as_microsecond());
    Some(now.since(first).as_secs())
}

pub(crate) fn age(first: &str, now: Option<&str>) -> Option<Duration> {
    let first: jiff::Timestamp = first.parse().ok()?;
    let now = now.map_or_else(|| Some(jiff::Timestamp::now()), |now| now.parse().ok())?;
    now.duration_since(first).try_into().ok()
}

/// One request to the JetStream API; `None` if what it is about does not exist.
pub(crate) async fn ask<T: DeserializeOwned>(
    context: &Context,
    subject: String,
) -> Result<Option<T>> {
    ask_with(context, subject, &json!({})).await
}

/// The same, with more to say.
pub(crate) async fn ask_with<T: DeserializeOwned>(
    context: &Context,
    subject: String,
    body: &serde_json::Value,
) -> Result<Option<T>> {
    let answer: serde_json::Value = context
        .request(subject, body)
        .await
        .map_err(|error| Error::unavailable("failed to ask for the state", &error))?;
    if let Some(error) = answer.get("error") {
        let error: async_nats::jetstream::Error = serde_json::from_value(error.clone())
            .map_err(|error| Error::unavailable("failed to ask for the state", &error))?;
        let missing = [
            ErrorCode::STREAM_NOT_FOUND,
            ErrorCode::CONSUMER_NOT_FOUND,
            ErrorCode::NO_MESSAGE_FOUND,
        ];
        if missing.contains(&error.error_code()) {
            return Ok(None);
        }
        return Err(Error::Refused(error.to_string()));
    }
    serde_json::from_value(answer)
        .map(Some)
        .map_err(|error| Error::NotUnderstood(error.to_string()))
}
