//! What must always hold, in the model's terms.
//!
//! Most rules are broken by an action, not by a state: the action notes it in the state. What a
//! state at rest must look like is judged here.

use lifecycle::{EventId, Outcome, Record, Status, Wanted};

use crate::{
    scenario::{Scenario, place},
    state::{Identity, State, World},
};

/// More saves of one record than any scenario needs: whoever gets here goes round in circles.
const MOST_SAVES: u8 = 60;
/// Likewise for ticks.
const MOST_TICKS: u8 = 60;

/// A rule that an action can break (design, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// S1: an identity that is not ours was changed.
    Foreign,
    /// S2: an older event took effect after a newer one was settled.
    Older,
    /// S3: an identity appeared after a decommission was settled.
    Closed,
    /// S4: effective writes went back in the order of events.
    Order,
    /// S5: a second identity was made for one incarnation.
    Second,
    /// S5: the key of an identity that is not ours was delivered.
    Key,
    /// S5: the key in the device's hands was ended, or it was given one that the hub does not take.
    Cut,
    /// S7: an event has two live dead letters.
    Letters,
    /// S10: a request went to another hub than that of the tenant's integration.
    Integration,
}

impl Rule {
    /// Its place among the broken rules of a state.
    #[must_use]
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl State {
    /// Whether no device has broken this rule.
    #[must_use]
    pub fn keeps(&self, rule: Rule) -> bool {
        let broken = |world: &World| world.broken & rule.bit() != 0;
        !self.devices.iter().any(|world| broken(world))
    }

    /// L1, L8: nothing goes round in circles.
    #[must_use]
    pub fn comes_to_an_end(&self) -> bool {
        let saves = |world: &World| world.store.as_ref().map_or(0, |stored| stored.version);
        self.now < MOST_TICKS && self.devices.iter().all(|world| saves(world) < MOST_SAVES)
    }

    /// S6: no event is lost.
    #[must_use]
    pub fn accounts_for_all(&self) -> bool {
        self.devices.iter().all(|world| accounts_for_all(world))
    }

    /// Nothing more happens by itself, on any device, and the sweep has nothing to do.
    #[must_use]
    pub fn at_rest(&self, scenario: &Scenario) -> bool {
        let done = |world: &World| world.at_rest() && !needs_sweep(world, self, scenario);
        self.devices.iter().all(|world| done(world))
    }

    /// L2, L3: a state at rest shows what is wanted.
    #[must_use]
    pub fn converges(&self, scenario: &Scenario) -> bool {
        let fine = |world: &World| {
            !world.at_rest()
                || needs_sweep(world, self, scenario)
                || agrees(world, self.hub, scenario)
        };
        self.devices.iter().all(|world| fine(world))
    }
}

/// Whether the next sweep will find something that no event tells: the integration has changed, the
/// store has lost what it knew, or somebody edited the hub. A change of the integration is noticed
/// by whoever looks at the record next; if that is for an event that has ended, the record is left
/// unsettled.
#[must_use]
pub fn needs_sweep(world: &World, state: &State, scenario: &Scenario) -> bool {
    let switched = state.left.switches < scenario.faults.switches;
    let moved = |record: &Record| hub_of(record) != state.hub || !record.is_settled();
    let known = record(world);
    world.rolled_back.0
        || (world.edited.0 && known.is_some())
        || (switched && known.is_some_and(moved))
}

/// The number of the hub that a record is about.
#[must_use]
pub fn hub_of(record: &Record) -> u8 {
    u8::from(record.integration.hub != "h0")
}

/// Rank of the event that a record stands for; 0 where the script has none like it.
#[must_use]
pub fn rank(record: &Record, scenario: &Scenario) -> u8 {
    let incarnation = record.key.incarnation.map(lifecycle::Timestamp::as_micros);
    let same = |created: Option<i64>| match (created, incarnation) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let alike = scenario.events.iter().filter(|event| {
        let ordered =
            event.status == Status::Decommissioned || event.revision == record.key.revision;
        event.status == record.status && ordered && same(event.created)
    });
    alike.map(|event| event.rank).max().unwrap_or(0)
}

fn record(world: &World) -> Option<&Record> {
    world.store.as_ref().map(|stored| &stored.record)
}

fn accounts_for_all(world: &World) -> bool {
    if world.rolled_back.1 {
        return true;
    }
    world.lives.iter().all(|&(event, life)| {
        let pending = world
            .messages
            .iter()
            .any(|m| m.event == event && m.replay == life);
        let ended = || {
            world
                .outcomes
                .iter()
                .any(|&(of, in_life, _)| of == event && in_life >= life)
        };
        pending || ended() || owes(world, event)
    })
}

/// Whether the record owes the outcome of this event.
fn owes(world: &World, event: u8) -> bool {
    let is_it = |id: &EventId| place(id) == event;
    record(world).is_some_and(|record| {
        let working = record.working.as_ref();
        working.is_some_and(|working| working.owed && is_it(&working.event.id))
            || record.outbox.iter().any(|done| is_it(&done.event.id))
    })
}

fn agrees(world: &World, hub: u8, scenario: &Scenario) -> bool {
    let ended = |&(event, life): &(u8, u8)| {
        world
            .outcomes
            .iter()
            .any(|&(of, in_life, _)| of == event && in_life >= life)
    };
    if !world.rolled_back.1 && !world.lives.iter().all(ended) {
        return false;
    }
    let Some(record) = record(world) else {
        return world.lives.is_empty();
    };
    if record.parked.is_some() {
        // S8: a letter is left that can take up what was given up.
        return world.rolled_back.1 || !world.letters.is_empty();
    }
    let rotated = record.rotation.is_none() || !record.status.creates();
    record.is_settled()
        && rotated
        && shows(
            world,
            world.hubs[usize::from(hub)].identity.as_ref(),
            hub,
            scenario,
        )
}

/// Whether the hub and the device show what the newest event asks for.
fn shows(world: &World, identity: Option<&Identity>, hub: u8, scenario: &Scenario) -> bool {
    if identity.is_some_and(|identity| !identity.ours) {
        let applied = |&(.., outcome): &(u8, u8, Outcome)| outcome == Outcome::Applied;
        return world.edited.1 || !world.outcomes.iter().any(applied);
    }
    let newest = scenario.events.iter().max_by_key(|event| event.rank);
    let incarnation = newest.and_then(|event| event.created);
    match (scenario.end.wanted(), identity) {
        (Wanted::Absent, identity) => identity.is_none(),
        (Wanted::Disabled, identity) => identity.is_none_or(|identity| !identity.enabled),
        (Wanted::Enabled, None) => !scenario.end.creates(),
        (Wanted::Enabled, Some(identity)) => {
            let outlived = identity
                .made_for
                .zip(incarnation)
                .is_some_and(|(of, now)| of < now);
            let delivered = world.delivered.as_ref();
            let has_key = delivered == Some(&(hub, identity.generation.clone(), identity.keys.0));
            identity.enabled && !outlived && (has_key || !scenario.end.creates())
        }
    }
}
