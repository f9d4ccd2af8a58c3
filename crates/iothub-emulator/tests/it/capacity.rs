//! A hub as large as a fleet: what it costs to keep, and that it still answers one by one.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::Emulator;

const DEVICES: usize = 100_000;
const BULK: usize = 100;
/// Most resident memory of the process, in MiB.
const MEMORY_MIB: u64 = 300;
const READS: usize = 1_000;

/// Resident memory of a process in MiB, where the system tells.
fn resident_mib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

fn item(number: usize) -> Value {
    json!({"id": format!("device-{number:06}"), "importMode": "create", "tags": {"site": number % 7, "mender": true}})
}

/// The time that a read takes is printed, not judged: it is the machine's too.
#[tokio::test]
async fn a_hundred_thousand_identities_fit_in_300_mib_and_are_found() {
    let hub = Emulator::start(&["--tier", "unlimited"]);
    for start in (0..DEVICES).step_by(BULK) {
        let items: Vec<_> = (start..start + BULK).map(item).collect();
        let made = hub
            .send("POST", "/devices", None, Some(&json!(items)))
            .await;
        assert_eq!(made.status, 200, "{}", made.text);
    }
    let counted = hub.send("GET", "/statistics/devices", None, None).await;
    assert_eq!(counted.json()["totalDeviceCount"], DEVICES);

    let mut took = Vec::new();
    for read in 0..READS {
        let path = format!("/devices/device-{:06}", (read * 7_919) % DEVICES);
        let began = Instant::now();
        let found = hub.send("GET", &path, None, None).await;
        took.push(began.elapsed());
        assert_eq!(found.status, 200, "{path}");
    }
    took.sort_unstable();
    let resident = resident_mib(hub.child.id());
    println!(
        "median of a read: {:?}; resident: {resident:?} MiB",
        took[READS / 2]
    );
    if let Some(resident) = resident {
        assert!(resident < MEMORY_MIB, "{resident} MiB are resident");
    }
}
