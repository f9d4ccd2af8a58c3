//! The device records: whether this version understands them, and whether they get on.

use std::time::Duration;

use lifecycle::{DeviceRef, Timestamp};
use reconciler::ports::{DeviceStore as _, Stored};

use super::finding::Finding;
use super::{Findings, Scene};
use crate::adapters::{RecordStore, StorePort};
use crate::print;

const CHECK: &str = "records";
/// So many records are read; a fault that is in the program is in all of them.
const MOST: usize = 5_000;
/// Records read at once.
const PAGE: usize = 500;
/// What has been failing for so long needs somebody.
const LONG: Duration = Duration::from_secs(3_600);

/// What was seen of them.
#[derive(Default)]
struct Seen {
    read: usize,
    unread: Vec<(DeviceRef, String)>,
    failing: u64,
    parked: u64,
    more: bool,
}

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let store = RecordStore::from_config(scene.config)?;
    let store = store.open(scene.session).await?;
    let seen = read(&store).await;
    store.close().await;
    Ok(of_records(&seen?))
}

async fn read(store: &StorePort) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut after: Option<String> = None;
    let now = print::now();
    loop {
        let page = store.list(None, after.as_deref(), PAGE).await?;
        for (_, stored) in &page.records {
            seen.add(stored, now);
        }
        seen.unread.extend(page.unread);
        after = page.next;
        seen.more = after.is_some();
        if after.is_none() || seen.read + seen.unread.len() >= MOST {
            return Ok(seen);
        }
    }
}

impl Seen {
    fn add(&mut self, stored: &Stored, now: Timestamp) {
        let record = &stored.record;
        self.read += 1;
        self.parked += u64::from(record.parked.is_some());
        let failing = record
            .retry
            .since
            .is_some_and(|since| now.since(since) > LONG);
        self.failing += u64::from(failing && record.parked.is_none() && !record.is_settled());
    }
}

fn of_records(seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some((about, why)) = seen.unread.first() {
        let (n, tenant, device) = (seen.unread.len(), about.tenant.as_str(), &about.device);
        found.push(
            Finding::problem(CHECK, format!("{n} records are not understood and left alone, such as that of device {device} of tenant {tenant:?}: {why}"))
                .with_advice("run the version that wrote them, or upgrade to it"),
        );
    }
    if seen.failing > 0 {
        found.push(
            Finding::problem(
                CHECK,
                format!(
                    "{} devices have been failing for more than an hour",
                    seen.failing
                ),
            )
            .with_advice("mender-iothub device list --state working --error shows them and why"),
        );
    }
    if seen.parked > 0 {
        found.push(
            Finding::advice(CHECK, format!("{} devices were given up", seen.parked))
                .with_advice("mender-iothub device list --state parked shows them; mend the cause, then `dlq replay`, or `device retry` without a letter"),
        );
    }
    if found.is_empty() {
        let of = if seen.more { "the first " } else { "" };
        found.push(Finding::ok(
            CHECK,
            format!("{of}{} records are understood and get on", seen.read),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Severity::{Advice, Ok, Problem};
    use super::*;

    fn stored(more: &serde_json::Value) -> Stored {
        let mut record = json!({
            "v": 1, "key": {"incarnation": null, "revision": 1}, "status": "accepted",
            "integration": {"id": "i", "hub": "h", "generation": 1},
            "hub": "absent", "confirmed": false,
        });
        let fields = record.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        Stored {
            record: serde_json::from_value(record).unwrap(),
            version: 1,
            written_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn each_trouble_of_records_is_found() {
        let now = Timestamp::from_micros(3_601_000_000);
        let failing = json!({"retry": {"attempt": 3, "since": 0}});
        let parked = json!({"parked": {"error": "e", "exhausted": false, "attempts": 1}});
        for (more, severity) in [(json!({}), Ok), (failing, Problem), (parked, Advice)] {
            let mut seen = Seen::default();
            seen.add(&stored(&more), now);
            let found = of_records(&seen);
            assert_eq!((found.len(), found[0].severity), (1, severity), "{found:?}");
        }
        let about = DeviceRef {
            tenant: "".parse().unwrap(),
            device: "d".parse().unwrap(),
        };
        let seen = Seen {
            unread: vec![(about, "it has version 2".to_owned())],
            ..Seen::default()
        };
        let found = of_records(&seen);
        assert_eq!(found[0].severity, Problem);
        assert!(found[0].what.contains("version 2"), "{found:?}");
    }
}
