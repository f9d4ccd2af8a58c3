//! A message of the event stream taken apart, and what is left of one that is given up.

use async_nats::Message;
use lifecycle::{DeviceRef, Done, Event, EventId, Outcome, Timestamp};
use messages::{Malformed, OutcomeMessage, header};
use reconciler::ports::{DeadClass, DeadLetter, Payload, PortResult, Streams as _};

use crate::{Names, NatsStreams, Result, headers};

/// A message taken apart, before its body is read.
pub(crate) struct Opened {
    /// The event's own name, or that of the message.
    pub(crate) id: EventId,
    pub(crate) wake_up: bool,
    pub(crate) payload: Payload,
    /// As the subject has them; `None` if the subject is no event's.
    pub(crate) tokens: Option<(String, String)>,
    /// What is wrong with the headers.
    wrong: Option<Malformed>,
}

/// A message that is given up: what is kept of it, and what is said of its event.
pub(crate) struct Dead {
    pub(crate) letter: DeadLetter,
    pub(crate) outcome: Option<OutcomeMessage>,
}

impl Dead {
    /// Stores both, or neither if the event has ended already. To be repeated if it fails: neither is
    /// stored twice.
    pub(crate) async fn bury(&self, streams: &NatsStreams) -> PortResult<()> {
        let letter = &self.letter;
        let (event, reason) = (&letter.id.0, &letter.reason);
        if let Some(outcome) = &self.outcome
            && !streams.end(outcome).await?
        {
            tracing::warn!(event, reason, "no dead letter: the event had ended already");
            return Ok(());
        }
        tracing::warn!(event, reason, "dead letter");
        streams.dead_letter(letter).await?;
        // Warnings alike are left out of the log; what was decided never is.
        if self.outcome.is_some() {
            tracing::info!(event, outcome = ?Outcome::Dead, reason, "event ended");
        }
        Ok(())
    }
}

impl Opened {
    /// `own_name` is the event's name if the message brings none.
    pub(crate) fn new(names: &Names, message: &Message, own_name: &str) -> Self {
        let mut pairs = headers::pairs(message.headers.as_ref());
        let wake_up = headers::find(&pairs, header::WAKE_UP).is_some();
        let own_name = EventId(own_name.to_owned());
        let since = headers::find(&pairs, header::SINCE_US).and_then(|text| text.parse().ok());
        pairs.retain(|(name, _)| name != header::SINCE_US);
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
        Self {
            id,
            wake_up,
            tokens: names.event_tokens(&message.subject),
            wrong,
            payload: Payload {
                subject: message.subject.to_string(),
                body: message.payload.to_vec(),
                headers: pairs,
                since: since.map(Timestamp::from_micros),
            },
        }
    }

    pub(crate) fn about(&self) -> Result<DeviceRef, Malformed> {
        let wrong = || Malformed::because("the subject is not that of an event");
        let (tenant, device) = self.tokens.as_ref().ok_or_else(wrong)?;
        messages::device_of(tenant, device)
    }

    pub(crate) fn event(&self) -> Result<Event, Malformed> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let wrong = || Malformed::because("the subject is not that of an event");
        let (tenant, device) = self.tokens.as_ref().ok_or_else(wrong)?;
        let replay = headers::replay(&self.payload.headers)?;
        messages::parse_event(self.id.clone(), tenant, device, &self.payload.body, replay)
    }

    /// Given up because it cannot be read.
    pub(crate) fn malformed(self, why: &Malformed, delivered: i64) -> Dead {
        let replay = headers::replay(&self.payload.headers).unwrap_or(0);
        let (tenant, device) = self.said();
        let outcome = OutcomeMessage::malformed(&self.id, tenant, device, why, replay);
        Dead {
            letter: self.letter(DeadClass::Malformed, why.to_string(), delivered),
            outcome: Some(outcome),
        }
    }

    /// Given up because it was delivered too often. A wake-up has no outcome: the record still owes
    /// that of its event.
    pub(crate) fn poison(self, delivered: i64, why: String) -> Dead {
        let outcome = (!self.wake_up).then(|| match self.event() {
            Ok(event) => OutcomeMessage::from(&Done {
                event,
                outcome: Outcome::Dead,
                reason: Some(why.clone()),
            }),
            Err(malformed) => {
                let (tenant, device) = self.said();
                OutcomeMessage::malformed(&self.id, tenant, device, &malformed, 0)
            }
        });
        Dead {
            letter: self.letter(DeadClass::Poison, why, delivered),
            outcome,
        }
    }

    /// Tenant and device as the subject says, as far as it can be decoded.
    fn said(&self) -> (Option<String>, Option<String>) {
        let decode = |token: &String| lifecycle::decode_token(token).ok();
        let tokens = self.tokens.as_ref();
        let (tenant, device) = tokens.map_or((None, None), |(t, d)| (decode(t), decode(d)));
        (tenant, device)
    }

    fn letter(self, class: DeadClass, reason: String, delivered: i64) -> DeadLetter {
        let (tenant, device) = self.said();
        DeadLetter {
            id: self.id,
            tenant,
            device,
            class,
            reason,
            attempts: u32::try_from(delivered - 1).unwrap_or(0),
            payload: self.payload,
        }
    }
}
