//! What happens in a run, to whom and when: drawn before it begins.

use std::time::Duration;

use lifecycle::Wish;

use crate::world::{Trouble, World};

/// Something that happens at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Emit(usize),
    Trouble(usize, Trouble, Duration),
    Edit(usize),
    Move(usize),
    OtherHub(usize),
    Resync(usize, Wish),
    Adopt(usize),
    Leave(usize),
    RollBack,
    Jump,
    Sweep,
    Replay,
}

impl World {
    /// What happens and when, in order.
    pub(crate) fn deeds(&mut self) -> Vec<(Duration, Deed)> {
        let mut deeds = Vec::new();
        self.plan_emissions(&mut deeds);
        let span = self.scale.span;
        for _ in 0..self.faults.windows {
            let tenant = self.rng.below(self.tenants.len());
            let trouble = *self.rng.pick(&Trouble::ALL);
            let time = self.rng.time(span / 2);
            deeds.push((self.rng.time(span), Deed::Trouble(tenant, trouble, time)));
        }
        if let Some(outage) = self.scale.outage {
            let begins = span.saturating_sub(outage) / 2;
            for tenant in 0..self.tenants.len() {
                let trouble = Trouble::ALL[self.rng.below(3)];
                deeds.push((begins, Deed::Trouble(tenant, trouble, outage)));
            }
        }
        let faults = self.faults.clone();
        for (count, deed) in [
            (faults.stops, Deed::Leave(0)),
            (faults.edits, Deed::Edit(0)),
            (faults.moves, Deed::Move(0)),
            (faults.rollbacks, Deed::RollBack),
            (faults.jumps, Deed::Jump),
            (faults.sweeps, Deed::Sweep),
            (2, Deed::Replay),
        ] {
            for _ in 0..count {
                let deed = match deed {
                    Deed::Leave(_) => Deed::Leave(self.rng.below(self.scale.workers)),
                    Deed::Edit(_) => Deed::Edit(self.rng.below(self.cases.len())),
                    Deed::Move(_) => Deed::Move(self.rng.below(self.tenants.len())),
                    other => other,
                };
                deeds.push((self.rng.time(span), deed));
            }
        }
        self.plan_operators(&mut deeds);
        deeds.sort_by_key(|(at, _)| *at);
        deeds
    }

    fn plan_operators(&mut self, deeds: &mut Vec<(Duration, Deed)>) {
        let span = self.scale.span;
        for _ in 0..self.faults.wishes {
            let wishes = [
                Wish::Delivery,
                Wish::NewKey,
                Wish::NewKey,
                Wish::NewKey,
                Wish::EndOldKey,
            ];
            let (case, wish) = (self.rng.below(self.cases.len()), *self.rng.pick(&wishes));
            deeds.push((self.rng.time(span), Deed::Resync(case, wish)));
        }
        for _ in 0..self.faults.adoptions {
            let case = self.rng.below(self.cases.len());
            deeds.push((self.rng.time(span), Deed::Adopt(case)));
        }
        for _ in 0..self.faults.returns {
            let tenant = self.rng.below(self.tenants.len());
            for _ in 0..2 {
                deeds.push((self.rng.time(span), Deed::OtherHub(tenant)));
            }
        }
    }

    fn plan_emissions(&mut self, deeds: &mut Vec<(Duration, Deed)>) {
        for case in 0..self.cases.len() {
            // Often many at once, so that they meet.
            let window = self.scale.span / *self.rng.pick(&[1, 4, 100]);
            let first = self.rng.time(self.scale.span.saturating_sub(window));
            for _ in 0..self.cases[case].script.emissions.len() {
                deeds.push((first + self.rng.time(window), Deed::Emit(case)));
            }
        }
    }

    /// Makes the next emission of a device; false if it may not come yet, or there is none.
    pub(crate) fn emit(&mut self, case: usize) -> bool {
        let here = &mut self.cases[case];
        let waits = here.script.ordered_start && here.emitted == 1 && here.stored.is_none();
        let Some(emission) = here.script.emissions.get(here.emitted).filter(|_| !waits) else {
            return false;
        };
        here.emitted += 1;
        here.truth = emission.truth;
        here.created = Some(emission.created);
        let events = emission.events.clone();
        let percent = self.faults.lost_event;
        for event in events {
            if self.rng.chance(percent) {
                self.chronicle.fault("event lost");
                self.note(|_| format!("lost: {}", crate::brief::event(&event)));
            } else {
                self.publish(case, event);
            }
        }
        true
    }

    pub(crate) fn has_more_to_emit(&self) -> bool {
        let mut cases = self.cases.iter();
        cases.any(|case| case.emitted < case.script.emissions.len())
    }

    /// Where the first event was lost, or nobody may work for it, there never is a record.
    pub(crate) fn start_anyway(&mut self) {
        for case in &mut self.cases {
            case.script.start_anyway();
        }
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        let alarms = self.cases.iter().any(|case| case.alarm.is_some());
        self.queue.is_empty() && self.under_way == 0 && !alarms
    }
}
