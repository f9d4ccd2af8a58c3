//! What the streams take: wake-ups, outcomes, dead letters, the sweep's events, acknowledgements.

use std::time::Duration;

use lifecycle::{DeviceId, DeviceRef, Done, Event, EventId, TenantId, Timestamp};
use reconciler::ports::{Ack, DeadClass, DeadLetter, Payload, PortResult, Streams};
use reconciler::sweep::{Notebook, Notices};

use crate::brief;
use crate::case::Alarm;
use crate::mutant::Mutant;
use crate::port::{Luck, Port};
use crate::world::World;

/// The bytes of an event, as far as they matter here: its name and which life of it this is.
pub(crate) fn bytes_of(event: &Event) -> Payload {
    Payload {
        subject: event.id.0.clone(),
        body: event.replay.to_be_bytes().to_vec(),
        headers: Vec::new(),
        since: None,
    }
}

/// The event whose bytes these are, and which life of it.
pub(crate) fn read(payload: &Payload) -> Option<(EventId, u64)> {
    let replay = payload.body.as_slice().try_into().ok()?;
    Some((EventId(payload.subject.clone()), u64::from_be_bytes(replay)))
}

impl Streams for Port {
    async fn arm(
        &self,
        device: &DeviceRef,
        due: Timestamp,
        carrying: Option<&Payload>,
    ) -> PortResult<()> {
        self.call("arm").await;
        let luck = {
            let mut world = self.world();
            let luck = world.publishing();
            if luck.has_effect() {
                let case = world.case_of(device);
                world.arm(case, due, carrying.cloned().unwrap_or_default());
            }
            luck
        };
        self.servers.arrived().notify_waiters();
        self.reply().await;
        luck.answer(())
    }

    fn payload(&self, event: &Event) -> Payload {
        self.world().ledger.meet(event);
        bytes_of(event)
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> PortResult<()> {
        self.call("dead letter").await;
        let luck = {
            let mut world = self.world();
            let luck = world.publishing();
            if luck.has_effect() {
                world.bury(letter);
            }
            luck
        };
        self.reply().await;
        luck.answer(())
    }

    async fn report(&self, ended: &[Done]) -> PortResult<()> {
        self.call("report").await;
        let luck = {
            let mut world = self.world();
            let luck = world.publishing();
            if luck.has_effect() && !world.is_mutant(Mutant::ReportsNothing) {
                world.report(ended);
            }
            luck
        };
        self.reply().await;
        luck.answer(())
    }
}

impl Notices for Port {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        self.call("publish").await;
        let luck = {
            let mut world = self.world();
            let luck = world.publishing();
            if luck.has_effect() {
                world.check_notice(event);
                let case = world.case_of(&event.about);
                world.publish(case, event.clone());
            }
            luck
        };
        self.servers.arrived().notify_waiters();
        luck.answer(())
    }
}

impl Notebook for Port {
    async fn noted(&self, tenant: &TenantId, _: usize) -> PortResult<Vec<(DeviceId, Timestamp)>> {
        self.call("noted").await;
        let world = self.world();
        let at_once = world.is_mutant(Mutant::BelievesAtOnce);
        let of_tenant = world
            .cases
            .iter()
            .filter(|case| case.about.tenant == *tenant);
        let noted = of_tenant.filter_map(|case| {
            let long_ago = at_once.then_some(Timestamp::default());
            Some((case.about.device.clone(), case.noted.or(long_ago)?))
        });
        Ok(noted.collect())
    }

    async fn note(&self, device: &DeviceRef) -> PortResult<()> {
        self.call("note").await;
        let mut world = self.world();
        let (case, now) = (world.case_of(device), world.now());
        world.cases[case].noted.get_or_insert(now);
        Ok(())
    }

    async fn forget(&self, device: &DeviceRef) -> PortResult<()> {
        self.call("forget").await;
        let mut world = self.world();
        let case = world.case_of(device);
        world.cases[case].noted = None;
        Ok(())
    }
}

/// Acknowledges one message.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) port: Port,
    pub(crate) number: u64,
}

impl Ack for Receipt {
    async fn ack(self) -> PortResult<()> {
        self.port.call("ack").await;
        let luck = {
            let mut world = self.port.world();
            let luck = world.publishing();
            if luck.has_effect() {
                world.acknowledge(self.number);
            } else {
                let again = crate::queue::ACK_WAIT;
                world.queue.offer_again(self.number, again);
            }
            luck
        };
        self.port.servers.arrived().notify_waiters();
        luck.answer(())
    }

    async fn retry(self, delay: Duration) -> PortResult<()> {
        self.port.call("retry").await;
        let mut world = self.port.world();
        world.chronicle.saw("given back");
        world.queue.offer_again(self.number, delay);
        drop(world);
        self.port.servers.arrived().notify_waiters();
        Ok(())
    }

    async fn in_progress(&self) -> PortResult<()> {
        Ok(())
    }
}

impl World {
    /// A stream takes something, or fails before or after it did.
    fn publishing(&mut self) -> Luck {
        let percent = self.faults.streams;
        self.luck(percent, "stream fails")
    }

    fn arm(&mut self, case: usize, due: Timestamp, payload: Payload) {
        self.note(|world| {
            let wait = due.since(world.now());
            format!(
                "wake-up of {} in {wait:?}",
                world.cases[case].about.to_tokens()
            )
        });
        if self.is_mutant(Mutant::ArmsNothing) {
            return;
        }
        if self.rng.chance(self.faults.lost_wake_up) {
            self.chronicle.fault("wake-up lost");
            self.cases[case].alarm = None;
            return;
        }
        self.cases[case].alarm = Some(Alarm { due, payload });
    }

    pub(crate) fn bury(&mut self, letter: &DeadLetter) {
        self.chronicle.saw("dead letter");
        if letter.class == DeadClass::Poison {
            self.chronicle.saw("poison");
        } else {
            let outage = self.scale.outage.is_some();
            self.require(!outage, "F20: an outage cost an event its life");
        }
        let read = read(&letter.payload).filter(|(id, _)| *id == letter.id);
        self.require(
            read.is_some(),
            "S8: a dead letter without the bytes of its event",
        );
        let (Some((id, replay)), false) = (read, self.is_mutant(Mutant::BuriesNothing)) else {
            return;
        };
        let place = self.fresh();
        self.ledger.bury(&id, replay, place);
    }

    pub(crate) fn report(&mut self, ended: &[Done]) {
        for done in ended {
            self.chronicle.saw(crate::ledger::name(done.outcome));
            self.note(|_| format!("outcome: {}", brief::done(done)));
            let known = self.ledger.report(done);
            let look = ["sweep-", "resync-", "adopt-"];
            let look = look.iter().any(|name| done.event.id.0.starts_with(name));
            self.require(known || look, "S6: an outcome of an event nobody published");
            self.check_outcome(done);
        }
    }

    fn acknowledge(&mut self, number: u64) {
        let Some(message) = self.queue.remove(number) else {
            self.chronicle.saw("acknowledged late");
            return;
        };
        self.note(|_| format!("acknowledged: {number}"));
        self.check_acknowledged(&message);
    }
}
