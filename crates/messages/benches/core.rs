//! What reading a message costs. The reference reads the same bytes as any JSON.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use lifecycle::EventId;
use messages::{parse_event, parse_mender};
use serde_json::Value;

const EVENT: &[u8] = include_bytes!("../../../schemas/examples/event/full.json");
const PROVISIONED: &[u8] =
    include_bytes!("../../../schemas/examples/mender-event/provisioned-main.json");
const STATUS: &[u8] = include_bytes!("../../../schemas/examples/mender-event/status-v4.json");

fn reading(criterion: &mut Criterion) {
    let id = || EventId("IOTHUB_EVENTS-123456".to_owned());
    let (tenant, device) = tokens();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(EVENT.len() as u64));
    group.bench_function("event", |bencher| {
        bencher
            .iter(|| parse_event(id(), &tenant, &device, black_box(EVENT), 0).expect("an event"));
    });
    for (name, body) in [("provisioned", PROVISIONED), ("status", STATUS)] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse_mender(black_box(body)).expect("a message"));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("json");
    for (name, body) in [
        ("event", EVENT),
        ("provisioned", PROVISIONED),
        ("status", STATUS),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(body)).expect("JSON"));
        });
    }
    group.finish();
}

/// The tokens of the subject that the example belongs to.
fn tokens() -> (String, String) {
    let body: Value = serde_json::from_slice(EVENT).expect("JSON");
    let token = |name: &str| lifecycle::encode_token(body[name].as_str().unwrap_or("d1"));
    (token("tenant_id"), token("device_id"))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    reading(&mut criterion);
    criterion.final_summary();
}
