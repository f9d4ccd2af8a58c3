//! The workflows worker's side of NATS: the stream, and publishing to it until it is stored.
//!
//! Like the worker it waits for the stream's ack and publishes again when there is none, without a
//! message id. So a message whose ack got lost may be in the stream twice; how often that could
//! have happened is counted, because whoever compares events with outcomes has to know.
//!
//! Batches are published one after the other and each in its order, as far as retries allow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{self, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, ServerAddr};
use futures::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::calls::{Called, IotManager};
use crate::workflows::Message;

/// Mender's stream; its subjects begin with the same word.
const STREAM: &str = "WORKFLOWS";
/// Mender keeps unread messages for a day.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Mender's own consumers: name, and the last part of the one subject that each reads. They are
/// here because no other consumer of a work queue may overlap with them.
const MENDERS_CONSUMERS: [(&str, &str); 2] = [
    ("workflows-worker", "default"),
    ("create-artifact-worker", "generate_artifact"),
];
/// How long the stream may take to confirm.
const ACK: Duration = Duration::from_secs(5);
/// How many messages wait for their ack at a time.
const WINDOW: usize = 256;
/// Jobs that the workflows worker runs at a time.
const WORKERS: usize = 10;
/// First and longest pause between attempts.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// How much was published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Published {
    /// Events confirmed by the stream: one for each device in a message.
    #[serde(rename = "published")]
    pub(crate) events: u64,
    /// Messages confirmed by the stream.
    pub(crate) messages: u64,
}

/// What all publishing together came to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Totals {
    #[serde(rename = "events_published")]
    pub(crate) events: u64,
    #[serde(rename = "messages_published")]
    pub(crate) messages: u64,
    /// Messages sent again although the first one may have been stored.
    #[serde(rename = "messages_repeated")]
    pub(crate) repeated: u64,
    /// Messages that iot-manager refused for good.
    #[serde(rename = "messages_lost")]
    pub(crate) lost: u64,
}

/// The connection to the stream.
pub(crate) struct Publisher {
    client: Client,
    context: Context,
    /// Who is called instead, with whatever a workflow would call it for.
    iot_manager: Option<IotManager>,
    /// Held while a batch is published, so that batches keep their order.
    turn: Mutex<()>,
    events: AtomicU64,
    messages: AtomicU64,
    repeated: AtomicU64,
    lost: AtomicU64,
}

