//! Mender's messages.

use black_box::until;
use jetstream::{Ingest, IngestSettings, Letter, Names, Setup, setup};
use lifecycle::{Outcome, Status};
use reconciler::ports::Ack as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, PATIENCE, next, nothing};

const PROVISION: &str = "WORKFLOWS.lifecycle.device.provision";
const STATUS: &str = "WORKFLOWS.lifecycle.device.status";
const DECOMMISSION: &str = "WORKFLOWS.lifecycle.device.decommission";

async fn ingest(nats: &Installation, stop: &CancellationToken) -> JoinHandle<()> {
    let settings = IngestSettings::default();
    let ingest = Ingest::new(&nats.context, nats.streams().await, settings);
    tokio::spawn(ingest.run(stop.clone()))
}

async fn drained(nats: &Installation) {
    until(PATIENCE, "an empty source stream", async || {
        Ok((nats.messages_in("WORKFLOWS").await == 0).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_shape_becomes_one_event_a_device() {
    let nats = Installation::new("shapes").await;
    let newest = br#"{"device":{"auth_sets":[],"created_ts":"2026-08-20T10:11:12.345Z","id":"d1","revision":3,"status":"accepted"},"device_id":"d1","event":"device-provisioned","request_id":"r","status":"accepted","tenant_id":""}"#;
    let older = br#"{"device":{"id":"d2","status":"accepted","decommissioning":false},"device_id":"d2","event":"device-provisioned","status":"accepted","tenant_id":"t"}"#;
    let list = br#"{"devices":[{"id":"d3","revision":7},{"device_id":"d4","revision":8}],"event":"device-status-changed","status":"rejected","tenant_id":"t"}"#;
    let encoded = br#"{"devices":"[{\"id\":\"d5\",\"revision\":9}]","event":"device-status-changed","status":"noauth","tenant_id":"t"}"#;
    let empty =
        br#"{"devices":[],"event":"device-status-changed","status":"pending","tenant_id":"t"}"#;
    let gone =
        br#"{"device_id":"d6","event":"device-decommissioned","request_id":"r","tenant_id":"t"}"#;
    for (subject, body) in [
        (PROVISION, newest.as_slice()),
        (PROVISION, older),
        (STATUS, list),
        (STATUS, encoded),
        (STATUS, empty),
        (DECOMMISSION, gone),
    ] {
        nats.publish(subject, &[], body).await;
    }
    // This one is Mender's own business.
    nats.publish("WORKFLOWS.default", &[], b"job").await;
    let stop = CancellationToken::new();
    let running = ingest(&nats, &stop).await;
    let mut intake = nats.intake(&stop).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let task = next(&mut intake).await;
        let event = task.event.unwrap();
        let tenant = event.about.tenant.to_string();
        let device = event.about.device.to_string();
        seen.push((device, tenant, event.status, event.revision, event.id.0));
        task.ack.ack().await.unwrap();
    }
    nothing(&mut intake).await;
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let expect = |device: &str, tenant: &str, status, revision, id: &str| {
        let (device, tenant) = (device.to_owned(), tenant.to_owned());
        (device, tenant, status, revision, id.to_owned())
    };
    assert_eq!(
        seen,
        [
            expect("d1", "", Status::Accepted, Some(3), "WORKFLOWS-1"),
            expect("d2", "t", Status::Accepted, None, "WORKFLOWS-2"),
            expect("d3", "t", Status::Rejected, Some(7), "WORKFLOWS-3-0"),
            expect("d4", "t", Status::Rejected, Some(8), "WORKFLOWS-3-1"),
            expect("d5", "t", Status::Noauth, Some(9), "WORKFLOWS-4"),
            expect("d6", "t", Status::Decommissioned, None, "WORKFLOWS-6"),
        ]
    );
    assert_eq!(
        nats.messages_in("WORKFLOWS").await,
        1,
        "only Mender's own is left"
    );
    stop.cancel();
    running.await.unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn one_bad_device_of_a_list_does_not_hold_up_the_others() {
    let nats = Installation::new("bad-item").await;
    let list = br#"{"devices":[{"id":"d1","revision":1},{"id":"a;b","revision":1},{"id":"d3","revision":1}],"event":"device-status-changed","status":"rejected","tenant_id":"t"}"#;
    nats.publish(STATUS, &[], list).await;
    nats.publish(STATUS, &[], b"{oops").await;
    let stop = CancellationToken::new();
    let running = ingest(&nats, &stop).await;
    let mut intake = nats.intake(&stop).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let task = next(&mut intake).await;
        seen.push(task.about.device.to_string());
        task.ack.ack().await.unwrap();
    }
    seen.sort();
    assert_eq!(seen, ["d1", "d3"]);
    assert_eq!(nats.outcome("WORKFLOWS-1-1").await.outcome, Outcome::Dead);
    assert_eq!(nats.outcome("WORKFLOWS-2").await.outcome, Outcome::Dead);
    drained(&nats).await;
    let all = nats.letters(None, None).await;
    let of_bad = |it: &&Letter| it.head.device.as_deref() == Some("a;b");
    let found: Vec<_> = all.iter().filter(of_bad).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, list);
    assert_eq!(found[0].subject, STATUS);
    assert_eq!(all.len(), 2);
    stop.cancel();
    running.await.unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn ingest_begins_when_mender_makes_its_stream() {
    let nats = Installation::bare("late").await;
    nats.set_up().await;
    let stop = CancellationToken::new();
    let running = ingest(&nats, &stop).await;
    let mut intake = nats.intake(&stop).await;
    nothing(&mut intake).await;
    nats.make_source().await;
    let gone = br#"{"device_id":"d6","event":"device-decommissioned","tenant_id":"t"}"#;
    nats.publish(DECOMMISSION, &[], gone).await;
    next(&mut intake).await.ack.ack().await.unwrap();
    // Mender's server is set up anew: the numbers begin at one again, the events are others.
    nats.context.delete_stream("WORKFLOWS").await.unwrap();
    nats.make_source().await;
    let other = br#"{"device_id":"d7","event":"device-decommissioned","tenant_id":"t"}"#;
    nats.publish(DECOMMISSION, &[], other).await;
    let task = next(&mut intake).await;
    assert_eq!(task.about.device.as_str(), "d7");
    task.ack.ack().await.unwrap();
    stop.cancel();
    running.await.unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn a_message_that_kills_ingest_ends_as_poison() {
    let nats = Installation::new("ingest-poison").await;
    let gone = br#"{"device_id":"d6","event":"device-decommissioned","tenant_id":"t"}"#;
    nats.publish(DECOMMISSION, &[], gone).await;
    let consumer = nats
        .context
        .get_consumer_from_stream::<async_nats::jetstream::consumer::pull::Config, _, _>(
            "iothub-ingest",
            "WORKFLOWS",
        )
        .await
        .unwrap();
    for _ in 0..5 {
        use futures::StreamExt as _;
        let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
        let message = batch.next().await.unwrap().unwrap();
        let nak = async_nats::jetstream::AckKind::Nak(None);
        message.double_ack_with(nak).await.unwrap();
    }
    let stop = CancellationToken::new();
    let running = ingest(&nats, &stop).await;
    assert_eq!(nats.outcome("WORKFLOWS-1").await.outcome, Outcome::Dead);
    drained(&nats).await;
    stop.cancel();
    running.await.unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn an_operators_own_stream_can_be_the_source() {
    let nats = Installation::bare("own-source").await;
    let own = async_nats::jetstream::stream::Config {
        name: "MINE".to_owned(),
        subjects: vec!["mine.>".to_owned()],
        num_replicas: 1,
        ..Default::default()
    };
    nats.context.create_stream(own).await.unwrap();
    let names = Names::new("iothub", "MINE", "mine.>").unwrap();
    let nats = Installation { names, ..nats };
    setup(&nats.context, &nats.names, Setup::default())
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let running = ingest(&nats, &stop).await;
    let mut intake = nats.intake(&stop).await;
    let gone = br#"{"device_id":"d6","event":"device-decommissioned","tenant_id":"t"}"#;
    nats.publish("mine.x", &[], gone).await;
    let task = next(&mut intake).await;
    assert_eq!(task.event.unwrap().id.0, "MINE-1");
    task.ack.ack().await.unwrap();
    stop.cancel();
    running.await.unwrap();
    nats.dir.passed();
}
