//! The screen.

use std::time::Duration;

use super::look::{Backlog, Shown, Swept};
use crate::print::{self, span};

/// Lines of a table that can have many; the rest is only counted.
const MOST: usize = 10;

pub(super) fn in_words(shown: &Shown) -> String {
    let mut parts = vec![print::facts([
        ("NATS server", shown.nats.clone()),
        ("workers", workers(shown)),
        ("backlog", backlog(&shown.backlog)),
        ("integrations", shown.integrations.to_string()),
        ("device records", shown.devices.to_string()),
        ("outcomes", counts(shown)),
        ("last sweep", last_sweep(&shown.sweeps)),
    ])];
    parts.extend(waiting(shown));
    parts.extend(suspended(shown));
    parts.extend(hubs(shown));
    parts.extend(records(shown));
    parts.extend(sweeps(&shown.sweeps));
    parts.extend(missing(shown));
    parts.push(dead_letters(shown));
    let parts: Vec<_> = parts.iter().map(|part| part.trim_end()).collect();
    print::harmless(parts.join("\n\n"))
}

fn workers(shown: &Shown) -> String {
    let workers = &shown.workers;
    let ready = workers.answers.iter().filter(|it| it.waiting.is_empty());
    match (workers.answers.len(), workers.nobody) {
        (0, true) => "none runs: start `mender-iothub run`".to_owned(),
        (0, false) => "none answers; `mender-iothub doctor` looks for the reason".to_owned(),
        (all, _) => format!("{} of {all} ready", ready.count()),
    }
}

fn backlog(backlog: &Backlog) -> String {
    let Backlog {
        mender_messages,
        events,
        in_work,
        oldest_seconds,
    } = backlog;
    let oldest =
        oldest_seconds.map(|age| format!(", the oldest {}", span(Duration::from_secs(age))));
    let mender = match mender_messages {
        0 => String::new(),
        n => format!("; {n} messages of Mender to take in"),
    };
    format!(
        "{events} events wait, {in_work} in work{}{mender}",
        oldest.unwrap_or_default()
    )
}

fn counts(shown: &Shown) -> String {
    let words: Vec<_> = shown
        .outcomes
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    words.join(", ")
}

fn last_sweep(sweeps: &[Swept]) -> String {
    let last = sweeps.iter().map(|swept| swept.at).max();
    last.map_or("none yet".to_owned(), |at| {
        print::time_from(print::now(), at)
    })
}

/// Workers that are not ready, and why.
fn waiting(shown: &Shown) -> Option<String> {
    let rows = shown.workers.answers.iter().flat_map(|worker| {
        worker.waiting.iter().map(|waiting| {
            [
                worker.worker.clone(),
                waiting.need.clone(),
                waiting.because.clone(),
            ]
        })
    });
    some_table(["WORKER", "WAITS FOR", "BECAUSE"], rows.collect())
}

fn suspended(shown: &Shown) -> Option<String> {
    let rows = shown.suspended.iter().map(|it| {
        let tenant = it.tenant.as_ref();
        [
            tenant.map_or("(removed)".to_owned(), |tenant| {
                format!("{:?}", tenant.as_str())
            }),
            it.hub.clone(),
            span(Duration::from_secs(it.since_s)),
            format!("in {}", span(Duration::from_secs(it.probe_in_s))),
            it.requests.clone(),
            it.reason.clone(),
        ]
    });
    let head = [
        "SUSPENDED TENANT",
        "HUB",
        "SINCE",
        "NEXT PROBE",
        "WAITING",
        "REASON",
    ];
    some_table(head, rows.collect())
}

fn hubs(shown: &Shown) -> Option<String> {
    let pace = |it: Option<u32>| it.map_or("no limit".to_owned(), |n| format!("{n} a minute"));
    let rows = shown.hubs.iter().map(|hub| {
        let paused = Duration::from_millis(hub.paused_for_ms);
        let last = hub.last_throttled_s.map(Duration::from_secs);
        let last = last.map_or(String::new(), |ago| format!(", last {} ago", span(ago)));
        [
            hub.hub.clone(),
            pace(hub.present_per_minute),
            pace(hub.allowed_per_minute),
            if paused.is_zero() {
                "no".to_owned()
            } else {
                format!("for {}", span(paused.max(Duration::from_secs(1))))
            },
            format!("{} times{last}", hub.throttled),
        ]
    });
    some_table(
        ["HUB", "PACE", "ALLOWED", "PAUSED", "THROTTLED"],
        rows.collect(),
    )
}

