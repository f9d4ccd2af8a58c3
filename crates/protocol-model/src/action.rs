//! What can happen next, in any state.
//!
//! Time passes only when something waits for it: a request may still live, the alarm clock is
//! set, or a worker must hurry to send. Ticks that nobody could notice would only multiply states.

use lifecycle::{Effect, Wish};

use crate::{
    rule::needs_sweep,
    scenario::Scenario,
    state::{Message, Phase, State, Stored, Task, Worker, World},
    turn::Saving,
};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A tick passes.
    Tick,
    /// The tenant's integration changes to the other hub.
    Switch,
    /// Something happens about this device.
    About(usize, Deed),
}

/// Something that happens about one device; numbers are places in its [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// A worker receives a message.
    Receive(Task),
    /// The alarm clock rings, and a worker receives the wake-up.
    Ring,
    /// A worker takes its next step.
    Step(usize),
    /// A worker loads the older copy.
    LoadStale(usize),
    /// A worker's save ends in doubt.
    Doubt(usize, Saving),
    /// A worker dies.
    Crash(usize),
    /// A worker gives up waiting.
    TimeOut(usize),
    /// The gate puts off a worker's request.
    Defer(usize),
    /// A worker is refused, with this one of the scenario's failures.
    Refuse(usize, usize),
    /// A request takes effect, or fails, and is answered if somebody still waits.
    Land(usize),
    /// A delivery reaches the device.
    Arrive(usize),
    /// A replica of the store stops following; or a backup is made.
    Copy,
    /// The store goes back to the copy.
    RollBack,
    /// Somebody edits the hub.
    Edit(Edit),
    /// A dead letter is replayed, and removed or not.
    Replay(usize, bool),
    /// An operator wishes for something.
    Wish(Wish),
    /// The sweep comes by and finds what no event tells.
    Sweep,
}

/// What people do to a hub by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edit {
    /// Remove the identity.
    Remove,
    /// Put a new one in its place.
    Replace,
    /// Enable or disable it.
    Toggle,
    /// Put a new one in its place that bears the mark of the old one.
    Forge,
    /// Put our mark into one of somebody else: an operator adopts it.
    Adopt,
}

/// Everything that can happen in `state`.
pub(crate) fn all(scenario: &Scenario, state: &State, actions: &mut Vec<Action>) {
    if passes(scenario, state) {
        actions.push(Action::Tick);
    }
    if state.left.switches > 0 {
        actions.push(Action::Switch);
    }
    for (device, world) in state.devices.iter().enumerate() {
        let mut deeds = Vec::new();
        messages(scenario, state, world, &mut deeds);
        for (place, worker) in world.workers.iter().enumerate() {
            deeds_of(scenario, state, world, (place, worker), &mut deeds);
        }
        deeds.extend((0..world.flights.len()).map(Deed::Land));
        deeds.extend((0..world.parcels.len()).map(Deed::Arrive));
        accidents(scenario, state, world, &mut deeds);
        actions.extend(deeds.into_iter().map(|deed| Action::About(device, deed)));
    }
}

/// Whether a tick may pass: somebody waits for it, and it cuts nobody off. Whoever gives up waiting
/// or is too slow to send does so at the cost of a fault.
fn passes(scenario: &Scenario, state: &State) -> bool {
    let after = state.now + 1;
    let cut_off = |world: &World| {
        let requests = world.flights.iter().map(|flight| {
            (
                flight.deadline,
                Phase::Await(flight.request.intent().clone()),
            )
        });
        let parcels = world
            .parcels
            .iter()
            .map(|parcel| (parcel.deadline, Phase::Deliver(parcel.claim.clone())));
        requests.chain(parcels).any(|(deadline, waits)| {
            deadline <= after && world.workers.iter().any(|worker| worker.phase == waits)
        })
    };
    let hurry = is_late(scenario, state, after);
    if state.devices.iter().any(|world| cut_off(world)) || (hurry && state.left.delays == 0) {
        return false;
    }
    hurry
        || state
            .devices
            .iter()
            .any(|world| horizon(world, scenario) > state.now)
}

/// Whether a worker that is about to send would be too late at this tick.
pub(crate) fn is_late(scenario: &Scenario, state: &State, tick: u8) -> bool {
    let late = |worker: &Worker| {
        matches!(
            worker.phase,
            Phase::Perform(Effect::Write(_) | Effect::Deliver { .. })
        ) && worker.saved_at + scenario.lease / 2 < tick
            && worker.saved_at + scenario.lease / 2 >= state.now
    };
    let mut workers = state.devices.iter().flat_map(|world| &world.workers);
    workers.any(|worker| late(worker))
}

/// The last tick that something about this device waits for.
fn horizon(world: &World, scenario: &Scenario) -> u8 {
    let deadlines = world.flights.iter().map(|flight| flight.deadline);
    let parcels = world.parcels.iter().map(|parcel| parcel.deadline);
    let reads = world.workers.iter().filter_map(|worker| {
        matches!(worker.phase, Phase::Read(_)).then_some(worker.saved_at + scenario.lease)
    });
    let waits = deadlines.chain(parcels).chain(reads).chain(world.alarm);
    waits.max().unwrap_or(0)
}

