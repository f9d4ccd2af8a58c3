//! The oracle of the chaos runs: what must hold at rest, whatever was done to the processes. Pure:
//! everything it needs is in [`Scene`].
//!
//! The numbers are those of the design: S1 foreign identities are untouched, S2 and S3 the hub shows
//! Mender's last word and stays so, S4 no older word takes effect after a newer one, S5 one identity
//! for each life of a device and the delivered key is its key, S6 every event has ended once, S7 one
//! dead letter for each dead event, S11 no secret where it does not belong, S14 every write to an
//! existing identity is conditional.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::emulator::JournalEntry;
use crate::evidence::{Identity, Published, Status, Truth};
use crate::ledger::{Outcome, Tally};

mod writes;

/// What Mender has said of one device, in order. Each `Pending` after a `Decommissioned` begins
/// another life under the same id.
pub type History = Vec<Status>;

/// An identity made by hand, as the hub shows it, keys and ETags included.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Its id.
    pub id: String,
    /// Before anything happened.
    pub before: String,
    /// In the end; `None` if it is gone.
    pub after: Option<String>,
}

/// A dead letter, as far as it is judged.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The event it is about.
    pub event_id: String,
    /// Why it is dead, in one word.
    pub class: String,
}

/// Events that were told by HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Called {
    /// Those that were answered with 202.
    pub events: u64,
    /// Those that were told once more, since nobody knew what had become of them.
    pub repeated: u64,
}

/// Everything that is known when nothing moves any more.
#[derive(Debug, Default)]
pub struct Scene {
    /// What Mender said, by device id.
    pub histories: BTreeMap<String, History>,
    /// What Mender holds.
    pub mender: HashMap<String, Truth>,
    /// What the hub holds.
    pub hub: HashMap<String, Identity>,
    /// What the hub holds after a further wait that is longer than any lease.
    pub hub_later: HashMap<String, Identity>,
    /// Identities that are not ours.
    pub foreign: Vec<Foreign>,
    /// Every request that the hub got.
    pub journal: Vec<JournalEntry>,
    /// Every outcome in order: the event's id and how it ended.
    pub outcomes: Vec<(String, Outcome)>,
    /// All dead letters.
    pub letters: Vec<Letter>,
    /// Classes of dead letters that what was done explains.
    pub excused: Vec<&'static str>,
    /// Messages that Mender's stream has ever held, by its own count.
    pub stored: u64,
    /// What was told by HTTP instead.
    pub called: Called,
    /// What the publisher knows to be stored.
    pub published: Published,
    /// Places where secrets were found.
    pub leaks: Vec<String>,
    /// What was still waiting when the wait for rest was given up.
    pub unrest: Option<String>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule, as the design numbers them.
    pub rule: &'static str,
    /// The device, event or place.
    pub about: String,
    /// What is wrong.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Everything that does not hold.
    pub violations: Vec<Violation>,
    /// How the events ended, each counted once.
    pub outcomes: Tally,
    /// Outcomes beyond the first one of an event: a crash came between outcome and ack.
    pub repeated_outcomes: u64,
    /// Deployments beyond the first one of a device: each disturbs it.
    pub delivered_again: u64,
}

impl Verdict {
    fn add(&mut self, rule: &'static str, about: &str, why: impl Into<String>) {
        let (about, why) = (about.to_owned(), why.into());
        self.violations.push(Violation { rule, about, why });
    }
}

/// Judges.
#[must_use]
pub fn judge(scene: &Scene) -> Verdict {
    let mut verdict = Verdict::default();
    judge_foreign(scene, &mut verdict);
    for (id, history) in &scene.histories {
        judge_device(scene, id, history, &mut verdict);
    }
    writes::judge(scene, &mut verdict);
    judge_events(scene, &mut verdict);
    judge_letters(scene, &mut verdict);
    for leak in &scene.leaks {
        verdict.add("S11", leak, "holds a secret");
    }
    if let Some(unrest) = &scene.unrest {
        verdict.add("L1", "rest", unrest.as_str());
    }
    verdict
}

fn judge_foreign(scene: &Scene, verdict: &mut Verdict) {
    for foreign in &scene.foreign {
        match &foreign.after {
            None => verdict.add("S1", &foreign.id, "made by hand, and deleted"),
            Some(after) if *after != foreign.before => {
                verdict.add("S1", &foreign.id, "made by hand, and changed");
            }
            Some(_) => {}
        }
    }
}