/// User and password of a URL, which Mender's client takes from there and ours does not.
fn credentials(url: &str) -> Result<ConnectOptions> {
    let address: ServerAddr = url
        .parse()
        .context("failed to understand the NATS address")?;
    Ok(match (address.username(), address.password()) {
        (Some(user), Some(password)) => {
            ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
        _ => ConnectOptions::new(),
    })
}

impl Publisher {
    /// Connects in the background, for ever; fails only on an address that can't be understood.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let client = credentials(url)?
            .name("mender-simulator")
            .retry_on_initial_connect()
            .request_timeout(Some(ACK))
            .connect(url)
            .await
            .context("failed to understand the NATS address")?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ACK);
        Ok(Self {
            client,
            context,
            iot_manager: None,
            turn: Mutex::new(()),
            events: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// Events go to this iot-manager from now on; what is no event still goes to the stream.
    pub(crate) fn by_http(self, iot_manager: IotManager) -> Self {
        Self {
            iot_manager: Some(iot_manager),
            ..self
        }
    }

    /// Waits for the server and makes what a Mender server would have made. Ends when it is there.
    pub(crate) async fn prepare(&self) {
        let mut pause = Pause::default();
        loop {
            self.connected().await;
            match self.make_stream().await {
                Ok(()) => return,
                Err(error) => warn!("failed to make the stream {STREAM}: {error:#}"),
            }
            pause.wait().await;
        }
    }

    /// Publishes all messages, however long the server is away. Fails only on a message that the
    /// server will never take; those before it may be published.
    pub(crate) async fn publish(&self, messages: &[Message]) -> Result<Published, PublishError> {
        let _turn = self.turn.lock().await;
        let mut published = Published::default();
        for window in messages.chunks(WINDOW) {
            self.publish_window(window, &mut published).await?;
        }
        Ok(published)
    }

    /// What all publishing together came to.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            events: self.events.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }

    async fn publish_window(
        &self,
        window: &[Message],
        published: &mut Published,
    ) -> Result<(), PublishError> {
        let mut missing: Vec<&Message> = window.iter().collect();
        let mut pause = Pause::default();
        while !missing.is_empty() {
            let (called, uncalled) = self.call(missing, published).await;
            self.connected().await;
            missing = self.attempt(uncalled, published).await?;
            missing.extend(called);
            if !missing.is_empty() {
                info!("{} messages are published again", missing.len());
                pause.wait().await;
                self.prepare().await;
            }
        }
        Ok(())
    }

    /// Calls iot-manager with what is for it, a few at a time as the workflows worker does; returns
    /// what it did not accept, and what is not for it.
    async fn call<'a>(
        &self,
        messages: Vec<&'a Message>,
        published: &mut Published,
    ) -> (Vec<&'a Message>, Vec<&'a Message>) {
        let Some(iot_manager) = &self.iot_manager else {
            return (Vec::new(), messages);
        };
        let (mut missing, mut others) = (Vec::new(), Vec::new());
        let mut ended = Vec::new();
        for few in messages.chunks(WORKERS) {
            // By hand: the compiler does not see that a closure would do for any lifetime.
            let mut calls = Vec::new();
            for message in few {
                calls.push(iot_manager.call(message));
            }
            ended.extend(few.iter().zip(join_all(calls).await));
        }
        for (&message, called) in ended {
            match called {
                Some(Called::Accepted) => self.count(message, published),
                Some(Called::Lost) => {
                    warn!(
                        "a message was refused for good, and is lost as it would be with workflows"
                    );
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
                Some(called) => {
                    let stored_perhaps = called == Called::Unknown;
                    self.repeated
                        .fetch_add(stored_perhaps.into(), Ordering::Relaxed);
                    missing.push(message);
                }
                None => others.push(message),
            }
        }
        (missing, others)
    }

    /// One attempt; returns the messages that the stream did not confirm.
    async fn attempt<'a>(
        &self,
        messages: Vec<&'a Message>,
        published: &mut Published,
    ) -> Result<Vec<&'a Message>, PublishError> {
        let mut acks = Vec::with_capacity(messages.len());
        for message in messages {
            let subject = format!("{STREAM}.{}", message.subject);
            let ack = self.context.publish(subject, message.body.clone().into());
            acks.push((message, ack.await));
        }
        // All at once: the wait for an ack begins when somebody waits for it, and after a lost
        // connection all of them are in vain.
        let confirmations = acks.into_iter().map(async |(message, ack)| match ack {
            Ok(ack) => (message, ack.await.map(drop)),
            Err(error) => (message, Err(error)),
        });
        let mut missing = Vec::new();
        for (message, confirmed) in join_all(confirmations).await {
            match confirmed.map_err(|error| (error.kind(), error)) {
                Ok(()) => self.count(message, published),
                Err((PublishErrorKind::MaxPayloadExceeded, error)) => return Err(error),
                Err((kind, _)) => {
                    let stored_perhaps = kind != PublishErrorKind::StreamNotFound;
                    self.repeated
                        .fetch_add(stored_perhaps.into(), Ordering::Relaxed);
                    missing.push(message);
                }
            }
        }
        Ok(missing)
    }

    fn count(&self, message: &Message, published: &mut Published) {
        published.events += message.events;
        published.messages += 1;
        self.events.fetch_add(message.events, Ordering::Relaxed);
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// What is sent without a connection is kept by the client and sent later, even after we gave
    /// up and sent it again. So nothing is sent without one.
    async fn connected(&self) {
        let mut said = false;
        while self.client.connection_state() != State::Connected {
            if !said {
                warn!("waiting for the NATS server");
                said = true;
            }
            tokio::time::sleep(PAUSES[0]).await;
        }
    }

    async fn make_stream(&self) -> Result<()> {
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![format!("{STREAM}.>")],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            max_age: MAX_AGE,
            num_replicas: 1,
            ..stream::Config::default()
        };
        let stream = self.context.get_or_create_stream(config).await?;
        for (name, subject) in MENDERS_CONSUMERS {
            let made = stream.get_or_create_consumer(name, consumer(name, subject));
            if let Err(error) = made.await {
                // Somebody reads Mender's own jobs; our events do not depend on it.
                warn!("failed to make Mender's consumer {name}: {error}");
            }
        }
        Ok(())
    }
}

/// As the workflows worker makes it.
fn consumer(name: &str, subject: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        name: Some(name.to_owned()),
        description: Some("workflows/v1".to_owned()),
        filter_subject: format!("{STREAM}.{subject}"),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::All,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 1000,
        ..pull::Config::default()
    }
}

/// Pauses that grow up to a limit.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSES[0])
    }
}

impl Pause {
    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSES[1]);
    }
}
