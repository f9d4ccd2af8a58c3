//! What people do meanwhile: edits by hand, other integrations, backups that are put back.

use std::time::Duration;

use lifecycle::{Facts, IntegrationRef, IntentId, Mark};
use tokio::time::Instant;

use crate::case::Identity;
use crate::landing::keys;
use crate::world::{Trouble, World, hub_name, hub_number};

impl World {
    /// Somebody else makes or replaces an identity.
    pub(crate) fn place_by_hand(&mut self, case: usize, hub: usize, mark: Option<Mark>) {
        let n = self.fresh();
        self.cases[case].places[hub].identity = Some(Identity {
            facts: Facts {
                generation: format!("hand-{n}"),
                etag: format!("e{n}"),
                enabled: n.is_multiple_of(2),
                mark,
                keys: Some(keys(n)),
            },
            ours: false,
            made_for: None,
        });
    }

    /// Somebody edits what a hub holds under one id.
    pub(crate) fn edit_by_hand(&mut self, case: usize) {
        let tenant = self.cases[case].tenant;
        let Some(integration) = &self.tenants[tenant].integration else {
            return;
        };
        let hub = hub_number(&integration.hub);
        self.chronicle.fault("edit by hand");
        self.cases[case].edited = true;
        self.note(|world| format!("{} is edited by hand", world.cases[case].about.to_tokens()));
        match self.rng.below(4) {
            0 => self.cases[case].places[hub].identity = None,
            1 => {
                let mark = Mark::parse("mender:other:x1").filter(|_| self.rng.chance(50));
                self.place_by_hand(case, hub, mark);
            }
            2 => self.forge(case, hub),
            _ => self.switch(case, hub),
        }
    }

    /// Deletes and makes it again with everything it had: only the generation differs. A record
    /// that does not know the generation yet could not tell, so those are left alone.
    fn forge(&mut self, case: usize, hub: usize) {
        let made = self.cases[case].stored.as_ref();
        let made = made.and_then(|stored| stored.record.made.clone());
        let there = self.cases[case].places[hub].identity.clone();
        let (Some(made), Some(there)) = (made, there) else {
            return self.switch(case, hub);
        };
        let known = made.generation == there.facts.generation && made.intent.is_some();
        let faults = &self.faults;
        let remembers = faults.rollbacks + faults.moves + faults.returns == 0;
        if known && !self.cases[case].forgotten && remembers {
            self.place_by_hand(case, hub, there.facts.mark);
        }
    }

    /// Turns it on or off.
    fn switch(&mut self, case: usize, hub: usize) {
        let n = self.fresh();
        if let Some(there) = &mut self.cases[case].places[hub].identity {
            there.facts.enabled = !there.facts.enabled;
            there.facts.etag = format!("e{n}");
        }
    }

    /// The tenant gets a new credential, another hub, or none at all.
    pub(crate) fn change_integration(&mut self, tenant: usize) {
        self.chronicle.fault("integration changed");
        let now = self.now();
        let kind = self.rng.below(4);
        let here = &mut self.tenants[tenant];
        here.changes += 1;
        let named_anew = here.integration.is_none();
        let moves = kind == 1;
        here.integration = match &here.integration {
            Some(_) if kind == 0 => None,
            None => {
                here.since = now;
                Some(IntegrationRef {
                    id: format!("i{tenant}-{}", here.changes),
                    hub: hub_name(tenant, 0),
                    generation: here.changes,
                })
            }
            Some(old) => Some(IntegrationRef {
                hub: if moves {
                    hub_name(tenant, 1 - hub_number(&old.hub))
                } else {
                    old.hub.clone()
                },
                generation: here.changes,
                ..old.clone()
            }),
        };
        if named_anew {
            self.disown(tenant);
        }
        self.note(|world| format!("integration: {:?}", world.tenants[tenant].integration));
    }

    /// The tenant moves to its other hub, with the same integration.
    pub(crate) fn take_the_other_hub(&mut self, tenant: usize) {
        let here = &mut self.tenants[tenant];
        let Some(old) = &here.integration else { return };
        here.changes += 1;
        here.integration = Some(IntegrationRef {
            hub: hub_name(tenant, 1 - hub_number(&old.hub)),
            generation: here.changes,
            ..old.clone()
        });
        self.chronicle.fault("integration changed");
        self.chronicle.fault("other hub");
        self.note(|world| format!("integration: {:?}", world.tenants[tenant].integration));
    }

    /// An operator makes an identity of somebody else's ours, as it was read just now; false if there is
    /// none to adopt.
    pub(crate) fn mark_as_ours(&mut self, case: usize) -> bool {
        let tenant = self.cases[case].tenant;
        let Some(integration) = self.tenants[tenant].integration.clone() else {
            return false;
        };
        let n = self.fresh();
        let hub = hub_number(&integration.hub);
        let here = &mut self.cases[case];
        let Some(there) = &mut here.places[hub].identity else {
            return false;
        };
        let marked = there.facts.mark.as_ref();
        if marked.is_some_and(|mark| mark.integration == integration.id) {
            return true;
        }
        there.facts.mark = Some(Mark {
            integration: integration.id,
            intent: IntentId(format!("adopted-{n}")),
        });
        there.facts.etag = format!("e{n}");
        (there.ours, there.made_for) = (true, None);
        // As for an edit by hand: whoever had read it before does not know yet.
        here.edited = true;
        self.chronicle.fault("adopted");
        true
    }

    /// What an integration made is foreign to the next one of another name.
    fn disown(&mut self, tenant: usize) {
        for case in self.cases.iter_mut().filter(|case| case.tenant == tenant) {
            let identities = case
                .places
                .iter_mut()
                .filter_map(|place| place.identity.as_mut());
            identities.for_each(|identity| identity.ours = false);
        }
    }

    /// A hub does not serve for a while.
    pub(crate) fn trouble(&mut self, tenant: usize, trouble: Trouble, time: Duration) {
        self.note(|_| format!("the hubs of tenant {tenant}: {trouble:?} for {time:?}"));
        let until = Instant::now() + time;
        self.tenants[tenant].trouble = [Some((trouble, until)); 2];
    }

    /// The store comes back as it once was, or empty.
    pub(crate) fn roll_back(&mut self) {
        self.chronicle.fault("store rolled back");
        self.note(|_| "the store is rolled back".to_owned());
        let empty = self.rng.chance(30);
        for case in &mut self.cases {
            let copy = (!empty).then(|| case.copies.first().cloned()).flatten();
            case.forgotten |= case.stored != copy;
            case.stored = copy;
            case.copies.clear();
        }
    }

    /// The servers' clocks jump, as far as leases have room for it.
    pub(crate) fn jump(&mut self) {
        self.chronicle.fault("clock jumps");
        let micros = self.rng.below(4_000_000);
        self.jumped = i64::try_from(micros).unwrap_or(0) - 2_000_000;
    }
}
