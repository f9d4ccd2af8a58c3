//! The hub's side of a request, and the judgement of its effect.

use lifecycle::{Facts, Failure, Fate, HubWrite, KeyChange, Status, Timestamp};

use crate::{
    mutant::Mutant,
    rule::Rule,
    scenario::Scenario,
    state::{Flight, Hub, Identity, World},
};

/// What the hub answers.
pub(crate) type Reply = Result<Option<Facts>, (Failure, Fate)>;

/// Lets a request take effect, if its condition holds.
pub(crate) fn take_effect(
    world: &mut World,
    flight: &Flight,
    scenario: &Scenario,
    mutant: Option<Mutant>,
) -> Reply {
    let number = usize::from(flight.hub);
    let before = world.hubs[number].identity.clone();
    let conflict = Err((Failure::Conflict, Fate::Done));
    let forced = mutant == Some(Mutant::NoIfMatch);
    let fits = |etag: &str| {
        let identity = before.as_ref();
        identity
            .filter(|identity| forced || identity.etag == etag)
            .cloned()
    };
    let after = match (&flight.request, &before) {
        (HubWrite::Create { mark, .. }, identity) => {
            if identity.is_some() && mutant != Some(Mutant::CreateReplaces) {
                return conflict;
            }
            Some(Identity {
                generation: world.name('g'),
                etag: world.name('t'),
                enabled: true,
                mark: Some(mark.clone()),
                ours: true,
                made_for: flight.key.incarnation.map(Timestamp::as_micros),
                keys: (0, 1),
            })
        }
        (HubWrite::Update { etag, enable, .. }, _) => {
            let Some(identity) = fits(etag) else {
                return conflict;
            };
            Some(Identity {
                etag: world.name('t'),
                enabled: *enable,
                ..identity
            })
        }
        (HubWrite::Keys { etag, change, .. }, _) => {
            let Some(identity) = fits(etag) else {
                return conflict;
            };
            let (primary, secondary) = identity.keys;
            let fresh = primary.max(secondary) + 1;
            let keys = match change {
                KeyChange::RenewSecondary if mutant == Some(Mutant::RenewsPrimary) => {
                    (fresh, secondary)
                }
                KeyChange::RenewSecondary => (primary, fresh),
                KeyChange::Swap => (secondary, primary),
            };
            Some(Identity {
                etag: world.name('t'),
                keys,
                ..identity
            })
        }
        (HubWrite::Delete { .. }, None) => return Ok(None),
        (HubWrite::Delete { etag, .. }, Some(_)) => {
            if fits(etag).is_none() {
                return conflict;
            }
            None
        }
    };
    judge(world, flight, before.as_ref(), scenario);
    let facts = after.as_ref().map(Identity::facts);
    world.hubs[number].identity = after;
    judge_key(world);
    Ok(facts)
}

/// Whether the hub takes the key that the device was given last, if it is of a live identity.
pub(crate) fn judge_key(world: &mut World) {
    let Some((hub, generation, key)) = &world.delivered else {
        return;
    };
    let live = world.hubs[usize::from(*hub)].identity.as_ref();
    if live.is_some_and(|live| live.generation == *generation && !live.takes(*key)) {
        world.breaks(Rule::Cut);
    }
}

/// Holds an effect against the rules.
fn judge(world: &mut World, flight: &Flight, before: Option<&Identity>, scenario: &Scenario) {
    if before.is_some_and(|identity| !identity.ours) {
        world.breaks(Rule::Foreign);
    }
    if world.rolled_back.1 {
        return;
    }
    let hub = &mut world.hubs[usize::from(flight.hub)];
    let Hub { top, settled, .. } = *hub;
    hub.top = top.max(flight.rank);
    let creates = matches!(flight.request, HubWrite::Create { .. });
    let incarnation = flight.key.incarnation.map(Timestamp::as_micros);
    let second = creates && hub.made_for.contains(&incarnation);
    if creates && !second {
        hub.made_for.push(incarnation);
    }
    if flight.rank == 0 {
        return;
    }
    let closed = scenario
        .events
        .iter()
        .any(|event| event.rank == settled && event.status == Status::Decommissioned);
    if flight.rank < settled {
        world.breaks(if closed && creates {
            Rule::Closed
        } else {
            Rule::Older
        });
    }
    if flight.rank < top {
        world.breaks(Rule::Order);
    }
    if second {
        world.breaks(Rule::Second);
    }
}
