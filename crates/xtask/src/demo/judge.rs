//! What should be, against what is. Pure: everything it needs is in [`Scene`].
//!
//! The hub is judged against Mender's own last word on each device and never against the worker's
//! records: a worker that is sure of itself and wrong must not get away with it.

use std::collections::{BTreeMap, HashMap};

use black_box::{
    evidence::{Identity, Status, Truth},
    ledger::Tally,
};
use serde::Serialize;

use super::fleet::{Fleet, Member};

/// Everything that is known when the work is done.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) fleet: Fleet,
    /// What Mender holds, by device id.
    pub(super) mender: HashMap<String, Truth>,
    /// What the hub holds, by device id.
    pub(super) hub: HashMap<String, Identity>,
    /// Identities that somebody made by hand.
    pub(super) foreign: Vec<Foreign>,
    /// Bodies of the messages that nobody can understand.
    pub(super) malformed: Vec<Vec<u8>>,
    /// Bodies of the dead letters.
    pub(super) dead_letters: Vec<Vec<u8>>,
    pub(super) outcomes: Tally,
    pub(super) events_published: u64,
    /// Deliveries that may have been under way when the worker was killed: nobody can tell whether
    /// they had taken place, so they are made again.
    pub(super) interrupted: u64,
}

/// An identity made by hand.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) id: String,
    /// The hub's whole answer before, keys and ETags included.
    pub(super) before: String,
    /// The same afterwards; `None` if it is gone.
    pub(super) after: Option<String>,
}

/// What an identity should be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// There, enabled, its connection string delivered.
    Enabled,
    /// Disabled, if it was made before a later event overtook its making.
    Disabled,
    /// Not there, because Mender never accepted the device.
    NeverMade,
    /// Not there any more.
    Deleted,
}

impl Wanted {
    /// In words, for tables.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Enabled => "enabled, and connection string delivered",
            Self::Disabled => "disabled",
            Self::NeverMade => "never made",
            Self::Deleted => "deleted",
        }
    }

    fn of(member: &Member, status: Status) -> Self {
        match status {
            Status::Accepted => Self::Enabled,
            Status::Decommissioned => Self::Deleted,
            _ if !member.life.was_accepted() => Self::NeverMade,
            // Nobody is preauthorized after having been accepted.
            Status::Preauthorized | Status::Pending | Status::Rejected | Status::Noauth => {
                Self::Disabled
            }
        }
    }
}

/// A device, a message or a count that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Disagreement {
    pub(super) device: String,
    pub(super) wanted: String,
    pub(super) hub: String,
    pub(super) why: String,
}

/// So many should be right, so many are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) all: u64,
    pub(super) right: u64,
}

impl Score {
    fn count(&mut self, right: bool) {
        self.all += 1;
        self.right += u64::from(right);
    }

    pub(super) const fn is_full(self) -> bool {
        self.all == self.right
    }
}

/// How it went.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The devices, by what was wanted of them.
    pub(super) devices: BTreeMap<Wanted, Score>,
    /// Connection strings of accepted devices that hold the live identity's key.
    pub(super) delivered: Score,
    /// Deployments beyond the first one of each device: each disturbs it.
    pub(super) delivered_again: u64,
    /// How many of those the crash excuses.
    pub(super) may_deliver_again: u64,
    pub(super) foreign: Score,
    /// Malformed messages, and those that are dead letters byte for byte.
    pub(super) dead_letters: Score,
    /// Dead letters that should not be.
    pub(super) surplus_dead_letters: u64,
    pub(super) outcomes: Tally,
    pub(super) events_published: u64,
    pub(super) disagreements: Vec<Disagreement>,
}

impl Verdict {
    /// Devices, and those that agree.
    pub(super) fn fleet(&self) -> Score {
        let add = |sum: Score, score: &Score| Score {
            all: sum.all + score.all,
            right: sum.right + score.right,
        };
        self.devices.values().fold(Score::default(), add)
    }

    /// Whether each event has ended, once.
    pub(super) fn outcomes_add_up(&self) -> bool {
        self.outcomes.sum() == self.events_published
    }

    /// Whether nothing at all is wrong.
    pub(super) fn agrees(&self) -> bool {
        let scores = [
            self.fleet(),
            self.delivered,
            self.foreign,
            self.dead_letters,
        ];
        scores.into_iter().all(Score::is_full)
            && self.surplus_dead_letters == 0
            && self.outcomes_add_up()
            && self.delivered_again <= self.may_deliver_again
            && self.disagreements.is_empty()
    }
}

