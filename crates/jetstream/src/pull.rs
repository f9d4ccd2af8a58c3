//! Pulls messages for as long as the process lives, whatever happens to the server.
//!
//! The client library can stream messages by itself, but it fetches ahead as fast as they are
//! taken out, and after a reconnect it asks about the consumer before it goes on, which may take
//! long. This asks for exactly as many messages as there is room for, one request after the
//! other, and each request has an end: nothing has to be noticed for the next one to be made.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    connection::State,
    datetime::DateTime,
    jetstream::{self, Context, consumer::PullConsumer},
};
use futures::StreamExt as _;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Names, Result,
    ack::{Hold, Keeper},
    ensure_ingest_consumer, open,
};

/// How long a request waits at the server for messages.
const EXPIRES: Duration = Duration::from_secs(3);
/// After this much more, the server's word that the request has ended must have been lost.
const GRACE: Duration = Duration::from_secs(1);
/// How often the connection is looked at: a request made before a reconnect is never answered.
const LOOK: Duration = Duration::from_millis(200);
/// Pause after trouble, doubled each time up to the second one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A message, held.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: async_nats::Message,
    pub(crate) hold: Hold,
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) delivered: i64,
    /// When the server stored it, by its clock.
    pub(crate) published: DateTime,
}

/// Which consumer to pull from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) context: Context,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// Messages held ahead of their handling.
    pub(crate) ahead: usize,
    /// Makes the ingest consumer if it is missing and we may.
    pub(crate) make: Option<Names>,
}

/// Hands out messages. They come from a task of its own, which ends with this.
#[derive(Debug)]
pub(crate) struct Puller {
    messages: mpsc::Receiver<Delivery>,
    task: JoinHandle<()>,
}

impl Drop for Puller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Puller {
    pub(crate) fn start(source: Source, stop: CancellationToken) -> Self {
        let (sender, messages) = mpsc::channel(source.ahead.max(1));
        let pump = Pump {
            keeper: Keeper::start(source.context.client()),
            half: (source.ahead / 2).max(1),
            source,
            sender,
            consumer: None,
            told: None,
            pause: PAUSE.0,
        };
        Self {
            messages,
            task: tokio::spawn(async move {
                stop.run_until_cancelled(Box::pin(pump.run())).await;
            }),
        }
    }

    /// The next message; `None` once stopped and everything that was fetched is handed out.
    /// Nothing is lost if this is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        self.messages.recv().await
    }

    /// Gives back, at once, what was fetched and not handed out. For a puller that was stopped.
    pub(crate) async fn give_back(&mut self) {
        while let Some(delivery) = self.messages.recv().await {
            let nak = delivery.hold.say(jetstream::AckKind::Nak(None)).await;
            if let Err(error) = nak {
                tracing::debug!(%error, "a message comes again only after its ack wait");
            }
        }
    }
}

struct Pump {
    source: Source,
    keeper: Arc<Keeper>,
    sender: mpsc::Sender<Delivery>,
    /// Room to wait for before the next request, so that requests are not for one message each.
    half: usize,
    consumer: Option<PullConsumer>,
    /// The last trouble that was logged, so that it is logged once.
    told: Option<String>,
    pause: Duration,
}

impl Pump {
    async fn run(mut self) {
        loop {
            match self.request().await {
                Ok(()) => self.pause = PAUSE.0,
                Err(error) => {
                    self.tell(&error);
                    self.consumer = None;
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Makes one request and hands out what it brings.
    async fn request(&mut self) -> Result<()> {
        let client = self.source.context.client();
        while client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK).await;
        }
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.open().await?,
        };
        // Fails only if nobody is there to take messages; then this task is about to end.
        drop(self.sender.reserve_many(self.half).await);
        let room = self.sender.capacity();
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        let end = Instant::now() + EXPIRES + GRACE;
        let request = consumer.batch().max_messages(room).expires(EXPIRES);
        let mut batch = request
            .messages()
            .await
            .map_err(|error| Error::unavailable("failed to request messages", &error))?;
        loop {
            let now = Instant::now();
            match tokio::time::timeout_at((now + LOOK).min(end), batch.next()).await {
                Ok(Some(Ok(message))) => self.hand_out(message),
                Ok(Some(Err(error))) => {
                    return Err(Error::unavailable("failed to receive messages", &*error));
                }
                Ok(None) => break,
                Err(_) if Instant::now() >= end => break,
                Err(_) if client.statistics().connects.load(Ordering::Relaxed) != connects => break,
                Err(_) => {}
            }
        }
        self.consumer = Some(consumer);
        Ok(())
    }

    async fn open(&mut self) -> Result<PullConsumer> {
        let Source {
            context,
            stream,
            consumer,
            make,
            ..
        } = &self.source;
        let mut opened = open::consumer(context, stream, consumer).await;
        if let (Err(Error::Missing { .. }), Some(names)) = (&opened, make) {
            // Without the right to make it this fails, and the operator's `setup` is waited for.
            let made = Box::pin(ensure_ingest_consumer(context, names, false)).await;
            if let Err(error @ Error::Overlap { .. }) = made {
                return Err(error);
            }
            opened = open::consumer(context, stream, consumer).await;
        }
        let opened = opened?;
        self.keeper
            .set_ack_wait(opened.cached_info().config.ack_wait);
        if self.told.take().is_some() {
            tracing::info!(stream, consumer, "receiving messages again");
        }
        Ok(opened)
    }

    fn hand_out(&self, message: jetstream::Message) {
        let (Ok(info), Some(reply)) = (message.info(), message.reply.clone()) else {
            tracing::error!("a message without delivery information is left to the server");
            return;
        };
        let (stream, sequence) = (info.stream.to_owned(), info.stream_sequence);
        let (delivered, published) = (info.delivered, info.published);
        let delivery = Delivery {
            hold: self.keeper.hold(reply),
            stream,
            sequence,
            delivered,
            published,
            message: message.split().0,
        };
        // There is room for as many as were asked for.
        if self.sender.try_send(delivery).is_err() {
            tracing::debug!("a message more than was asked for is left to the server");
        }
    }

    fn tell(&mut self, error: &Error) {
        let (stream, consumer) = (&self.source.stream, &self.source.consumer);
        let lasting = !matches!(error, Error::Unavailable(_));
        let text = error.to_string();
        if lasting && self.told.as_ref() != Some(&text) {
            tracing::warn!(stream, consumer, %error, "waiting for the consumer");
            self.told = Some(text);
        } else {
            tracing::debug!(stream, consumer, %error, "trouble with receiving messages");
        }
    }
}
