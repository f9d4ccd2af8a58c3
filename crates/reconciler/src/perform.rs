//! Performing effects: each calls one port and turns the answer into the next input.

use std::sync::atomic::{AtomicU64, Ordering};

use lifecycle::{
    DeliveryReply, Device, DeviceRef, Effect, Event, Failure, Fate, HubWrite, Input, KeySlot,
    Parked, ReadReply, Timestamp, WriteReply,
};

use crate::handler::{Handling, Reconciler, Work, asked_by};
use crate::ports::{
    DeadClass, DeadLetter, DeviceStore, Hub, Hubs, Mender, PortResult, Seen, Streams,
};
use crate::suspension::Asked;

/// The identity at hand, keys included.
pub(crate) type Held<I> = Seen<I>;

impl<S, H, M, T> Reconciler<S, H, M, T>
where
    S: DeviceStore,
    H: Hubs,
    M: Mender<Identity = <H::Hub as Hub>::Identity>,
    T: Streams,
{
    /// Performs one effect. `None` means that the message may be acknowledged.
    pub(crate) async fn perform(
        &self,
        work: &Work,
        effect: Effect,
        device: &Device,
        handling: &mut Handling<H::Hub>,
    ) -> PortResult<Option<Input>> {
        let input = match effect {
            Effect::Ack => return Ok(None),
            Effect::Arm(due) => {
                self.arm(work, device, due).await?;
                return Ok(None);
            }
            Effect::Pause(wait) => {
                tokio::time::sleep(wait).await;
                Input::Woken
            }
            Effect::Read => Input::Read(self.read(work, handling).await),
            Effect::Write(request) => Input::Replied(self.write(work, request, handling).await),
            Effect::Deliver {
                claim,
                generation,
                key,
            } => {
                let result = self.deliver(work, &generation, key, handling).await;
                Input::Delivered(DeliveryReply {
                    claim,
                    generation,
                    result,
                })
            }
            Effect::Tag { etag } => Input::Tagged(self.tag(work, &etag, handling).await),
            Effect::AskMender => Input::Mender(self.mender.view(&work.about).await),
            Effect::DeadLetter(event, parked) => {
                self.dead_letter(work, &event, &parked).await?;
                Input::DeadLettered
            }
            Effect::Report(ended) => {
                self.streams.report(&ended).await?;
                self.count_outcomes(work, &ended);
                for done in &ended {
                    tracing::info!(
                        tenant = %done.event.about.tenant, device = %done.event.about.device,
                        event = done.event.id.0, status = %done.event.status,
                        outcome = ?done.outcome, reason = done.reason, "event ended"
                    );
                }
                Input::Reported
            }
        };
        Ok(Some(input))
    }

    async fn arm(&self, work: &Work, device: &Device, due: Timestamp) -> PortResult<()> {
        let record = device.record.as_ref();
        let owed = record.and_then(|record| record.working.as_ref());
        if let Some(error) = record.and_then(|record| record.retry.last_error.as_ref()) {
            self.tell_of_retry(&work.about, error);
        }
        count(&self.counters.wake_ups);
        let due = self.by_the_streams(due);
        let Some(working) = owed else {
            return self.streams.arm(&work.about, due, None).await;
        };
        let made;
        let carrying = if let Some(bytes) = work.bytes_of(&working.event) {
            bytes
        } else {
            made = self.streams.payload(&working.event);
            &made
        };
        self.streams.arm(&work.about, due, Some(carrying)).await
    }

    /// Nobody need act on a retry, so each is told to those who look for it, and an outage to all.
    fn tell_of_retry(&self, about: &DeviceRef, error: &str) {
        tracing::debug!(tenant = %about.tenant, device = %about.device, error, "to be tried again");
        if let Some(left_out) = self.retries.is_due(&about.tenant) {
            tracing::info!(
                tenant = %about.tenant, device = %about.device, error, left_out,
                "to be tried again; told once a minute"
            );
        }
    }

    async fn read(&self, work: &Work, handling: &mut Handling<H::Hub>) -> ReadReply {
        let began = self.now();
        let Some(hub) = &handling.hub else {
            return ReadReply {
                began,
                result: Err(no_hub()),
            };
        };
        count(&self.counters.hub_reads);
        let result = hub.read(&work.about).await;
        self.gate.learn(
            hub.integration(),
            Asked::Read,
            hub.allowed_per_minute(),
            result.as_ref().err(),
        );
        let result = result.map(|seen| {
            let facts = seen.as_ref().map(|seen| seen.facts.clone());
            handling.held = seen;
            facts
        });
        ReadReply { began, result }
    }

    async fn write(
        &self,
        work: &Work,
        request: HubWrite,
        handling: &mut Handling<H::Hub>,
    ) -> WriteReply {
        let intent = request.intent().clone();
        // The intent's lease has been running since before it was stored. What is not sent in
        // the first half of it is not sent at all, so that it cannot outlive the second.
        if handling.save_began.elapsed() > self.settings.policy.lease / 2 {
            let late = Failure::Transient("too late to send safely".to_owned());
            return WriteReply {
                intent,
                result: Err((late, Fate::Done)),
            };
        }
        let Some(hub) = &handling.hub else {
            return WriteReply {
                intent,
                result: Err((no_hub(), Fate::Done)),
            };
        };
        count(&self.counters.hub_writes);
        let held = handling.held.take();
        let result = hub
            .write(
                &work.about,
                &request,
                held.as_ref().map(|seen| &seen.identity),
            )
            .await;
        let failure = result.as_ref().err().map(|(failure, _)| failure);
        let allowed = hub.allowed_per_minute();
        self.gate
            .learn(hub.integration(), asked_by(&request), allowed, failure);
        if let Err((_, Fate::Unknown)) = &result {
            count(&self.counters.unanswered);
        }
        tracing::debug!(device = %work.about.device, ?request, ok = result.is_ok(), "hub request");
        let result = result.map(|seen| {
            let facts = seen.as_ref().map(|seen| seen.facts.clone());
            handling.held = seen;
            facts
        });
        WriteReply { intent, result }
    }

    async fn deliver(
        &self,
        work: &Work,
        generation: &str,
        key: KeySlot,
        handling: &mut Handling<H::Hub>,
    ) -> Result<String, (Failure, Fate)> {
        if handling.held.is_none() {
            let reply = self.read(work, handling).await;
            reply.result.map_err(|failure| (failure, Fate::Done))?;
        }
        let (Some(hub), Some(held)) = (&handling.hub, &handling.held) else {
            return Err((Failure::Conflict, Fate::Done));
        };
        if held.facts.generation != generation {
            return Err((Failure::Conflict, Fate::Done));
        }
        // As for a request to the hub: the claim's lease has been running since it was stored,
        // and reading the key may have taken long.
        if handling.save_began.elapsed() > self.settings.policy.delivery_lease / 2 {
            let late = Failure::Transient("too late to deliver safely".to_owned());
            return Err((late, Fate::Done));
        }
        count(&self.counters.deliveries);
        let delivered = self
            .mender
            .deliver(&work.about, hub.integration(), &held.identity, key)
            .await;
        if delivered.is_err() {
            count(&self.counters.failed_deliveries);
        }
        delivered
    }

    async fn tag(
        &self,
        work: &Work,
        etag: &str,
        handling: &Handling<H::Hub>,
    ) -> Result<(), Failure> {
        match &handling.hub {
            Some(hub) => {
                let result = hub.tag(&work.about, etag).await;
                let failure = result.as_ref().err();
                self.gate
                    .learn(hub.integration(), Asked::Twin, None, failure);
                result
            }
            None => Err(no_hub()),
        }
    }

    async fn dead_letter(&self, work: &Work, event: &Event, parked: &Parked) -> PortResult<()> {
        let payload = match work.bytes_of(event) {
            Some(bytes) => bytes.clone(),
            None => self.streams.payload(event),
        };
        tracing::error!(
            tenant = %event.about.tenant, device = %event.about.device, event = event.id.0,
            error = parked.error, attempts = parked.attempts,
            "dead-lettered; see `mender-iothub dlq list`"
        );
        let letter = DeadLetter {
            id: event.id.clone(),
            tenant: Some(event.about.tenant.to_string()),
            device: Some(event.about.device.to_string()),
            class: DeadClass::from(parked),
            reason: parked.error.clone(),
            attempts: parked.attempts,
            payload,
        };
        self.streams.dead_letter(&letter).await?;
        self.counters.dead(letter.class);
        Ok(())
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The core never asks for a hub request without an integration.
fn no_hub() -> Failure {
    Failure::Transient("the tenant's integration is gone".to_owned())
}