/// Judges.
pub(super) fn judge(scene: &Scene) -> Verdict {
    let mut verdict = Verdict {
        outcomes: scene.outcomes,
        events_published: scene.events_published,
        may_deliver_again: scene.interrupted,
        ..Verdict::default()
    };
    for member in &scene.fleet.members {
        judge_member(scene, member, &mut verdict);
    }
    for foreign in &scene.foreign {
        judge_foreign(foreign, &mut verdict);
    }
    judge_dead_letters(scene, &mut verdict);
    verdict
}

fn judge_member(scene: &Scene, member: &Member, verdict: &mut Verdict) {
    let identity = scene.hub.get(&member.id);
    let Some(truth) = scene.mender.get(&member.id) else {
        verdict.disagreements.push(Disagreement {
            device: member.id.clone(),
            wanted: "known to Mender".to_owned(),
            hub: words(identity),
            why: "the simulator has forgotten the device".to_owned(),
        });
        return;
    };
    let wanted = Wanted::of(member, truth.status);
    let why = hub_is_wrong(wanted, identity).or_else(|| delivery_is_wrong(wanted, truth, identity));
    if wanted == Wanted::Enabled {
        verdict
            .delivered
            .count(delivery_is_wrong(wanted, truth, identity).is_none());
    }
    verdict.delivered_again += truth.deployments.saturating_sub(1);
    verdict
        .devices
        .entry(wanted)
        .or_default()
        .count(why.is_none());
    if let Some(why) = why {
        verdict.disagreements.push(Disagreement {
            device: member.id.clone(),
            wanted: wanted.words().to_owned(),
            hub: words(identity),
            why: why.to_owned(),
        });
    }
}

fn words(identity: Option<&Identity>) -> String {
    match identity {
        None => "absent".to_owned(),
        Some(identity) if identity.is_enabled() => "enabled".to_owned(),
        Some(_) => "disabled".to_owned(),
    }
}

fn hub_is_wrong(wanted: Wanted, identity: Option<&Identity>) -> Option<&'static str> {
    match (wanted, identity) {
        (Wanted::Enabled, None) => Some("accepted, but there is no identity"),
        (Wanted::Enabled, Some(identity)) if !identity.is_enabled() => {
            Some("accepted, but disabled")
        }
        (Wanted::Disabled, Some(identity)) if identity.is_enabled() => {
            Some("may connect, though no longer accepted")
        }
        (Wanted::NeverMade, Some(_)) => Some("has an identity, though never accepted"),
        (Wanted::Deleted, Some(_)) => Some("has an identity, though decommissioned"),
        _ => None,
    }
}

/// An accepted device needs its connection string. Another one may have got it before, and if its
/// identity is still there the key must be that one's.
fn delivery_is_wrong(
    wanted: Wanted,
    truth: &Truth,
    identity: Option<&Identity>,
) -> Option<&'static str> {
    let identity = identity?;
    let Some(delivered) = &truth.delivered_key else {
        return (wanted == Wanted::Enabled).then_some("no connection string was delivered");
    };
    (Some(delivered) != identity.key_fingerprint())
        .then_some("the delivered key is not the key of the identity")
}

fn judge_foreign(foreign: &Foreign, verdict: &mut Verdict) {
    let untouched = foreign.after.as_ref() == Some(&foreign.before);
    verdict.foreign.count(untouched);
    if !untouched {
        let (hub, why) = match &foreign.after {
            None => ("absent", "made by hand, and deleted"),
            Some(_) => ("changed", "made by hand, and changed"),
        };
        verdict.disagreements.push(Disagreement {
            device: foreign.id.clone(),
            wanted: "left as it was".to_owned(),
            hub: hub.to_owned(),
            why: why.to_owned(),
        });
    }
}

fn judge_dead_letters(scene: &Scene, verdict: &mut Verdict) {
    let mut found: Vec<&[u8]> = scene.dead_letters.iter().map(Vec::as_slice).collect();
    for body in &scene.malformed {
        let place = found.iter().position(|letter| letter == body);
        verdict.dead_letters.count(place.is_some());
        place.map(|place| found.swap_remove(place));
    }
    verdict.surplus_dead_letters = found.len() as u64;
}

#[cfg(test)]
mod tests;
