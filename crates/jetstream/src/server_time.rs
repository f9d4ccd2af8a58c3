//! What time it is for the server, whose clock schedules and stored messages go by.

use async_nats::jetstream::Context;
use lifecycle::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::{Error, Result};

#[derive(Deserialize)]
struct Info {
    ts: Option<String>,
}

/// The server's time, which it tells with the state of a stream (since 2.10).
pub(crate) async fn server_time(context: &Context, stream: &str) -> Result<Timestamp> {
    let subject = format!("STREAM.INFO.{stream}");
    let info: Info = context
        .request(subject, &json!({}))
        .await
        .map_err(|error| Error::unavailable("failed to ask for the time", &error))?;
    let time = info
        .ts
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let time =
        time.ok_or_else(|| Error::NotUnderstood("the server does not tell its time".to_owned()))?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}
