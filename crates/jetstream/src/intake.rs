//! Hands out work: the messages of the event stream, read.
//!
//! What cannot be read never leaves here: it becomes a dead letter with its bytes and an outcome,
//! and is acknowledged. The same happens, without a look at it by the reconciler, to a message
//! that was delivered too often, since the processes that had it before may have died of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use async_nats::{HeaderMap, jetstream::Context};
use lifecycle::EventId;
use messages::header;
use reconciler::ports::{Ack as _, Task};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;

use crate::{
    NatsAck, NatsStreams,
    ack::Again,
    devices::timestamp,
    headers::{self, SCHEDULE_TARGET, append},
    opened::{Dead, Opened},
    pull::{Delivery, Puller, Source},
    streams::{append_since, copy_headers},
};

/// How long a message waits that could not be dead-lettered.
const AGAIN: Duration = Duration::from_secs(5);
/// The token that stands for a wake-up's id where it is published anew.
const WAKE_UP: &str = "wake-up";

/// How messages are taken.
#[derive(Debug, Clone, Copy)]
pub struct IntakeSettings {
    /// Messages fetched ahead of their handling.
    pub ahead: usize,
    /// A message delivered more often than this is dead-lettered unhandled.
    pub max_deliveries: u32,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            ahead: 128,
            max_deliveries: 5,
        }
    }
}

/// What has come in so far.
#[derive(Debug, Default)]
pub struct IntakeCounters {
    /// Events handed out, repetitions included.
    pub events: AtomicU64,
    /// Wake-ups handed out.
    pub wake_ups: AtomicU64,
    /// Messages delivered not for the first time.
    pub redelivered: AtomicU64,
    /// Messages dead-lettered because they could not be read.
    pub malformed: AtomicU64,
    /// Messages dead-lettered because they were delivered too often.
    pub poison: AtomicU64,
}

/// The work of one process.
#[derive(Debug)]
pub struct Intake {
    context: Context,
    streams: NatsStreams,
    settings: IntakeSettings,
    puller: Puller,
    stop: CancellationToken,
    /// Messages that could neither be ended nor given back, to be taken again. No more than the
    /// consumer's `max_ack_pending`.
    kept: (UnboundedSender<Delivery>, UnboundedReceiver<Delivery>),
    counters: Arc<IntakeCounters>,
}

impl Intake {
    /// Begins to fetch. The consumer need not be there yet: it is waited for.
    #[must_use]
    pub fn start(
        context: &Context,
        streams: NatsStreams,
        settings: IntakeSettings,
        stop: CancellationToken,
    ) -> Self {
        let source = Source {
            context: context.clone(),
            stream: streams.names.events_stream(),
            consumer: streams.names.worker_consumer(),
            ahead: settings.ahead,
            make: None,
        };
        Self {
            context: context.clone(),
            streams,
            settings,
            puller: Puller::start(source, stop.clone()),
            stop,
            kept: mpsc::unbounded_channel(),
            counters: Arc::default(),
        }
    }

    /// Counts what comes in.
    #[must_use]
    pub fn counters(&self) -> Arc<IntakeCounters> {
        Arc::clone(&self.counters)
    }

    /// The next work; `None` once stopped, when all that was fetched ahead has been given back.
    pub async fn next(&mut self) -> Option<Task<NatsAck>> {
        loop {
            let stop = self.stop.clone();
            let (puller, kept) = (&mut self.puller, &mut self.kept.1);
            let coming = async {
                tokio::select! {
                    // First what was there first, so that it does not become ever more.
                    biased;
                    delivery = kept.recv() => delivery,
                    delivery = puller.next() => delivery,
                }
            };
            let Some(Some(delivery)) = stop.run_until_cancelled(coming).await else {
                self.give_back().await;
                return None;
            };
            if let Some(task) = self.take(delivery).await {
                return Some(task);
            }
        }
    }

    /// Gives back, at once, what was fetched and not handed out.
    async fn give_back(&mut self) {
        self.kept.1.close();
        while let Ok(delivery) = self.kept.1.try_recv() {
            self.leave(delivery).await;
        }
        while let Some(delivery) = self.puller.next().await {
            self.leave(delivery).await;
        }
    }

    async fn leave(&self, delivery: Delivery) {
        let opened = self.open(&delivery);
        if let Err(error) = self.ack(delivery, &opened).leave().await {
            tracing::debug!(%error, "a message comes again only after its ack wait");
        }
    }

    fn open(&self, delivery: &Delivery) -> Opened {
        Opened::new(
            &self.streams.names,
            &delivery.message,
            &format!("{}-{}", delivery.stream, delivery.sequence),
        )
    }

    async fn take(&self, delivery: Delivery) -> Option<Task<NatsAck>> {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if delivery.delivered > 1 {
            count(&self.counters.redelivered);
        }
        let mut opened = self.open(&delivery);
        let published_at = timestamp(delivery.published);
        let delivered = delivery.delivered;
        if !opened.wake_up {
            opened.payload.since.get_or_insert(published_at);
        }
        let ack = self.ack(delivery, &opened);
        if delivered > i64::from(self.settings.max_deliveries) {
            count(&self.counters.poison);
            let why = format!("delivered {delivered} times without an end");
            self.bury(&opened.poison(delivered, why), ack).await;
            return None;
        }
        let event = if opened.wake_up {
            opened.about().map(|_| None)
        } else {
            opened.event().map(Some)
        };
        match (event, opened.about()) {
            (Ok(event), Ok(about)) => {
                count(if event.is_some() {
                    &self.counters.events
                } else {
                    &self.counters.wake_ups
                });
                let carries = headers::find(&opened.payload.headers, header::EVENT_ID);
                Some(Task {
                    about,
                    event,
                    carries: carries.map(|id| EventId(id.to_owned())),
                    payload: opened.payload,
                    published_at,
                    ack,
                })
            }
            (Err(malformed), _) | (_, Err(malformed)) => {
                count(&self.counters.malformed);
                self.bury(&opened.malformed(&malformed, delivered), ack)
                    .await;
                None
            }
        }
    }

    fn ack(&self, delivery: Delivery, opened: &Opened) -> NatsAck {
        let mut headers = HeaderMap::new();
        copy_headers(&mut headers, &opened.payload);
        append_since(&mut headers, &opened.payload);
        if opened.wake_up {
            append(&mut headers, header::WAKE_UP, "1");
        }
        append(&mut headers, SCHEDULE_TARGET, &opened.payload.subject);
        let what = if opened.wake_up {
            WAKE_UP
        } else {
            &opened.id.0
        };
        let tail = opened.tokens.as_ref();
        let tail = tail.map_or_else(|| "=.=".to_owned(), |(t, d)| format!("{t}.{d}"));
        NatsAck {
            delivery,
            again: Again {
                context: self.context.clone(),
                subject: self.streams.names.postponed_subject(&tail, what),
                headers,
            },
            kept: self.kept.0.clone(),
        }
    }

    async fn bury(&self, dead: &Dead, ack: NatsAck) {
        match dead.bury(&self.streams).await {
            Ok(()) => {
                if let Err(error) = ack.ack().await {
                    tracing::debug!(%error, "the message comes again");
                }
            }
            // Given back it would begin a new life, if it may have killed somebody.
            Err(error) => {
                tracing::warn!(%error, "failed to dead-letter a message; it is kept");
                ack.keep(AGAIN);
            }
        }
    }
}
