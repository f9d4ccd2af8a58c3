//! What a decision costs: `next` for each step of a first accept, and for what changes nothing.
//!
//! The reference is a copy of the record, which each decision is handed and gives back.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use lifecycle::{
    Context, DeliveryReply, Device, DeviceRef, Effect, Event, EventId, Facts, Input,
    IntegrationRef, IntentId, RetryPolicy, Status, Timestamp, WriteReply, next,
};

const POLICY: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(300),
    in_process: Duration::from_millis(500),
    max_age: Duration::from_secs(604_800),
    max_conflicts: 5,
    credentials: Duration::from_secs(60),
    throttled: Duration::from_secs(10),
    full: Duration::from_secs(900),
    lease: Duration::from_secs(130),
    delivery_lease: Duration::from_secs(40),
};

fn event(status: Status, revision: u64) -> Event {
    Event {
        id: EventId(format!("IOTHUB_EVENTS-{revision}")),
        about: DeviceRef {
            tenant: "5abcb6de7a673a0001287c71".parse().expect("a tenant"),
            device: "7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11"
                .parse()
                .expect("a device"),
        },
        status,
        revision: Some(revision),
        created: Some(Timestamp::from_micros(1_700_000_000_000_000)),
        replay: 0,
    }
}

fn integration() -> IntegrationRef {
    IntegrationRef {
        id: "8d9c2f7a5b1e4c3d".into(),
        hub: "example.azure-devices.net".into(),
        generation: 3,
    }
}

/// The answer of a world in which everything works.
fn answer(effect: Effect) -> Option<Input> {
    match effect {
        Effect::Write(write) => {
            let mark = match &write {
                lifecycle::HubWrite::Create { mark, .. } => Some(mark.clone()),
                _ => None,
            };
            Some(Input::Replied(WriteReply {
                intent: write.intent().clone(),
                result: Ok(Some(Facts {
                    generation: "638400000000000000".into(),
                    etag: "MTIzNDU2Nzg5".into(),
                    enabled: true,
                    mark,
                    keys: None,
                })),
            }))
        }
        Effect::Deliver {
            claim, generation, ..
        } => Some(Input::Delivered(DeliveryReply {
            claim,
            generation,
            result: Ok("c0ffee00c0ffee00".into()),
        })),
        Effect::Tag { .. } => Some(Input::Tagged(Ok(()))),
        Effect::Report(_) => Some(Input::Reported),
        _ => None,
    }
}

/// Each input of a first accept with the device that it finds, and the device at the end.
fn steps(context: &Context<'_>) -> (Vec<(&'static str, Device, Input)>, Device) {
    const NAMES: [&str; 5] = ["accept", "created", "delivered", "tagged", "reported"];
    let mut device = Device::unknown();
    let mut input = Input::Event(event(Status::Accepted, 1));
    let mut steps = Vec::new();
    for name in NAMES {
        steps.push((name, device.clone(), input.clone()));
        let step = next(device, input, context);
        device = step.device;
        match answer(step.effect) {
            Some(answered) => input = answered,
            None => break,
        }
    }
    assert_eq!(steps.len(), NAMES.len(), "a first accept has other steps");
    (steps, device)
}

fn decisions(criterion: &mut Criterion) {
    let integration = integration();
    let context = Context {
        now: Timestamp::from_micros(1_700_000_001_000_000),
        fresh: IntentId("0123456789abcdef0123456789abcdef".into()),
        jitter: 500,
        integration: Some(&integration),
        policy: &POLICY,
    };
    let (mut steps, settled) = steps(&context);
    let record = settled.record.clone().expect("a record");
    let loaded = Device::loaded(record.clone(), context.now);
    let again = Input::Event(event(Status::Accepted, 1));
    steps.push(("repeated", loaded.clone(), again));
    let reject = Input::Event(event(Status::Rejected, 2));
    steps.push(("reject", loaded, reject));
    let mut group = criterion.benchmark_group("next");
    for (name, device, input) in steps {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (device.clone(), input.clone()),
                |(device, input)| next(device, input, black_box(&context)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    criterion
        .benchmark_group("reference")
        .bench_function("copy of a record", |bencher| {
            bencher.iter(|| black_box(&record).clone());
        });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decisions(&mut criterion);
    criterion.final_summary();
}
