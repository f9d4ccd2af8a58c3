//! The hub's journal against the rules about writes: in what order they may take effect, how many
//! identities may be made, and under which condition an existing one may be changed.

use std::collections::HashMap;

use super::{History, Scene, Verdict};
use crate::emulator::JournalEntry;
use crate::evidence::Status;

/// What an identity is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Enabled,
    Disabled,
    Absent,
}

impl Shape {
    const fn wanted(status: Status) -> Self {
        match status {
            Status::Accepted => Self::Enabled,
            Status::Decommissioned => Self::Absent,
            _ => Self::Disabled,
        }
    }

    fn left_by(entry: &JournalEntry) -> Self {
        match entry.identity_status.as_deref() {
            _ if entry.operation == "delete" => Self::Absent,
            Some("enabled") => Self::Enabled,
            _ => Self::Disabled,
        }
    }
}

pub(super) fn judge(scene: &Scene, verdict: &mut Verdict) {
    let mut writes: HashMap<&str, Vec<&JournalEntry>> = HashMap::new();
    for entry in scene.journal.iter().filter(|entry| entry.effective) {
        judge_condition(entry, verdict);
        let of_identity = ["create", "update", "delete"].contains(&entry.operation.as_str());
        if let Some(device) = entry.device.as_deref().filter(|_| of_identity) {
            writes.entry(device).or_default().push(entry);
        }
    }
    for (device, mut entries) in writes {
        // They are in the order of arrival; what counts is the order of effects.
        entries.sort_by_key(|entry| entry.effect_us);
        match scene.histories.get(device) {
            None => verdict.add(
                "S1",
                device,
                "was written, though Mender knows no such device",
            ),
            Some(history) => judge_order(device, history, &entries, verdict),
        }
    }
}

/// S14: whatever exists is changed only as it was read.
fn judge_condition(entry: &JournalEntry, verdict: &mut Verdict) {
    let changes = ["update", "delete", "twin-patch", "twin-replace"];
    if !changes.contains(&entry.operation.as_str()) {
        return;
    }
    let asked = entry.if_match.as_deref().map(|tag| tag.trim_matches('"'));
    if asked.is_none() || asked != entry.etag_before.as_deref() {
        let about = entry.device.as_deref().unwrap_or(&entry.path);
        let why = format!(
            "{} {} with If-Match {:?} took effect on {:?}",
            entry.operation, entry.seq, entry.if_match, entry.etag_before
        );
        verdict.add("S14", about, why);
    }
}

/// S4 and S5: the writes follow the history, and no life has two identities. The journal does not
/// know for which event a write was, so the most favourable reading counts: each write belongs to the
/// first word, not before that of the last write, which asks for what it left behind.
fn judge_order(device: &str, history: &History, writes: &[&JournalEntry], verdict: &mut Verdict) {
    let mut place = 0;
    for write in writes {
        let shape = Shape::left_by(write);
        let rest = history.iter().enumerate().skip(place);
        let found = rest
            .into_iter()
            .find(|(_, it)| Shape::wanted(**it) == shape);
        let Some((next, _)) = found else {
            let why = format!(
                "{} (journal {}) left it {shape:?}, which no later word than number {} of {history:?} asks for",
                write.operation,
                write.seq,
                place + 1
            );
            return verdict.add("S4", device, why);
        };
        place = next;
    }
    let made = writes.iter().filter(|it| it.operation == "create").count();
    let lives = history.split(|it| *it == Status::Decommissioned);
    let accepted = lives
        .filter(|life| life.contains(&Status::Accepted))
        .count();
    if made > accepted {
        let why = format!("{made} identities made in {accepted} accepted lives");
        verdict.add("S5", device, why);
    }
}
