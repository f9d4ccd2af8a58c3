//! Brings Mender's messages into our own stream, one event for each device.
//!
//! A message is acknowledged once everything that came of it is stored: events under the device's
//! subject, dead letters and their outcomes for what could not be read. Until then it is tried
//! again without end, since the cause can only be a server, and one message that waits costs less
//! than one that is lost. Trying again is harmless: each event has a name by which the stream
//! knows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    HeaderMap,
    jetstream::{AckKind, Context},
};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, FuturesUnordered},
};
use lifecycle::{EventId, TenantId};
use messages::{Malformed, MenderDevice, MenderMessage, OutcomeMessage, header};
use reconciler::ports::{DeadClass, DeadLetter, Payload};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, NatsStreams, Result,
    devices::timestamp,
    headers::{self, LIST_INDEX, MESSAGE_ID, append},
    opened::Dead,
    publish::publish,
    pull::{Delivery, Puller, Source},
};

/// Events of one list that are published at once.
const LIST_AT_ONCE: usize = 64;
/// Pause after a failure, doubled each time up to the second one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How messages are brought in.
#[derive(Debug, Clone, Copy)]
pub struct IngestSettings {
    /// Messages handled at once.
    pub at_once: usize,
    /// A message delivered more often than this is dead-lettered unread.
    pub max_deliveries: u32,
    /// Makes the consumer when the source stream comes to be and `setup` was run before that.
    pub make_consumer: bool,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            at_once: 64,
            max_deliveries: 5,
            make_consumer: true,
        }
    }
}

/// What was brought in so far.
#[derive(Debug, Default)]
pub struct IngestCounters {
    /// Messages of the source stream that were dealt with.
    pub messages: AtomicU64,
    /// Events published, repetitions included.
    pub events: AtomicU64,
    /// Dead letters for messages, or devices in them, that could not be read.
    pub malformed: AtomicU64,
    /// Dead letters for messages that were delivered too often.
    pub poison: AtomicU64,
    /// Times that something could not be stored and was tried again.
    pub retries: AtomicU64,
}

/// The way from Mender's stream to ours.
#[derive(Debug)]
pub struct Ingest {
    context: Context,
    streams: NatsStreams,
    settings: IngestSettings,
    counters: Arc<IngestCounters>,
}

impl Ingest {
    /// An ingest that waits to be [run](Self::run).
    #[must_use]
    pub fn new(context: &Context, streams: NatsStreams, settings: IngestSettings) -> Self {
        Self {
            context: context.clone(),
            streams,
            settings,
            counters: Arc::default(),
        }
    }

    /// Counts what is brought in.
    #[must_use]
    pub fn counters(&self) -> Arc<IngestCounters> {
        Arc::clone(&self.counters)
    }

