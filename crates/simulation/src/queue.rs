//! The event stream: a work queue that delivers again what nobody acknowledged, and the wake-ups
//! that become messages of it.

use std::collections::BTreeMap;
use std::time::Duration;

use lifecycle::{Event, EventId, Timestamp};
use reconciler::ports::Payload;
use tokio::time::Instant;

use crate::case::Alarm;
use crate::streams::bytes_of;
use crate::world::World;

/// A message nobody speaks of for so long is delivered again.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(10);
/// More deliveries than this, and it may be the message that kills its workers.
pub(crate) const MAX_DELIVERIES: u32 = 5;

/// A message of the work queue: an event, or a wake-up.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) case: usize,
    pub(crate) event: Option<Event>,
    pub(crate) payload: Payload,
    pub(crate) published_at: Timestamp,
    pub(crate) delivered: u32,
    /// Not delivered before.
    available: Instant,
    /// The process that holds it.
    holder: Option<u64>,
}

/// All messages that are not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: BTreeMap<u64, Message>,
    last: u64,
}

/// A delivery.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) number: u64,
    pub(crate) case: usize,
    pub(crate) event: Option<Event>,
    pub(crate) payload: Payload,
    pub(crate) published_at: Timestamp,
    pub(crate) deliveries: u32,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of this event is there.
    pub(crate) fn holds(&self, id: &EventId) -> bool {
        let mut events = self
            .messages
            .values()
            .filter_map(|message| message.event.as_ref());
        events.any(|event| event.id == *id)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Message> {
        self.messages.remove(&number)
    }

    /// The message is offered again after so long.
    pub(crate) fn offer_again(&mut self, number: u64, after: Duration) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.available = Instant::now() + after;
        }
    }

    /// The process says no more about what it holds.
    pub(crate) fn fall_silent(&mut self, process: u64) {
        let again = Instant::now() + ACK_WAIT;
        for message in self.messages.values_mut() {
            if message.holder == Some(process) {
                message.available = message.available.min(again);
            }
        }
    }

    fn available(&self) -> impl Iterator<Item = u64> {
        let now = Instant::now();
        let ready = self
            .messages
            .iter()
            .filter(move |(_, message)| message.available <= now);
        ready.map(|(number, _)| *number)
    }
}

impl World {
    pub(crate) fn publish(&mut self, case: usize, event: Event) {
        self.ledger.publish(&event);
        let payload = bytes_of(&event);
        self.offer(case, Some(event), payload);
    }

    fn offer(&mut self, case: usize, event: Option<Event>, payload: Payload) {
        self.queue.last += 1;
        let number = self.queue.last;
        self.note(|world| {
            let what = event.as_ref().map_or("wake-up".into(), crate::brief::event);
            format!(
                "published as {number} for {}: {what}",
                world.cases[case].about.to_tokens()
            )
        });
        let message = Message {
            case,
            event,
            payload,
            published_at: self.now(),
            delivered: 0,
            available: Instant::now(),
            holder: None,
        };
        self.queue.messages.insert(number, message);
    }

    /// Hands out a message, or says when to ask again.
    pub(crate) fn take(&mut self, process: u64) -> Result<Delivered, Option<Instant>> {
        self.ring();
        let ready: Vec<u64> = self.queue.available().collect();
        if self.closed {
            return Err(None);
        }
        if ready.is_empty() {
            return Err(self.next_time());
        }
        // Mostly in order: else the newest event would soon leave nothing to do.
        let number = if self.rng.chance(self.faults.disorder) {
            *self.rng.pick(&ready)
        } else {
            ready[0]
        };
        let twice = self.rng.chance(self.faults.twice);
        let soon = self.rng.time(ACK_WAIT);
        let message = self.queue.messages.get_mut(&number);
        let message = message.expect("it is in the queue");
        message.delivered += 1;
        message.holder = Some(process);
        let far = Duration::from_secs(30 * 86_400);
        message.available = Instant::now() + if twice { soon } else { far };
        let delivered = Delivered {
            number,
            case: message.case,
            event: message.event.clone(),
            payload: message.payload.clone(),
            published_at: message.published_at,
            deliveries: message.delivered,
        };
        if twice {
            self.chronicle.fault("progress lost");
        }
        if delivered.deliveries > 1 {
            self.chronicle.saw("redelivered");
        }
        Ok(delivered)
    }

    /// When something is going to be there.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        let messages = self
            .queue
            .messages
            .values()
            .map(|message| message.available);
        let now = (self.now(), Instant::now());
        let alarms = self.cases.iter().filter_map(|case| case.alarm.as_ref());
        let dues = alarms.map(|alarm| now.1 + alarm.due.since(now.0));
        messages.chain(dues).min()
    }

    /// Wake-ups that are due become messages.
    fn ring(&mut self) {
        let now = self.now();
        for case in 0..self.cases.len() {
            let due = |alarm: &mut Alarm| alarm.due <= now;
            let Some(alarm) = self.cases[case].alarm.take_if(due) else {
                continue;
            };
            self.chronicle.saw("wake-up");
            if self.rng.chance(self.faults.second_wake_up) {
                self.chronicle.fault("wake-up twice");
                self.offer(case, None, alarm.payload.clone());
            }
            self.offer(case, None, alarm.payload);
        }
    }
}
