//! Answers that their worker could not store, because somebody else had changed the record.
//!
//! Whoever loses a compare-and-set starts over, but what an answer says of this worker's own
//! request is true whatever the record says by now: the request is over, the device has the key.
//! Two workers that are each slower than a lease would otherwise take the other's request for
//! lost again and again.

use crate::{
    Claim, Delivery, DeliveryReply, Fate, Input, IntegrationRef, IntentId, KeySlot, Op, Record,
    Rotation, WriteReply,
};

/// More claims to one delivery than there are workers that may hold a message about its device.
const MOST_REPLACED: usize = 16;

/// The answer to a request of this worker's, until it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    integration: IntegrationRef,
    reply: Reply,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reply {
    Write(WriteReply),
    Delivery(DeliveryReply),
}

impl Answer {
    /// What is worth keeping of `input`, which came by way of `integration`: that a request is over.
    #[must_use]
    pub fn of(input: &Input, integration: &IntegrationRef) -> Option<Self> {
        let is_over = |fate: Option<Fate>| fate != Some(Fate::Unknown);
        let reply = match input {
            Input::Replied(reply) if is_over(fate(&reply.result)) => Reply::Write(reply.clone()),
            Input::Delivered(reply) if is_over(fate(&reply.result)) => {
                Reply::Delivery(reply.clone())
            }
            _ => return None,
        };
        Some(Self {
            integration: integration.clone(),
            reply,
        })
    }
}

fn fate<T, F>(result: &Result<T, (F, Fate)>) -> Option<Fate> {
    result.as_ref().err().map(|(_, fate)| *fate)
}

impl crate::Device {
    /// Takes in an answer of which the record may not know, because its save was lost.
    ///
    /// What it shows of the hub may be older than the record, so nothing is planned on it before
    /// the hub was read.
    pub fn recall(&mut self, answer: &Answer) {
        let Some(record) = &mut self.record else {
            return;
        };
        match &answer.reply {
            Reply::Write(reply) => record.recall_write(reply, &answer.integration),
            Reply::Delivery(reply) if record.is_about(&answer.integration) => {
                record.take_delivery(reply);
            }
            Reply::Delivery(reply) => record.end_claim(reply),
        }
    }
}

impl Record {
    fn is_about(&self, integration: &IntegrationRef) -> bool {
        self.integration.hub == integration.hub && self.integration.id == integration.id
    }

    /// The request is over. An identity that was made is noted before the intent that tells for whom is
    /// forgotten; where the record knows of another one, only a read can tell which of them is there, so
    /// the intent stays until then.
    fn recall_write(&mut self, reply: &WriteReply, by: &IntegrationRef) {
        let mut intents = self.intents.iter();
        let Some(intent) = intents.find(|intent| intent.id == reply.intent) else {
            return;
        };
        let created = intent.op == Op::Create;
        match &reply.result {
            Ok(_) if self.is_about(by) && created && self.live_generation().is_some() => {}
            Ok(found) if self.is_about(by) => {
                if created {
                    self.see(found.as_ref());
                }
                self.succeeded(&reply.intent);
            }
            _ => self.intents.retain(|intent| intent.id != reply.intent),
        }
        self.confirmed = false;
    }

    /// A request of this intent had its effect.
    pub(crate) fn succeeded(&mut self, id: &IntentId) {
        let Some(place) = self.intents.iter().position(|intent| intent.id == *id) else {
            return;
        };
        if let Op::Keys { change, .. } = self.intents.remove(place).op {
            self.keys_changed(change);
        }
    }

    /// Takes over what became of a delivery, be it for the claim that the record holds or for one
    /// that this claim has replaced: whatever is delivered for it comes later and is the same.
    pub(crate) fn take_delivery(&mut self, reply: &DeliveryReply) {
        let claim = self.delivery.claim.as_ref();
        let counts = claim.is_some_and(|claim| claim.is_or_replaced(&reply.claim));
        if let (Ok(fingerprint), true) = (&reply.result, counts) {
            let key = claim.map(|claim| claim.key);
            if (key, self.rotation) == (Some(KeySlot::Secondary), Some(Rotation::Deliver)) {
                self.rotation = Some(Rotation::Swap);
            }
            self.delivery.delivered = Some(reply.generation.clone());
            self.delivery.fingerprint = Some(fingerprint.clone());
            self.delivery.other = None;
        }
        self.end_claim(reply);
    }

    fn end_claim(&mut self, reply: &DeliveryReply) {
        let over = fate(&reply.result) != Some(Fate::Unknown);
        let claim = self.delivery.claim.as_ref();
        if over && claim.is_some_and(|claim| claim.id == reply.claim) {
            self.delivery.claim = None;
        }
    }
}

impl Claim {
    fn is_or_replaced(&self, id: &IntentId) -> bool {
        self.id == *id || self.replaced.contains(id)
    }
}

impl Delivery {
    /// Claims the delivery, in the place of whoever claimed it before.
    pub(crate) fn claim(&mut self, id: IntentId, generation: String, key: KeySlot) {
        let before = self.claim.take();
        let same = before
            .filter(|claim| claim.generation.as_ref() == Some(&generation) && claim.key == key);
        let mut replaced = same.map_or_else(Vec::new, |claim| {
            let mut replaced = claim.replaced;
            replaced.push(claim.id);
            replaced
        });
        let forgotten = replaced.len().saturating_sub(MOST_REPLACED);
        replaced.drain(..forgotten);
        self.claim = Some(Claim {
            id,
            seen_at: None,
            generation: Some(generation),
            key,
            replaced,
        });
    }
}