fn messages(scenario: &Scenario, state: &State, world: &World, deeds: &mut Vec<Deed>) {
    if world.workers.len() >= scenario.workers {
        return;
    }
    let holders = |task: Task| {
        world
            .workers
            .iter()
            .filter(|worker| worker.task == task)
            .count()
    };
    let events = world.messages.iter().map(|message| Task::Event(*message));
    let mut tasks: Vec<Task> = events.collect();
    tasks.extend(world.wakes.iter().map(|stamp| Task::Wake(*stamp)));
    tasks.dedup();
    for task in tasks {
        if holders(task) == 0 || state.left.redeliveries > 0 {
            deeds.push(Deed::Receive(task));
        }
    }
    if world.alarm.is_some_and(|due| due <= state.now) {
        deeds.push(Deed::Ring);
    }
}

fn deeds_of(
    scenario: &Scenario,
    state: &State,
    world: &World,
    (place, worker): (usize, &Worker),
    deeds: &mut Vec<Deed>,
) {
    let left = state.left;
    let waits = matches!(worker.phase, Phase::Await(_) | Phase::Deliver(_));
    if !waits {
        deeds.push(Deed::Step(place));
    } else if left.timeouts > 0 {
        deeds.push(Deed::TimeOut(place));
    }
    if left.crashes > 0 {
        deeds.push(Deed::Crash(place));
    }
    if left.stale > 0 && worker.phase == Phase::Load && world.copy.is_some() {
        deeds.push(Deed::LoadStale(place));
    }
    if left.unknown_saves > 0 && matches!(worker.phase, Phase::Save(_)) {
        deeds.push(Deed::Doubt(place, Saving::AnswerLost));
        deeds.push(Deed::Doubt(place, Saving::Lost));
    }
    let asks_hub = match &worker.phase {
        Phase::Perform(Effect::Read) | Phase::Save(Effect::Write(_)) => true,
        Phase::Save(Effect::Deliver { .. }) => worker.held.is_none(),
        _ => false,
    };
    if left.deferrals > 0 && asks_hub {
        deeds.push(Deed::Defer(place));
    }
    let asks = matches!(
        worker.phase,
        Phase::Perform(
            Effect::Read
                | Effect::Write(_)
                | Effect::Deliver { .. }
                | Effect::Tag { .. }
                | Effect::AskMender
        )
    );
    if left.refusals > 0 && asks {
        deeds.extend((0..scenario.refusals.len()).map(|failure| Deed::Refuse(place, failure)));
    }
}

fn accidents(scenario: &Scenario, state: &State, world: &World, deeds: &mut Vec<Deed>) {
    let left = state.left;
    let old = world.copy.as_ref();
    // A wake-up is published long after its device's first record was stored; a copy that has not
    // even that is taken for no copy.
    let copies = left.rollbacks > 0 || (left.stale > 0 && world.store.is_some());
    if copies && old.is_none() {
        deeds.push(Deed::Copy);
    }
    // A store is restored with the workers stopped, which takes longer than a request lives.
    let calm = world.flights.is_empty() && world.parcels.is_empty();
    if left.rollbacks > 0 && calm && old.is_some_and(|old| *old != world.store) {
        deeds.push(Deed::RollBack);
    }
    if left.hands > 0 {
        deeds.push(Deed::Edit(Edit::Replace));
        if let Some(identity) = &world.hubs[usize::from(state.hub)].identity {
            deeds.push(Deed::Edit(Edit::Remove));
            deeds.push(Deed::Edit(Edit::Toggle));
            if !identity.ours {
                deeds.push(Deed::Edit(Edit::Adopt));
            }
            // A forgery is known by the record of what the mark was made for.
            let made = world
                .store
                .as_ref()
                .and_then(|stored| stored.record.made.as_ref());
            let known = made.filter(|made| made.generation == identity.generation);
            deeds.extend(known.map(|_| Deed::Edit(Edit::Forge)));
        }
    }
    let settled = |stored: &Stored| stored.record.is_settled() && stored.record.status.creates();
    if left.wishes > 0 && world.store.as_deref().is_some_and(settled) {
        deeds.extend([Wish::NewKey, Wish::EndOldKey, Wish::Delivery].map(Deed::Wish));
    }
    if left.replays > 0 {
        for letter in 0..world.letters.len() {
            deeds.push(Deed::Replay(letter, true));
            deeds.push(Deed::Replay(letter, false));
        }
    }
    if world.at_rest() && needs_sweep(world, state, scenario) {
        deeds.push(Deed::Sweep);
    }
}

impl Message {
    /// An event of the first life, published before anything else happened.
    #[must_use]
    pub const fn first(event: u8) -> Self {
        Self {
            event,
            replay: 0,
            stamp: 0,
        }
    }
}
