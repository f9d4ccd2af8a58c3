//! How much waits in the streams, for whoever measures: a few small questions, however many messages or
//! devices there are.

use std::time::Duration;

use async_nats::jetstream::Context;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Names, Result,
    status::{age, ask, ask_with},
};

/// What waits at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Messages of Mender's stream; `None` where nothing is taken from there.
    pub source: Option<Waiting>,
    /// Events and wake-ups that are due; `None` if the consumer is missing.
    pub events: Option<Waiting>,
    /// Dead letters kept.
    pub dead_letters: u64,
}

/// What waits for one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Messages not delivered to any worker yet.
    pub undelivered: u64,
    /// Messages delivered and not acknowledged yet.
    pub in_work: u64,
    /// How long the oldest of both has been there, by the server's clock; zero if there is none.
    pub oldest: Duration,
}

#[derive(Deserialize)]
struct ConsumerInfo {
    num_pending: u64,
    num_ack_pending: u64,
    ack_floor: Sequences,
    ts: Option<String>,
}

#[derive(Deserialize)]
struct Sequences {
    stream_seq: u64,
}

#[derive(Deserialize)]
struct Got {
    message: Stored,
}

#[derive(Deserialize)]
struct Stored {
    time: String,
}

#[derive(Deserialize)]
struct StreamInfo {
    state: State,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
}

/// Asks the server how much waits; with `source`, in Mender's stream too.
pub async fn backlog(context: &Context, names: &Names, source: bool) -> Result<Backlog> {
    let letters = format!("STREAM.INFO.{}", names.dead_letter_stream());
    let letters: Option<StreamInfo> = ask(context, letters).await?;
    let source = if source {
        let (stream, filter) = (names.source_stream(), names.source_filter());
        waiting(context, stream, &names.ingest_consumer(), filter).await?
    } else {
        None
    };
    Ok(Backlog {
        source,
        events: waiting(
            context,
            &names.events_stream(),
            &names.worker_consumer(),
            &names.event_filter(),
        )
        .await?,
        dead_letters: letters.map_or(0, |info| info.state.messages),
    })
}

async fn waiting(
    context: &Context,
    stream: &str,
    consumer: &str,
    filter: &str,
) -> Result<Option<Waiting>> {
    let info = format!("CONSUMER.INFO.{stream}.{consumer}");
    let Some(info) = ask::<ConsumerInfo>(context, info).await? else {
        return Ok(None);
    };
    let mut waiting = Waiting {
        undelivered: info.num_pending,
        in_work: info.num_ack_pending,
        oldest: Duration::ZERO,
    };
    if waiting.undelivered + waiting.in_work > 0 {
        // Everything up to the floor was acknowledged; the next message of ours was not.
        let after = json!({"seq": info.ack_floor.stream_seq + 1, "next_by_subj": filter});
        let get = format!("STREAM.MSG.GET.{stream}");
        let oldest: Option<Got> = ask_with(context, get, &after).await?;
        let oldest = oldest.and_then(|got| age(&got.message.time, info.ts.as_deref()));
        waiting.oldest = oldest.unwrap_or_default();
    }
    Ok(Some(waiting))
}
