//! The last word: a table for people, one object for programs.

use std::time::Duration;

use anyhow::Result;
use black_box::ledger::Tally;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::judge::{Disagreement, Score, Verdict};

/// Disagreements shown; the rest is in the kept folder.
const SHOWN: usize = 20;

/// What is told beside the verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) seed: u64,
    pub(super) worker_kills: u64,
    /// The most memory that any life of the worker held.
    pub(super) worker_peak_rss_bytes: Option<u64>,
    pub(super) hub_requests: u64,
    pub(super) hub_faults: u64,
    pub(super) messages_published: u64,
    pub(super) took: Duration,
}

/// The same for programs. Names are part of the interface.
#[derive(Serialize)]
struct Json<'a> {
    devices: u64,
    agree: u64,
    delivered: u64,
    delivered_again: u64,
    foreign_untouched: u64,
    dead_letters: u64,
    outcomes: Tally,
    events_published: u64,
    messages_published: u64,
    worker_kills: u64,
    worker_peak_rss_bytes: Option<u64>,
    hub_requests: u64,
    hub_faults: u64,
    seed: u64,
    seconds: f64,
    ok: bool,
    #[serde(skip_serializing_if = "<[Disagreement]>::is_empty")]
    disagreements: &'a [Disagreement],
}

/// One line of JSON.
pub(super) fn json(verdict: &Verdict, facts: &Facts) -> Result<String> {
    let fleet = verdict.fleet();
    let shown = verdict.disagreements.len().min(SHOWN);
    Ok(serde_json::to_string(&Json {
        devices: fleet.all,
        agree: fleet.right,
        delivered: verdict.delivered.right,
        delivered_again: verdict.delivered_again,
        foreign_untouched: verdict.foreign.right,
        dead_letters: verdict.dead_letters.right + verdict.surplus_dead_letters,
        outcomes: verdict.outcomes,
        events_published: verdict.events_published,
        messages_published: facts.messages_published,
        worker_kills: facts.worker_kills,
        worker_peak_rss_bytes: facts.worker_peak_rss_bytes,
        hub_requests: facts.hub_requests,
        hub_faults: facts.hub_faults,
        seed: facts.seed,
        seconds: (facts.took.as_secs_f64() * 10.0).round() / 10.0,
        ok: verdict.agrees(),
        disagreements: &verdict.disagreements[..shown],
    })?)
}

/// The table, and below it what the numbers were reached through.
pub(super) fn text(verdict: &Verdict, facts: &Facts) -> String {
    let mut table = new_table(["", "expected", "found", ""]);
    for (wanted, score) in &verdict.devices {
        row(&mut table, &format!("devices {}", wanted.words()), *score);
    }
    row(
        &mut table,
        "connection strings delivered",
        verdict.delivered,
    );
    table.add_row([
        "delivered twice (in work when the worker was killed)",
        &format!("<= {}", verdict.may_deliver_again),
        &verdict.delivered_again.to_string(),
        mark(verdict.delivered_again <= verdict.may_deliver_again),
    ]);
    row(&mut table, "foreign identities untouched", verdict.foreign);
    dead_letters(&mut table, verdict);
    outcomes(&mut table, verdict);
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{}", story(verdict, facts))
}

fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn row(table: &mut Table, what: &str, score: Score) {
    let all = score.all.to_string();
    let right = score.right.to_string();
    table.add_row([what, &all, &right, mark(score.is_full())]);
}

fn dead_letters(table: &mut Table, verdict: &Verdict) {
    let found = verdict.dead_letters.right + verdict.surplus_dead_letters;
    let right = verdict.dead_letters.is_full() && verdict.surplus_dead_letters == 0;
    table.add_row([
        "dead letters: the malformed messages, no others",
        &verdict.dead_letters.all.to_string(),
        &found.to_string(),
        mark(right),
    ]);
}

