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
use lifecycle::{Done, EventId, Outcome};
use messages::{Malformed, OutcomeMessage, header};
use reconciler::ports::{Ack as _, DeadClass, DeadLetter, Payload, Streams as _, Task};
use tokio_util::sync::CancellationToken;

use crate::{
    NatsAck, NatsStreams, Result,
    ack::Again,
    devices::timestamp,
    headers::{self, SCHEDULE_TARGET, append},
    pull::{Delivery, Puller, Source},
    streams::copy_headers,
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
    counters: Arc<IntakeCounters>,
}

/// A message taken apart, before its body is read.
struct Opened {
    /// The event's own name, or that of the message.
    id: EventId,
    wake_up: bool,
    payload: Payload,
    /// As the subject has them; `None` if the subject is no event's.
    tokens: Option<(String, String)>,
    /// What is wrong with the headers.
    wrong: Option<Malformed>,
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
            let Some(Some(delivery)) = stop.run_until_cancelled(self.puller.next()).await else {
                self.puller.give_back().await;
                return None;
            };
            if let Some(task) = self.take(delivery).await {
                return Some(task);
            }
        }
    }

    async fn take(&self, delivery: Delivery) -> Option<Task<NatsAck>> {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if delivery.delivered > 1 {
            count(&self.counters.redelivered);
        }
        let opened = self.open(&delivery);
        let published_at = timestamp(delivery.published);
        let delivered = delivery.delivered;
        let ack = self.ack(delivery, &opened);
        if delivered > i64::from(self.settings.max_deliveries) {
            count(&self.counters.poison);
            self.bury_poison(opened, delivered, ack).await;
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
                self.bury_malformed(opened, &malformed, delivered, ack)
                    .await;
                None
            }
        }
    }

    fn open(&self, delivery: &Delivery) -> Opened {
        let message = &delivery.message;
        let mut pairs = headers::pairs(message.headers.as_ref());
        let wake_up = headers::find(&pairs, header::WAKE_UP).is_some();
        let own_name = EventId(format!("{}-{}", delivery.stream, delivery.sequence));
        let mut wrong = headers::replay(&pairs).err();
        let id = match headers::event_id(&pairs) {
            Ok(Some(id)) => {
                // What a wake-up carries is an event like any other.
                pairs.retain(|(name, _)| name != header::WAKE_UP);
                id
            }
            Ok(None) => {
                if !wake_up {
                    // From here on the event has this name, wherever its bytes go.
                    pairs.push((header::EVENT_ID.to_owned(), own_name.0.clone()));
                }
                own_name
            }
            Err(malformed) => {
                wrong = Some(malformed);
                pairs.retain(|(name, _)| name != header::EVENT_ID);
                own_name
            }
        };
        Opened {
            id,
            wake_up,
            tokens: self.streams.names.event_tokens(&message.subject),
            wrong,
            payload: Payload {
                subject: message.subject.to_string(),
                body: message.payload.to_vec(),
                headers: pairs,
            },
        }
    }

    fn ack(&self, delivery: Delivery, opened: &Opened) -> NatsAck {
        let mut headers = HeaderMap::new();
        copy_headers(&mut headers, &opened.payload);
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
            hold: delivery.hold,
            delivered: delivery.delivered,
            again: Again {
                context: self.context.clone(),
                subject: self.streams.names.postponed_subject(&tail, what),
                headers,
                body: delivery.message.payload,
            },
        }
    }

    async fn bury_malformed(&self, opened: Opened, why: &Malformed, delivered: i64, ack: NatsAck) {
        let replay = headers::replay(&opened.payload.headers).unwrap_or(0);
        let (tenant, device) = opened.said();
        let outcome =
            OutcomeMessage::malformed(&opened.id, tenant.clone(), device.clone(), why, replay);
        let letter = letter(opened, DeadClass::Malformed, why.to_string(), delivered);
        self.bury(&letter, Some(outcome), ack).await;
    }

    /// A wake-up has no outcome: the record still owes that of its event.
    async fn bury_poison(&self, opened: Opened, delivered: i64, ack: NatsAck) {
        let why = format!("delivered {delivered} times without an end");
        let outcome = (!opened.wake_up).then(|| match opened.event() {
            Ok(event) => OutcomeMessage::from(&Done {
                event,
                outcome: Outcome::Dead,
                reason: Some(why.clone()),
            }),
            Err(malformed) => {
                let (tenant, device) = opened.said();
                OutcomeMessage::malformed(&opened.id, tenant, device, &malformed, 0)
            }
        });
        let letter = letter(opened, DeadClass::Poison, why, delivered);
        self.bury(&letter, outcome, ack).await;
    }

    async fn bury(&self, letter: &DeadLetter, outcome: Option<OutcomeMessage>, ack: NatsAck) {
        tracing::warn!(event = letter.id.0, reason = letter.reason, "dead letter");
        let buried = async {
            self.streams.dead_letter(letter).await?;
            if let Some(outcome) = outcome {
                self.streams.report_one(&outcome).await?;
            }
            Ok::<_, reconciler::ports::PortError>(())
        };
        let ended = match buried.await {
            Ok(()) => ack.ack().await,
            Err(error) => {
                tracing::warn!(%error, "failed to dead-letter a message; it comes again");
                ack.retry(AGAIN).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the message comes again");
        }
    }
}

impl Opened {
    fn about(&self) -> Result<lifecycle::DeviceRef, Malformed> {
        let wrong = || Malformed::because("the subject is not that of an event");
        let (tenant, device) = self.tokens.as_ref().ok_or_else(wrong)?;
        messages::device_of(tenant, device)
    }

    fn event(&self) -> Result<lifecycle::Event, Malformed> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let wrong = || Malformed::because("the subject is not that of an event");
        let (tenant, device) = self.tokens.as_ref().ok_or_else(wrong)?;
        let replay = headers::replay(&self.payload.headers)?;
        messages::parse_event(self.id.clone(), tenant, device, &self.payload.body, replay)
    }

    /// Tenant and device as the subject says, as far as it can be decoded.
    fn said(&self) -> (Option<String>, Option<String>) {
        let decode = |token: &String| lifecycle::decode_token(token).ok();
        let tokens = self.tokens.as_ref();
        let (tenant, device) = tokens.map_or((None, None), |(t, d)| (decode(t), decode(d)));
        (tenant, device)
    }
}

fn letter(opened: Opened, class: DeadClass, reason: String, delivered: i64) -> DeadLetter {
    let (tenant, device) = opened.said();
    DeadLetter {
        id: opened.id,
        tenant,
        device,
        class,
        reason,
        attempts: u32::try_from(delivered - 1).unwrap_or(0),
        payload: opened.payload,
    }
}
