//! What Mender does to one device in one run, and what it sends.
//!
//! Events are emitted in order; the streams deliver them in any. What Mender holds after each
//! emission is the truth that `deviceauth` answers with, and that the hub must show in the end.

use lifecycle::{DeviceRef, Event, EventId, MenderView, Status, Timestamp};

use crate::rng::Rng;

/// One emission: the messages it becomes, and what Mender holds from then on.
#[derive(Debug)]
pub(crate) struct Emission {
    pub(crate) events: Vec<Event>,
    pub(crate) truth: MenderView,
    /// The incarnation it is about.
    pub(crate) created: Timestamp,
}

/// Everything that happens on Mender's side.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) emissions: Vec<Emission>,
    /// The first emission has been worked through before the second one.
    pub(crate) ordered_start: bool,
    /// How often the id is used.
    pub(crate) lives: usize,
}

struct Writer<'a> {
    rng: &'a mut Rng,
    about: DeviceRef,
    emissions: Vec<Emission>,
    count: usize,
    /// Whether events say which incarnation they are about.
    named: bool,
    /// Changes of one incarnation.
    changes: usize,
}

impl Writer<'_> {
    fn name(&mut self) -> EventId {
        self.count += 1;
        let DeviceRef { tenant, device } = &self.about;
        EventId(format!("{tenant}.{device}-{}", self.count))
    }

    fn event(&mut self, status: Status, revision: Option<u64>, created: Option<i64>) -> Event {
        Event {
            id: self.name(),
            about: self.about.clone(),
            status,
            revision,
            created: created.map(Timestamp::from_micros),
            replay: 0,
        }
    }

    fn emit(&mut self, mut events: Vec<Event>, truth: MenderView, number: i64) {
        // A workflow job that ran twice: the same content under another name.
        if self.rng.chance(15) {
            let again = events[0].clone();
            let id = self.name();
            events.push(Event { id, ..again });
        }
        self.emissions.push(Emission {
            events,
            truth,
            created: Timestamp::from_micros(number),
        });
    }

    /// One life of a device, from its first status to its end, if it ends.
    fn incarnation(&mut self, number: i64, ends: Option<bool>) {
        let mut revision = 0;
        for _ in 0..=self.rng.below(self.changes) {
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
            self.emit(events, MenderView::Known(next), number);
            self.tie(next, revision, number);
        }
        let Some(named) = ends else { return };
        if self.rng.chance(30) {
            self.emissions.push(Emission {
                events: Vec::new(),
                truth: MenderView::Decommissioning,
                created: Timestamp::from_micros(number),
            });
        }
        let created = if named { self.created(number) } else { None };
        let revision = [None, Some(0)][self.rng.below(2)];
        let gone = self.event(Status::Decommissioned, revision, created);
        self.emit(vec![gone], MenderView::Absent, number);
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
        self.emit(vec![event], MenderView::Known(holds), number);
    }
}

impl Script {
    /// A script for one device, of about so many changes in each of its lives.
    pub(crate) fn random(rng: &mut Rng, about: &DeviceRef, changes: usize) -> Self {
        let lives = if rng.chance(30) { 2 + rng.below(2) } else { 1 };
        let ordered_start = rng.chance(30);
        let ends_last = rng.chance(35);
        let mut writer = Writer {
            named: lives > 1,
            about: about.clone(),
            rng,
            emissions: Vec::new(),
            count: 0,
            changes,
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
            lives,
        }
    }

    /// Does not wait for the first emission to be worked through, and names what would be telling
    /// only then.
    pub(crate) fn start_anyway(&mut self) {
        self.ordered_start = false;
        if self.lives == 1 {
            return;
        }
        for emission in &mut self.emissions {
            for event in &mut emission.events {
                event.created.get_or_insert(emission.created);
            }
        }
    }
}