fn outcomes(table: &mut Table, verdict: &Verdict) {
    for (kind, count) in verdict.outcomes.kinds() {
        let what = format!("  outcome {kind}");
        table.add_row([&what, "", &count.to_string(), ""]);
    }
    table.add_row([
        "events published, and the sum of their outcomes",
        &verdict.events_published.to_string(),
        &verdict.outcomes.sum().to_string(),
        mark(verdict.outcomes_add_up()),
    ]);
}

const fn mark(right: bool) -> &'static str {
    if right { "ok" } else { "WRONG" }
}

fn story(verdict: &Verdict, facts: &Facts) -> String {
    let fleet = verdict.fleet();
    let memory = facts.worker_peak_rss_bytes.map_or_else(
        || "unknown here".to_owned(),
        |bytes| format!("{:.1} MiB", mebibytes(bytes)),
    );
    let kills = match facts.worker_kills {
        1 => "once".to_owned(),
        kills => format!("{kills} times"),
    };
    format!(
        "{} of {} devices agree, after {:.1} s. {} of {} hub requests went wrong on purpose; the worker \
         was killed {kills}, and its memory peaked at {memory}. Seed {}.",
        fleet.right,
        fleet.all,
        facts.took.as_secs_f64(),
        facts.hub_faults,
        facts.hub_requests,
        facts.seed,
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory below 2^52 bytes, shown with one decimal"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// What disagrees; nothing if all agrees.
pub(super) fn disagreements(verdict: &Verdict) -> Option<String> {
    let all = &verdict.disagreements;
    if all.is_empty() {
        return None;
    }
    let mut table = new_table(["device", "wanted", "hub", "why it is wrong"]);
    for it in all.iter().take(SHOWN) {
        table.add_row([&it.device, &it.wanted, &it.hub, &it.why]);
    }
    let rest = all.len().saturating_sub(SHOWN);
    let more = match rest {
        0 => String::new(),
        rest => format!("\n... and {rest} more"),
    };
    Some(format!("{table}{more}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::demo::judge::Wanted;

    fn verdict() -> Verdict {
        let full = |all| Score { all, right: all };
        Verdict {
            devices: BTreeMap::from([(Wanted::Enabled, full(7)), (Wanted::Deleted, full(3))]),
            delivered: full(7),
            foreign: full(20),
            dead_letters: full(3),
            outcomes: Tally {
                applied: 12,
                dead: 3,
                ..Tally::default()
            },
            events_published: 15,
            ..Verdict::default()
        }
    }

    #[test]
    fn the_object_has_the_promised_keys() {
        let line = json(&verdict(), &Facts::default()).unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let numbers = [
            ("devices", 10),
            ("agree", 10),
            ("delivered", 7),
            ("foreign_untouched", 20),
            ("dead_letters", 3),
            ("events_published", 15),
            ("worker_kills", 0),
        ];
        for (key, number) in numbers {
            assert_eq!(object[key], number, "{key}");
        }
        assert_eq!(object["outcomes"]["applied"], 12);
        assert!(object["seconds"].is_number());
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_table_without_fault_has_no_wrong_line() {
        let text = text(&verdict(), &Facts::default());
        assert!(!text.contains("WRONG"), "{text}");
        assert!(text.contains("10 of 10 devices agree"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_marked() {
        let wrong = Verdict {
            surplus_dead_letters: 1,
            ..verdict()
        };
        assert_eq!(text(&wrong, &Facts::default()).matches("WRONG").count(), 1);
    }

    #[test]
    fn only_the_first_disagreements_are_listed_and_the_rest_is_counted() {
        let one = |index| Disagreement {
            device: format!("device-{index}"),
            wanted: "deleted".to_owned(),
            hub: "enabled".to_owned(),
            why: "has an identity".to_owned(),
        };
        let wrong = Verdict {
            disagreements: (0..25).map(one).collect(),
            ..verdict()
        };
        let text = disagreements(&wrong).unwrap();
        assert!(text.contains("device-19") && !text.contains("device-20"));
        assert!(text.ends_with("... and 5 more"));
        assert_eq!(disagreements(&verdict()), None);
    }
}