fn judge_device(scene: &Scene, id: &str, history: &History, verdict: &mut Verdict) {
    let Some(truth) = scene.mender.get(id) else {
        return verdict.add("L2", id, "the simulator has forgotten the device");
    };
    if history.last() != Some(&truth.status) {
        let why = format!(
            "Mender has {:?}, told was {:?}",
            truth.status,
            history.last()
        );
        verdict.add("harness", id, why);
    }
    verdict.delivered_again += truth.deployments.saturating_sub(1);
    let absent = truth.status == Status::Decommissioned;
    for (when, hub) in [("", &scene.hub), (" later", &scene.hub_later)] {
        let identity = hub.get(id);
        if let Some(why) = hub_is_wrong(truth.status, life(history), identity) {
            let rule = if absent { "S3" } else { "S2" };
            verdict.add(rule, id, format!("{why}{when}"));
        }
        if let Some(why) = delivery_is_wrong(truth, identity) {
            verdict.add("S5", id, format!("{why}{when}"));
        }
    }
}

/// What was said in the present life.
fn life(history: &History) -> &[Status] {
    let mut lives = history.rsplitn(2, |it| *it == Status::Decommissioned);
    lives.next().unwrap_or_default()
}

fn hub_is_wrong(
    status: Status,
    life: &[Status],
    identity: Option<&Identity>,
) -> Option<&'static str> {
    match (status, identity) {
        (Status::Accepted, None) => Some("accepted, but there is no identity"),
        (Status::Accepted, Some(it)) if !it.is_enabled() => Some("accepted, but disabled"),
        (Status::Accepted, Some(_)) => None,
        (Status::Decommissioned, Some(_)) => Some("has an identity, though decommissioned"),
        (_, Some(it)) if it.is_enabled() => Some("may connect, though not accepted"),
        (_, Some(_)) if !life.contains(&Status::Accepted) => {
            Some("has an identity, though never accepted")
        }
        _ => None,
    }
}

fn delivery_is_wrong(truth: &Truth, identity: Option<&Identity>) -> Option<&'static str> {
    let identity = identity?;
    match &truth.delivered_key {
        None if truth.status == Status::Accepted => Some("no connection string was delivered"),
        Some(key) if Some(key) != identity.key_fingerprint() => {
            Some("the delivered key is not the key of the identity")
        }
        _ => None,
    }
}

/// S6 and L1: as many events ended as were ever stored or answered with 202, each in one way.
fn judge_events(scene: &Scene, verdict: &mut Verdict) {
    let Published {
        messages, repeated, ..
    } = scene.published;
    if scene.stored < messages {
        let why = format!(
            "{} messages of {messages} that were acknowledged",
            scene.stored
        );
        verdict.add("F23", "Mender's stream", why);
    }
    if scene.stored > messages + repeated {
        let why = format!(
            "{} messages, but only {messages} were published",
            scene.stored
        );
        verdict.add("harness", "Mender's stream", why);
    }
    let mut ends: HashMap<&str, Outcome> = HashMap::new();
    for (event, outcome) in &scene.outcomes {
        if let Some(before) = ends.insert(event, *outcome) {
            verdict.repeated_outcomes += 1;
            // A dead event may be replayed; everything else is final.
            if before != *outcome && before != Outcome::Dead {
                verdict.add("S6", event, format!("ended {before:?}, then {outcome:?}"));
            }
        }
    }
    for outcome in ends.values() {
        verdict.outcomes.count(*outcome);
    }
    let (ended, told) = (ends.len() as u64, scene.stored + scene.called.events);
    if ended < told {
        verdict.add(
            "L1",
            "events",
            format!("{ended} events ended of {told} stored"),
        );
    } else if ended > told + scene.called.repeated {
        verdict.add(
            "S6",
            "events",
            format!("{ended} events ended, but {told} were stored"),
        );
    }
}

fn judge_letters(scene: &Scene, verdict: &mut Verdict) {
    let mut seen = HashSet::new();
    for letter in &scene.letters {
        if !seen.insert(&letter.event_id) {
            verdict.add("S7", &letter.event_id, "has a second live dead letter");
        }
        if !scene.excused.contains(&letter.class.as_str()) {
            let why = format!("dead-lettered as {}, which nothing explains", letter.class);
            verdict.add("L1", &letter.event_id, why);
        }
    }
}

#[cfg(test)]
mod tests;