    /// Works until stopped. A source stream that is not there yet is waited for.
    pub async fn run(self, stop: CancellationToken) {
        let names = &self.streams.names;
        let source = Source {
            context: self.context.clone(),
            stream: names.source_stream().to_owned(),
            consumer: names.ingest_consumer(),
            ahead: self.settings.at_once.saturating_mul(2),
            make: self.settings.make_consumer.then(|| names.clone()),
        };
        let mut puller = Puller::start(source, stop.clone());
        let mut running = FuturesUnordered::new();
        loop {
            let room = running.len() < self.settings.at_once.max(1);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(()) = running.next(), if !running.is_empty() => {}
                delivery = puller.next(), if room => match delivery {
                    Some(delivery) => running.push(Box::pin(self.handle(delivery, &stop))),
                    None => break,
                },
            }
        }
        while running.next().await.is_some() {}
        puller.give_back().await;
    }

    /// Deals with one message, however long that takes.
    async fn handle(&self, delivery: Delivery, stop: &CancellationToken) {
        let mut pause = PAUSE.0;
        loop {
            let stored = async {
                self.store(&delivery).await?;
                delivery.hold.say(AckKind::Ack).await
            };
            let Err(error) = stored.await else {
                self.counters.messages.fetch_add(1, Ordering::Relaxed);
                return;
            };
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(sequence = delivery.sequence, %error, "failed to bring a message in");
            let waited = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            if waited.is_none() {
                // If this fails too, the message comes again after its ack wait.
                let _ = delivery.hold.say(AckKind::Nak(None)).await;
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn store(&self, delivery: &Delivery) -> Result<()> {
        let name = EventId(format!("{}-{}", delivery.stream, delivery.sequence));
        if delivery.delivered > i64::from(self.settings.max_deliveries) {
            let why = format!("delivered {} times without an end", delivery.delivered);
            let whole = Part::whole(name, DeadClass::Poison, Malformed { reason: why.into() });
            return self.bury(delivery, whole, &self.counters.poison).await;
        }
        match messages::parse_mender(&delivery.message.payload) {
            Ok(message) => self.split(delivery, &name, message).await,
            Err(malformed) => {
                let whole = Part::whole(name, DeadClass::Malformed, malformed);
                self.bury(delivery, whole, &self.counters.malformed).await
            }
        }
    }

    async fn split(
        &self,
        delivery: &Delivery,
        name: &EventId,
        message: MenderMessage,
    ) -> Result<()> {
        let MenderMessage { tenant, devices } = message;
        let several = devices.len() > 1;
        let parts = devices.into_iter().enumerate().map(|(index, device)| {
            let tenant = tenant.clone();
            Box::pin(async move {
                let id = part_id(name, index, several);
                match device {
                    Ok(device) => self.forward(delivery, id, index, tenant, device).await,
                    Err(bad) => {
                        let part = Part {
                            id,
                            index: Some(index),
                            tenant: Some(tenant.into()),
                            device: bad.device,
                            class: DeadClass::Malformed,
                            why: bad.malformed,
                        };
                        self.bury(delivery, part, &self.counters.malformed).await
                    }
                }
            })
        });
        stream::iter(parts)
            .buffer_unordered(LIST_AT_ONCE)
            .try_collect()
            .await
    }

    async fn forward(
        &self,
        delivery: &Delivery,
        id: EventId,
        index: usize,
        tenant: TenantId,
        device: MenderDevice,
    ) -> Result<()> {
        let event = device.into_event(id, tenant);
        // The time of storing tells two messages apart that have one number, because the stream
        // was deleted in between and made anew.
        let stored = timestamp(delivery.published).as_micros();
        let (stream, sequence) = (&delivery.stream, delivery.sequence);
        let mut headers = HeaderMap::new();
        append(
            &mut headers,
            MESSAGE_ID,
            &format!("{stream}:{sequence}:{stored}:{index}"),
        );
        append(&mut headers, header::EVENT_ID, &event.id.0);
        headers::copy_trace(&mut headers, delivery.message.headers.as_ref());
        let subject = self.streams.names.event_subject(&event.about);
        let body = messages::to_body(&event);
        publish(&self.context, subject, headers, body.into()).await?;
        self.counters.events.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn bury(&self, delivery: &Delivery, part: Part, counter: &AtomicU64) -> Result<()> {
        let message = &delivery.message;
        let mut headers = headers::pairs(message.headers.as_ref());
        headers.extend(
            part.index
                .map(|index| (LIST_INDEX.to_owned(), index.to_string())),
        );
        let outcome = OutcomeMessage::malformed(
            &part.id,
            part.tenant.clone(),
            part.device.clone(),
            &part.why,
            0,
        );
        let letter = DeadLetter {
            id: part.id,
            tenant: part.tenant,
            device: part.device,
            class: part.class,
            reason: part.why.to_string(),
            attempts: u32::try_from(delivery.delivered - 1).unwrap_or(0),
            payload: Payload {
                subject: message.subject.to_string(),
                body: message.payload.to_vec(),
                headers,
                since: None,
            },
        };
        let outcome = Some(outcome);
        let failed = |error| Error::unavailable("failed to dead-letter a message", &error);
        let buried = Dead { letter, outcome }.bury(&self.streams).await;
        buried.map_err(failed)?;
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The part of a message that becomes a dead letter.
struct Part {
    id: EventId,
    /// Its place in the list, for one device of several.
    index: Option<usize>,
    tenant: Option<String>,
    device: Option<String>,
    class: DeadClass,
    why: Malformed,
}

impl Part {
    const fn whole(id: EventId, class: DeadClass, why: Malformed) -> Self {
        Self {
            id,
            index: None,
            tenant: None,
            device: None,
            class,
            why,
        }
    }
}

/// The name of the event that one device of a message makes.
pub(crate) fn part_id(message: &EventId, index: usize, several: bool) -> EventId {
    if several {
        EventId(format!("{}-{index}", message.0))
    } else {
        message.clone()
    }
}
