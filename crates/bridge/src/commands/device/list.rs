//! `device list`: many devices, a line each.

use lifecycle::{DeviceRef, Record, Timestamp};
use reconciler::ports::{DeviceStore as _, Stored};
use reconciler::{InHub, Progress};
use serde_json::{Value, json};

use super::words::{hub, state};
use crate::adapters::{RecordStore, StorePort};
use crate::cli::{DeviceList, DeviceState, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// Records read at once.
const PAGE: usize = 200;

type Row = (DeviceRef, Stored);

/// What was found, and where the next page begins.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// Records that are not understood. No filter leaves them out: they may be anything.
    unread: Vec<(DeviceRef, String)>,
    next: Option<String>,
}

pub(super) async fn run(config: &Config, args: DeviceList, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let store = RecordStore::from_config(config)?.open(&session).await?;
    let collected = collect(&store, &args).await;
    store.close().await;
    let found = collected?;
    let devices: Vec<_> = found.rows.iter().map(shown).collect();
    let unread: Vec<_> = found.unread.iter().map(not_read).collect();
    let shown = json!({"devices": devices, "not_understood": unread, "next": found.next});
    print::result(output, &shown, |_| print::harmless(in_words(&found)))
}

fn in_words(found: &Found) -> String {
    let mut text = if found.rows.is_empty() {
        "no devices".to_owned()
    } else {
        let rows = found.rows.iter().map(row);
        print::table(["TENANT", "DEVICE", "MENDER", "HUB", "STATE"], rows)
    };
    for (about, why) in &found.unread {
        let (tenant, device) = (about.tenant.as_str(), &about.device);
        let line = format!("\nnot understood: device {device} of tenant {tenant:?}: {why}");
        text.push_str(&line);
    }
    if let Some(next) = &found.next {
        text = text + "\nmore with --after " + next;
    }
    text
}

/// At most as many devices as asked for. A filter that leaves few may have to read them all.
async fn collect(store: &StorePort, args: &DeviceList) -> anyhow::Result<Found> {
    let bar = print::progress("reading records", store.count(args.tenant.as_ref()).await?);
    let now = print::now();
    let mut found = Found {
        next: args.after.clone(),
        ..Found::default()
    };
    loop {
        let room = args.limit.saturating_sub(found.rows.len());
        let page = store
            .list(
                args.tenant.as_ref(),
                found.next.as_deref(),
                room.clamp(1, PAGE),
            )
            .await?;
        bar.inc(page.records.len() as u64);
        let wanted = |row: &Row| passes(args, &row.1, now);
        found.rows.extend(page.records.into_iter().filter(wanted));
        found.unread.extend(page.unread);
        found.next = page.next;
        if found.next.is_none() || found.rows.len() >= args.limit {
            bar.finish_and_clear();
            found.rows.truncate(args.limit);
            return Ok(found);
        }
    }
}

/// Whether the filters leave it.
fn passes(args: &DeviceList, stored: &Stored, now: Timestamp) -> bool {
    let record = &stored.record;
    let state = args.state.is_none_or(|it| it == state_of(record));
    let wanted = args.wanted.is_none_or(|it| record.wanted() == it.into());
    let error = args.error.as_ref().is_none_or(|text| {
        error(record).is_some_and(|error| error.to_lowercase().contains(&text.to_lowercase()))
    });
    let old = args.unchanged_for;
    let old = old.is_none_or(|age| now.since(stored.written_at) >= age.0);
    state && wanted && error && old
}

/// Why it was given up, or what failed last.
fn error(record: &Record) -> Option<&str> {
    let parked = record.parked.as_ref().map(|parked| parked.error.as_str());
    parked.or(record.retry.last_error.as_deref())
}

fn state_of(record: &Record) -> DeviceState {
    match Progress::of(record) {
        Progress::Settled => DeviceState::Settled,
        Progress::Working => DeviceState::Working,
        Progress::Parked => DeviceState::Parked,
    }
}

fn row((about, stored): &Row) -> [String; 5] {
    let record = &stored.record;
    let mut state = state(record);
    if let (Some(error), None) = (&record.retry.last_error, &record.parked) {
        state = state + "; last error: " + error;
    }
    [
        format!("{:?}", about.tenant.as_str()),
        about.device.to_string(),
        record.status.to_string(),
        hub(record),
        state,
    ]
}

fn shown((about, stored): &Row) -> Value {
    let record = &stored.record;
    json!({
        "tenant": about.tenant,
        "device": about.device,
        "status": record.status,
        "wanted": record.wanted(),
        "hub": InHub::of(record),
        "state": state_of(record).name(),
        "error": error(record),
        "last_error": record.retry.last_error,
        "written_us": stored.written_at,
    })
}

fn not_read((about, why): &(DeviceRef, String)) -> Value {
    json!({"tenant": about.tenant, "device": about.device, "reason": why})
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::{Cli, Command, Device};

    fn filters(words: &[&str]) -> DeviceList {
        let words = ["mender-iothub", "device", "list"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Some(Command::Device(Device::List(args))) => args,
            other => panic!("{other:?}"),
        }
    }

    fn stored() -> Stored {
        let record = json!({
            "v": 1, "key": {"incarnation": null, "revision": 1}, "status": "accepted",
            "integration": {"id": "i", "hub": "h", "generation": 1},
            "hub": "absent", "confirmed": false,
            "retry": {"last_error": "unavailable: Timed out", "attempt": 3},
        });
        Stored {
            record: serde_json::from_value(record).unwrap(),
            version: 1,
            written_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn every_filter_lets_through_and_holds_back() {
        let stored = stored();
        let now = Timestamp::from_micros(600_000_000);
        for (words, expected) in [
            (&[][..], true),
            (&["--state", "working"], true),
            (&["--state", "settled"], false),
            (&["--wanted", "enabled"], true),
            (&["--wanted", "absent"], false),
            (&["--error"], true),
            (&["--error", "TIMED"], true),
            (&["--error", "quota"], false),
            (&["--unchanged-for", "10m"], true),
            (&["--unchanged-for", "11m"], false),
        ] {
            assert_eq!(passes(&filters(words), &stored, now), expected, "{words:?}");
        }
    }
}
