//! The transition system that stateright explores.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use stateright::{Model, Property};

use crate::{
    action::{self, Action, Deed},
    deed::spend,
    mutant::Mutant,
    rule::Rule,
    scenario::Scenario,
    shared::Shared,
    state::{Hub, Identity, Message, State, World},
    turn::Turn,
};

/// The protocol in one scenario, perhaps with a rule removed.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The scenario.
    pub scenario: Scenario,
    /// The rule that is removed.
    pub mutant: Option<Mutant>,
    /// Set from outside when enough states were seen: nothing more happens then.
    pub enough: Arc<AtomicBool>,
}

/// Name of the property that something ends well; anything else must always hold.
pub const ENDS_WELL: &str = "a state at rest is reached";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let foreign = Identity {
            generation: "g0".to_owned(),
            etag: "t0".to_owned(),
            enabled: true,
            mark: None,
            ours: false,
            made_for: None,
            keys: (0, 1),
        };
        let mut starts = vec![None];
        starts.extend(self.scenario.foreign.then_some(Some(foreign)));
        let events = 0..u8::try_from(self.scenario.events.len()).unwrap_or(u8::MAX);
        let start = |identity: Option<Identity>| {
            let world = World {
                hubs: [
                    Hub {
                        identity,
                        ..Hub::default()
                    },
                    Hub::default(),
                ],
                messages: events.clone().map(Message::first).collect(),
                lives: events.clone().map(|event| (event, 0)).collect(),
                ..World::default()
            };
            State {
                now: 0,
                hub: 0,
                left: self.scenario.faults,
                devices: vec![Shared::new(world); self.scenario.devices],
            }
        };
        starts.into_iter().map(start).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.enough.load(Ordering::Relaxed) {
            action::all(&self.scenario, state, actions);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Tick => {
                if action::is_late(&self.scenario, &state, state.now + 1) {
                    state.left.delays -= 1;
                }
                state.now += 1;
                for device in 0..state.devices.len() {
                    self.alter(&mut state, device, None);
                }
            }
            Action::Switch => {
                state.left.switches -= 1;
                state.hub = 1 - state.hub;
            }
            Action::About(device, deed) => {
                spend(&mut state, before, device, deed);
                self.alter(&mut state, device, Some(deed));
            }
        }
        state.devices.sort_by_key(Shared::place);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "S1 a foreign identity is left unchanged",
                |_, state: &State| state.keeps(Rule::Foreign),
            ),
            Property::always(
                "S2 nothing older takes effect once settled",
                |_, state: &State| state.keeps(Rule::Older),
            ),
            Property::always("S3 decommissioned stays absent", |_, state: &State| {
                state.keeps(Rule::Closed)
            }),
            Property::always("S4 effective writes never go back", |_, state: &State| {
                state.keeps(Rule::Order)
            }),
            Property::always("S5 one identity per incarnation", |_, state: &State| {
                state.keeps(Rule::Second)
            }),
            Property::always(
                "S5 only keys of our identities are delivered",
                |_, state: &State| state.keeps(Rule::Key),
            ),
            Property::always(
                "S5 the device's key is one that the hub takes",
                |_, state: &State| state.keeps(Rule::Cut),
            ),
            Property::always(
                "S6 every event is pending, owed or ended",
                |_, state: &State| state.accounts_for_all(),
            ),
            Property::always("S7 one live dead letter per event", |_, state: &State| {
                state.keeps(Rule::Letters)
            }),
            Property::always("S10 only the present integration", |_, state: &State| {
                state.keeps(Rule::Integration)
            }),
            Property::always("L1 work comes to an end", |_, state: &State| {
                state.comes_to_an_end()
            }),
            Property::always(
                "L2 a state at rest shows what is wanted",
                |model: &Self, state: &State| state.converges(&model.scenario),
            ),
            Property::sometimes(ENDS_WELL, |model: &Self, state: &State| {
                state.at_rest(&model.scenario) && state.converges(&model.scenario)
            }),
        ]
    }
}

impl Protocol {
    /// Lets something happen to one device, or just a tick pass.
    fn alter(&self, state: &mut State, device: usize, deed: Option<Deed>) {
        let mut world = (*state.devices[device]).clone();
        let mut turn = Turn {
            scenario: &self.scenario,
            mutant: self.mutant,
            now: state.now,
            hub: state.hub,
            world: &mut world,
        };
        match deed {
            Some(deed) => turn.happen(deed),
            None => turn.expire(),
        }
        world.tidy();
        state.devices[device] = Shared::new(world);
    }
}
