//! The null pipeline: every call that the product makes for an event, and nothing else.
//!
//! For an accept: read the record, write it, create the identity, write, set and deploy the
//! configuration, write, read and tag the twin, write, publish the outcome, acknowledge. For a
//! removal: read, write, delete, write, publish, acknowledge.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_nats::{
    HeaderMap,
    jetstream::{Context, Message, consumer::PullConsumer, kv::Store},
};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{AT_ONCE, BUCKET, BareHub, BareMender, HUB_AT_ONCE, asked};

/// A record, as long as one of the product's.
#[derive(Serialize, Deserialize)]
struct Record {
    etag: String,
    rest: String,
}

struct Null {
    context: Context,
    records: Store,
    hub: BareHub,
    mender: BareMender,
    hub_places: Semaphore,
}

pub(super) async fn run(
    context: Context,
    consumer: PullConsumer,
    hub: BareHub,
    mender: BareMender,
) -> Result<()> {
    let records = context.get_key_value(BUCKET).await?;
    let null = Arc::new(Null {
        context,
        records,
        hub,
        mender,
        hub_places: Semaphore::new(HUB_AT_ONCE),
    });
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(AT_ONCE)
        .messages()
        .await?;
    while let Some(message) = messages.next().await {
        let (message, null) = (message?, Arc::clone(&null));
        let place = Arc::clone(&places).acquire_owned().await?;
        tokio::spawn(async move {
            if let Err(error) = null.handle(&message).await {
                eprintln!("{}: {error:#}", message.subject);
            }
            drop(place);
        });
    }
    bail!("no more messages")
}

impl Null {
    async fn handle(&self, message: &Message) -> Result<()> {
        let (what, device) = asked(&message.subject)?;
        let stored = self.records.entry(device).await?;
        let version = stored.as_ref().map_or(0, |entry| entry.revision);
        let (mut etag, mut version) = match &stored {
            Some(entry) => (
                serde_json::from_slice::<Record>(&entry.value)?.etag,
                version,
            ),
            None => (String::new(), version),
        };
        version = self.save(device, &etag, version).await?;
        if what == "remove" {
            let _place = self.hub_places.acquire().await?;
            self.hub.delete(device, &etag).await?;
        } else {
            let place = self.hub_places.acquire().await?;
            etag = self.hub.create(device).await?;
            drop(place);
            version = self.save(device, &etag, version).await?;
            self.mender.deliver(device).await?;
            version = self.save(device, &etag, version).await?;
            let _place = self.hub_places.acquire().await?;
            self.hub.tag(device).await?;
        }
        self.save(device, &etag, version).await?;
        self.end(message, device).await
    }

    async fn save(&self, device: &str, etag: &str, version: u64) -> Result<u64> {
        let record = Record {
            etag: etag.to_owned(),
            rest: "x".repeat(600),
        };
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", version.to_string());
        let subject = format!("$KV.{BUCKET}.{device}");
        let body = serde_json::to_vec(&record)?;
        let sent = self
            .context
            .publish_with_headers(subject, headers, body.into());
        Ok(sent.await?.await?.sequence)
    }

    async fn end(&self, message: &Message, device: &str) -> Result<()> {
        let mut headers = HeaderMap::new();
        let sequence = message.info().map(|info| info.stream_sequence);
        let sequence = sequence.map_err(|error| anyhow::anyhow!("{error}"))?;
        headers.insert("Nats-Msg-Id", format!("outcome:BARE-{sequence}:0"));
        let body =
            format!(r#"{{"device":"{device}","outcome":"applied","event":"BARE-{sequence}"}}"#);
        let subject = format!("bare.outcome.{device}");
        let sent = self
            .context
            .publish_with_headers(subject, headers, body.into());
        sent.await?.await.context("no outcome")?;
        let acked = message.double_ack().await;
        acked.map_err(|error| anyhow::anyhow!("{error}"))
    }
}
