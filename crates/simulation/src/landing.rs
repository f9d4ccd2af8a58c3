//! What requests do to a hub when they reach it.

use lifecycle::{DeviceRef, Facts, Failure, Fate, HubWrite, Key, KeyChange, Keys, Mark};
use reconciler::ports::Seen;

use crate::case::{Identity, Place};
use crate::hub::{Flight, OneHub, Reply, Whole};
use crate::mutant::Mutant;
use crate::world::World;

impl World {
    /// A request reaches the hub.
    pub(crate) fn land(&mut self, flight: &Flight, late: bool) -> Reply {
        let place = &self.cases[flight.case].places[flight.hub];
        let before = place.identity.clone();
        let taken = self.take_effect(flight);
        self.note(|world| {
            let shown = &world.cases[flight.case].places[flight.hub].identity;
            format!("landed {:?}: {taken:?}, {shown:?}", flight.request)
        });
        match &taken {
            Ok(true) => {
                if let HubWrite::Keys { change, .. } = &flight.request {
                    self.chronicle.saw(match change {
                        KeyChange::RenewSecondary => "key renewed",
                        KeyChange::Swap => "keys swapped",
                    });
                }
                self.chronicle.saw(if late {
                    "applied late"
                } else {
                    "applied in time"
                });
                self.check_effect(flight, before.as_ref());
            }
            Ok(false) => {}
            Err(_) => self.chronicle.saw("conflict"),
        }
        let seen = self.cases[flight.case].places[flight.hub].seen();
        taken.map(|_| seen)
    }

    /// Whether a request was sent with the integration that the tenant still has. Another one
    /// takes what is there for somebody else's.
    pub(crate) fn is_of_now(&self, flight: &Flight) -> bool {
        self.is_present(self.cases[flight.case].tenant, &flight.integration)
    }

    fn is_present(&self, tenant: usize, integration: &str) -> bool {
        let present = self.tenants[tenant].integration.as_ref();
        present.is_none_or(|present| present.id == integration)
    }

    /// `Ok(true)` if something changed.
    fn take_effect(&mut self, flight: &Flight) -> Result<bool, (Failure, Fate)> {
        let conflict = Err((Failure::Conflict, Fate::Done));
        let any_etag = self.is_mutant(Mutant::IgnoresEtags);
        let replaces = self.is_mutant(Mutant::CreateReplaces);
        let renews_both = self.is_mutant(Mutant::RenewsBothKeys);
        let fresh = self.fresh();
        let ours = self.is_of_now(flight);
        let place = &mut self.cases[flight.case].places[flight.hub];
        let matches = |etag: &String| {
            let there = place.identity.as_ref();
            there.is_some_and(|there| any_etag || there.facts.etag == *etag)
        };
        match &flight.request {
            HubWrite::Create { mark, .. } => {
                if place.identity.is_some() && !replaces {
                    return conflict;
                }
                place.identity = Some(made(fresh, mark, &flight.key, ours));
            }
            HubWrite::Delete { .. } if place.identity.is_none() => return Ok(false),
            HubWrite::Update { etag, .. }
            | HubWrite::Keys { etag, .. }
            | HubWrite::Delete { etag, .. }
                if !matches(etag) =>
            {
                return conflict;
            }
            HubWrite::Update { enable, .. } => {
                if let Some(there) = &mut place.identity {
                    there.facts.enabled = *enable;
                    there.facts.etag = format!("e{fresh}");
                }
            }
            HubWrite::Keys { change, .. } => {
                if let Some(there) = &mut place.identity {
                    there.facts.etag = format!("e{fresh}");
                    change_keys(&mut there.facts.keys, *change, fresh, renews_both);
                }
            }
            HubWrite::Delete { .. } => place.identity = None,
        }
        Ok(true)
    }

    pub(crate) fn tag(
        &mut self,
        device: &DeviceRef,
        by: &OneHub,
        etag: &str,
    ) -> Result<(), Failure> {
        let hub = by.hub();
        let of_now = self.is_present(by.tenant, &by.integration.id);
        let case = self.case_of(device);
        let there = self.cases[case].places[hub].identity.clone();
        match there {
            Some(there) if there.facts.etag == etag => {
                self.require(there.ours || !of_now, "S1: a foreign twin was tagged");
                self.cases[case].places[hub].tagged = Some(there.facts.generation);
                Ok(())
            }
            _ => Err(Failure::Conflict),
        }
    }
}

fn made(number: u64, mark: &Mark, key: &Key, ours: bool) -> Identity {
    Identity {
        facts: Facts {
            generation: format!("g{number}"),
            etag: format!("e{number}"),
            enabled: true,
            mark: Some(mark.clone()),
            keys: Some(keys(number)),
        },
        ours,
        made_for: key.incarnation,
    }
}

/// Two new keys.
pub(crate) fn keys(number: u64) -> Keys {
    Keys {
        primary: format!("p{number}"),
        secondary: format!("s{number}"),
    }
}

fn change_keys(keys: &mut Option<Keys>, change: KeyChange, fresh: u64, renews_both: bool) {
    let Some(keys) = keys else { return };
    match change {
        KeyChange::RenewSecondary => {
            keys.secondary = format!("k{fresh}");
            if renews_both {
                keys.primary = format!("q{fresh}");
            }
        }
        KeyChange::Swap => std::mem::swap(&mut keys.primary, &mut keys.secondary),
    }
}

impl Place {
    pub(crate) fn seen(&self) -> Option<Seen<Whole>> {
        let facts = self.identity.as_ref()?.facts.clone();
        let identity = Whole {
            etag: facts.etag.clone(),
            generation: facts.generation.clone(),
            keys: facts.keys.clone(),
        };
        Some(Seen { facts, identity })
    }
}
