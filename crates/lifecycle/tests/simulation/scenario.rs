//! What Mender does to the device in one run, and what it sends.
//!
//! Events are emitted in order; the world delivers them in any. What Mender holds after each
//! emission is the truth that `deviceauth` answers with, and that the hub must show in the end.

use lifecycle::{DeviceRef, Event, EventId, MenderView, Status, Timestamp};

use crate::rng::Rng;

/// One emission: the messages it becomes, and what Mender holds from then on.
pub(crate) struct Emission {
    pub(crate) events: Vec<Event>,
    pub(crate) truth: MenderView,
}

/// Everything that happens on Mender's side.
pub(crate) struct Scenario {
    pub(crate) emissions: Vec<Emission>,
    /// The first emission has been worked through before the second one.
    pub(crate) ordered_start: bool,
    /// The last incarnation, where the id is used again.
    pub(crate) newest: Option<Timestamp>,
}

pub(crate) fn device() -> DeviceRef {
    DeviceRef {
        tenant: "t".parse().expect("a tenant id"),
        device: "d".parse().expect("a device id"),
    }
}

struct Writer<'a> {
    rng: &'a mut Rng,
    emissions: Vec<Emission>,
    count: usize,
    /// Whether events say which incarnation they are about.
    named: bool,
}

impl Writer<'_> {
    fn event(&mut self, status: Status, revision: Option<u64>, created: Option<i64>) -> Event {
        self.count += 1;
        Event {
            id: EventId(format!("s-{}", self.count)),
            about: device(),
            status,
            revision,
            created: created.map(Timestamp::from_micros),
            replay: 0,
        }
    }

    fn emit(&mut self, mut events: Vec<Event>, truth: MenderView) {
        // A workflow job that ran twice: the same content under another name.
        if self.rng.chance(15) {
            let again = events[0].clone();
            self.count += 1;
            let id = EventId(format!("s-{}", self.count));
            events.push(Event { id, ..again });
        }
        self.emissions.push(Emission { events, truth });
    }

    /// One life of a device, from its first status to its end, if it ends.
    fn incarnation(&mut self, number: i64, ends: Option<bool>) {
        let mut revision = 0;
        for _ in 0..=self.rng.below(8) {
            revision += 1 + u64::from(self.rng.chance(30));
            let others = [
                Status::Accepted,
                Status::Accepted,
                Status::Accepted,
                Status::Rejected,
                Status::Pending,
                Status::Noauth,
                Status::Preauthorized,
            ];
            let next = *self.rng.pick(&others);
            let created = self.created(number);
            let mut events = vec![self.event(next, Some(revision), created)];
            if next == Status::Accepted && self.rng.chance(25) {
                let created = self.created(number);
                events.push(self.event(next, None, created));
            }
            self.emit(events, MenderView::Known(next));
            self.tie(next, revision, number);
        }
        let Some(named) = ends else { return };
        if self.rng.chance(30) {
            self.emissions.push(Emission {
                events: Vec::new(),
                truth: MenderView::Decommissioning,
            });
        }
        let created = if named { self.created(number) } else { None };
        let revision = [None, Some(0)][self.rng.below(2)];
        let gone = self.event(Status::Decommissioned, revision, created);
        self.emit(vec![gone], MenderView::Absent);
    }

    fn created(&mut self, number: i64) -> Option<i64> {
        (self.named || self.rng.chance(50)).then_some(number)
    }

    /// Two racing changes of one revision, as v4.x may send them; either may have won.
    fn tie(&mut self, first: Status, revision: u64, number: i64) {
        if !self.rng.chance(12) {
            return;
        }
        let other = *self
            .rng
            .pick(&[Status::Accepted, Status::Rejected, Status::Pending]);
        let holds = if self.rng.chance(50) { first } else { other };
        let created = self.created(number);
        let event = self.event(other, Some(revision), created);
        self.emit(vec![event], MenderView::Known(holds));
    }
}

impl Scenario {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let lives = if rng.chance(30) { 2 + rng.below(2) } else { 1 };
        let ordered_start = rng.chance(30);
        let ends_last = rng.chance(35);
        let mut writer = Writer {
            named: lives > 1,
            rng,
            emissions: Vec::new(),
            count: 0,
        };
        for life in 0..lives {
            let last = life + 1 == lives;
            // A decommission without a name is only telling once its incarnation is known, and
            // only if the id is not opened again by events that come before it.
            let named = lives > 1 && !(ordered_start && life == 0);
            let ends = (!last || ends_last).then_some(named);
            let number = i64::try_from(life).expect("few lives") + 1;
            writer.incarnation(number, ends);
        }
        Self {
            emissions: writer.emissions,
            ordered_start,
            newest: (lives > 1).then(|| Timestamp::from_micros(i64::try_from(lives).expect("few"))),
        }
    }

    /// What Mender holds when `emitted` emissions have been made.
    pub(crate) fn truth(&self, emitted: usize) -> MenderView {
        let last = emitted.checked_sub(1).and_then(|n| self.emissions.get(n));
        last.map_or(MenderView::Absent, |emission| emission.truth)
    }
}