fn records(shown: &Shown) -> Option<String> {
    let rows = shown.records.rows().into_iter().map(|row| {
        [
            row.records.to_string(),
            word(row.wanted),
            word(row.hub),
            word(row.state),
        ]
    });
    let table = some_table(["RECORDS", "WANTED", "IN THE HUB", "STATE"], rows.collect());
    let mut notes = Vec::new();
    if shown.records.by_the_sweep {
        let when = shown.records.counted_at.as_deref();
        notes.push(when.map_or(
            "too many records to read each time, and no sweep has counted them yet; --count reads them"
                .to_owned(),
            |when| format!("as the last sweep counted them at {when}; --count reads them now"),
        ));
    }
    if shown.records.not_understood > 0 {
        let n = shown.records.not_understood;
        notes.push(format!(
            "{n} records are of a version that this program does not know; `mender-iothub device list` \
             names them"
        ));
    }
    let parts: Vec<_> = table.into_iter().chain(notes).collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// The word of an enumeration, as JSON has it.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Passes that have something to tell.
fn sweeps(sweeps: &[Swept]) -> Option<String> {
    let telling = sweeps.iter().filter(|swept| {
        let report = &swept.report;
        !report.findings.is_empty() || report.held_back > 0 || !report.troubles.is_empty()
    });
    let rows = telling.map(|swept| {
        let report = &swept.report;
        let found: u64 = report.findings.values().map(|found| found.count).sum();
        [
            format!("{:?}", swept.tenant.as_str()),
            swept.ended.clone(),
            found.to_string(),
            report.repaired.to_string(),
            report.held_back.to_string(),
            if report.troubles.is_empty() {
                ""
            } else {
                "in part"
            }
            .to_owned(),
        ]
    });
    let head = ["SWEPT TENANT", "WHEN", "FOUND", "REPAIRED", "HELD BACK", ""];
    some_table(head, rows.collect())
}

fn missing(shown: &Shown) -> Option<String> {
    let streams = shown.streams.streams.iter().filter(|it| !it.exists);
    let consumers = shown.streams.consumers.iter().filter(|it| !it.exists);
    let names: Vec<_> = streams
        .map(|it| it.name.clone())
        .chain(consumers.map(|it| format!("{}/{}", it.stream, it.name)))
        .collect();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("missing in NATS: {names}\nmake them with `mender-iothub setup`")
    })
}

fn dead_letters(shown: &Shown) -> String {
    let rows: Vec<_> = shown
        .dead_letters
        .iter()
        .map(|(why, n)| [n.to_string(), why.clone()])
        .collect();
    match some_table(["DEAD LETTERS", "REASON"], rows) {
        None => "no dead letters".to_owned(),
        Some(table) => format!("{table}\nlook closer with `mender-iothub dlq list`"),
    }
}

/// A table with at most [`MOST`] rows; nothing if there is none.
fn some_table<const N: usize>(head: [&str; N], mut rows: Vec<[String; N]>) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let more = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    let table = print::table(head, rows);
    Some(match more {
        0 => table,
        more => format!("{table}\n(and {more} more; `--output json` has all)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tables_are_cut_and_say_so() {
        let rows = |n: usize| (0..n).map(|n| [n.to_string()]).collect();
        assert_eq!(some_table(["A"], rows(0)), None);
        assert!(!some_table(["A"], rows(10)).unwrap().contains("more"));
        assert!(some_table(["A"], rows(12)).unwrap().contains("and 2 more"));
    }

    #[test]
    fn a_backlog_says_only_what_there_is() {
        let backlog = |mender_messages, oldest_seconds| {
            super::backlog(&Backlog {
                mender_messages,
                events: 0,
                in_work: 0,
                oldest_seconds,
            })
        };
        assert_eq!(backlog(0, None), "0 events wait, 0 in work");
        let full = backlog(7, Some(65));
        assert_eq!(
            full,
            "0 events wait, 0 in work, the oldest 1 min 5 s; 7 messages of Mender to take in"
        );
    }
}
