//! The relay: takes a message, sends a request to the hub, acknowledges.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use async_nats::jetstream::{Message, consumer::PullConsumer};
use futures::StreamExt as _;
use tokio::sync::Semaphore;

use super::{AT_ONCE, BareHub, asked};

/// ETags of what was created, so that it can be deleted.
type Etags = Arc<Mutex<HashMap<String, String>>>;

pub(super) async fn run(consumer: PullConsumer, hub: BareHub) -> Result<()> {
    let etags = Etags::default();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(AT_ONCE)
        .messages()
        .await?;
    while let Some(message) = messages.next().await {
        let (message, hub, etags) = (message?, hub.clone(), Etags::clone(&etags));
        let place = Arc::clone(&places).acquire_owned().await?;
        tokio::spawn(async move {
            if let Err(error) = pass_on(&message, &hub, &etags).await {
                eprintln!("{}: {error:#}", message.subject);
            }
            drop(place);
        });
    }
    bail!("no more messages")
}

async fn pass_on(message: &Message, hub: &BareHub, etags: &Etags) -> Result<()> {
    let (what, device) = asked(&message.subject)?;
    if what == "remove" {
        let etag = lock(etags).remove(device).unwrap_or_else(|| "*".to_owned());
        hub.delete(device, &etag).await?;
    } else {
        let etag = hub.create(device).await?;
        lock(etags).insert(device.to_owned(), etag);
    }
    message
        .ack()
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
}

fn lock(etags: &Etags) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
    etags.lock().unwrap_or_else(PoisonError::into_inner)
}
