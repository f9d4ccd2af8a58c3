//! Dead letters: written once, listed, replayed.

use jetstream::{DeadLetters, Replayed};
use lifecycle::{DeviceRef, EventId};
use reconciler::ports::{Ack as _, DeadClass, DeadLetter, Payload, Streams as _};
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, device, event, next, nothing};

fn letter(id: &str, about: &DeviceRef, payload: Payload) -> DeadLetter {
    DeadLetter {
        id: EventId(id.to_owned()),
        tenant: Some(about.tenant.to_string()),
        device: Some(about.device.to_string()),
        class: DeadClass::Exhausted,
        reason: "hub unavailable".to_owned(),
        attempts: 4,
        payload,
    }
}

async fn letters(nats: &Installation) -> DeadLetters {
    DeadLetters::open(&nats.context, &nats.names).await.unwrap()
}

#[tokio::test]
async fn a_letter_is_written_once_and_another_event_of_the_same_name_beside_it() {
    let nats = Installation::new("letter-once").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let mut one = event("S-1", &about);
    let first = letter("S-1", &about, streams.payload(&one));
    streams.dead_letter(&first).await.unwrap();
    streams.dead_letter(&first).await.unwrap();
    // The same event, written in other bytes.
    let mut spelled = first.clone();
    spelled.payload.body = br#"{"revision":3,"status":"accepted"}"#.to_vec();
    streams.dead_letter(&spelled).await.unwrap();
    let letters = letters(&nats).await;
    assert_eq!(
        letters
            .list(None, None, None, 10)
            .await
            .unwrap()
            .letters
            .len(),
        1
    );
    // The source stream was made anew, and its first message is another one.
    one.revision = Some(99);
    let other = letter("S-1", &about, streams.payload(&one));
    streams.dead_letter(&other).await.unwrap();
    streams.dead_letter(&other).await.unwrap();
    let found = letters.list(None, None, None, 10).await.unwrap().letters;
    let bodies: Vec<_> = found.into_iter().map(|letter| letter.body).collect();
    assert_eq!(bodies, [first.payload.body, other.payload.body]);
    nats.dir.passed();
}

#[tokio::test]
async fn a_replayed_event_is_the_same_event_and_its_second_death_replaces_the_first() {
    let nats = Installation::new("replay").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let dead = letter("S-1", &about, streams.payload(&event("S-1", &about)));
    streams.dead_letter(&dead).await.unwrap();
    let letters = letters(&nats).await;
    let first = letters
        .list(None, None, None, 10)
        .await
        .unwrap()
        .letters
        .remove(0);
    assert_eq!((first.attempts, first.class.as_str()), (4, "exhausted"));
    assert_eq!(
        letters.replay(first.sequence).await.unwrap(),
        Replayed::Published(1)
    );
    assert_eq!(
        letters.replay(first.sequence).await.unwrap(),
        Replayed::Gone
    );
    let task = next(&mut intake).await;
    let replayed = task.event.clone().unwrap();
    assert_eq!((replayed.id.0.as_str(), replayed.replay), ("S-1", 1));

    // It dies again; the news of its death is repeated, even that of the first one.
    let again = letter("S-1", &about, task.payload.clone());
    streams.dead_letter(&again).await.unwrap();
    streams.dead_letter(&again).await.unwrap();
    streams.dead_letter(&dead).await.unwrap();
    task.ack.ack().await.unwrap();
    let found = letters.list(None, None, None, 10).await.unwrap().letters;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].replay, 1);
    nothing(&mut intake).await;
    nats.dir.passed();
}

#[tokio::test]
async fn an_event_that_dies_again_before_its_letter_is_removed_takes_its_place() {
    let nats = Installation::new("replay-crash").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let dead = letter("S-1", &about, streams.payload(&event("S-1", &about)));
    streams.dead_letter(&dead).await.unwrap();
    let letters = letters(&nats).await;
    let sequence = letters.list(None, None, None, 10).await.unwrap().letters[0].sequence;
    let mut again = dead.clone();
    again.payload.headers.extend([
        ("Iothub-Replay".to_owned(), "1".to_owned()),
        ("Iothub-Replay-Of".to_owned(), sequence.to_string()),
    ]);
    streams.dead_letter(&again).await.unwrap();
    assert!(!letters.delete(sequence).await.unwrap());
    let found = letters.list(None, None, None, 10).await.unwrap().letters;
    assert_eq!((found.len(), found[0].replay), (1, 1));
    nats.dir.passed();
}

#[tokio::test]
async fn a_death_that_is_told_again_after_its_letter_was_purged_begins_another_life() {
    let nats = Installation::new("replay-purged").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let dead = letter("S-1", &about, streams.payload(&event("S-1", &about)));
    let letters = letters(&nats).await;
    let mut lives = Vec::new();
    for _ in 0..2 {
        // The first life dies, or the news of it is repeated when nothing is left to tell it by.
        streams.dead_letter(&dead).await.unwrap();
        let first = letters.list(None, None, None, 10).await.unwrap().letters[0].sequence;
        let replayed = letters.replay(first).await.unwrap();
        assert_eq!(replayed, Replayed::Published(1));
        let task = next(&mut intake).await;
        lives.push(task.event.clone().unwrap().replay);
        // The next life dies too, and its letter is thrown away.
        let again = letter("S-1", &about, task.payload.clone());
        streams.dead_letter(&again).await.unwrap();
        task.ack.ack().await.unwrap();
        assert_eq!(letters.purge(None, None).await.unwrap(), 1);
    }
    assert!(lives[0] < lives[1], "{lives:?}");
    nats.dir.passed();
}

#[tokio::test]
async fn letters_of_menders_messages_are_read_again_and_kept_while_they_make_no_sense() {
    let nats = Installation::new("replay-mender").await;
    let streams = nats.streams().await;
    let stop = CancellationToken::new();
    let mut intake = nats.intake(&stop).await;
    let source = |body: &str, index: Option<&str>| Payload {
        subject: "WORKFLOWS.lifecycle.device.status".to_owned(),
        body: body.as_bytes().to_vec(),
        headers: index
            .map(|index| ("Iothub-List-Index".to_owned(), index.to_owned()))
            .into_iter()
            .collect(),
    };
    let list = r#"{"devices":[{"id":"d0","revision":1},{"id":"d1","revision":1}],"status":"rejected","tenant_id":"t"}"#;
    let anybody = device("t", "x");
    for (id, payload) in [
        ("W-1", source("{oops", None)),
        ("W-2", source(list, None)),
        ("W-3-1", source(list, Some("1"))),
    ] {
        streams
            .dead_letter(&letter(id, &anybody, payload))
            .await
            .unwrap();
    }
    let letters = letters(&nats).await;
    let kept = letters.replay(1).await.unwrap();
    assert!(
        matches!(kept, Replayed::Malformed { published: 0, .. }),
        "{kept:?}"
    );
    assert_eq!(letters.replay(2).await.unwrap(), Replayed::Published(2));
    assert_eq!(letters.replay(3).await.unwrap(), Replayed::Published(1));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let task = next(&mut intake).await;
        let event = task.event.unwrap();
        seen.push((event.id.0, event.about.device.to_string(), event.replay));
        task.ack.ack().await.unwrap();
    }
    seen.sort();
    let expected = [("W-2-0", "d0", 2), ("W-2-1", "d1", 2), ("W-3-1", "d1", 3)];
    assert_eq!(
        seen,
        expected.map(|(id, device, letter)| (id.to_owned(), device.to_owned(), letter))
    );
    let left = letters.list(None, None, None, 10).await.unwrap().letters;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].event_id.0, "W-1");
    nats.dir.passed();
}

#[tokio::test]
async fn letters_are_listed_in_pages_by_tenant_and_device_and_purged() {
    let nats = Installation::new("letter-list").await;
    let streams = nats.streams().await;
    for (number, about) in [
        (1, device("t", "a")),
        (2, device("t", "b")),
        (3, device("", "a")),
        (4, device("t", "a")),
    ] {
        let id = format!("S-{number}");
        let payload = streams.payload(&event(&id, &about));
        streams
            .dead_letter(&letter(&id, &about, payload))
            .await
            .unwrap();
    }
    let letters = letters(&nats).await;
    let mut ids = Vec::new();
    let mut from = None;
    loop {
        let page = letters.list(Some("t"), None, from, 2).await.unwrap();
        ids.extend(page.letters.into_iter().map(|letter| letter.event_id.0));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["S-1", "S-2", "S-4"]);
    let of = async |tenant, device| {
        letters
            .list(tenant, device, None, 10)
            .await
            .unwrap()
            .letters
            .len()
    };
    assert_eq!(of(Some(""), None).await, 1);
    assert_eq!(of(Some("t"), Some("a")).await, 2);
    assert!(letters.delete(1).await.unwrap());
    assert_eq!(letters.purge(Some("t"), None).await.unwrap(), 2);
    assert_eq!(of(None, None).await, 1);
    nats.dir.passed();
}

#[tokio::test]
async fn two_who_replay_a_letter_at_once_publish_its_event_once() {
    let nats = Installation::new("replay-twice").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let dead = letter("S-1", &about, streams.payload(&event("S-1", &about)));
    streams.dead_letter(&dead).await.unwrap();
    let letters = letters(&nats).await;
    let sequence = letters.list(None, None, None, 10).await.unwrap().letters[0].sequence;
    let (one, other) = tokio::join!(letters.replay(sequence), letters.replay(sequence));
    for replayed in [one.unwrap(), other.unwrap()] {
        assert!(
            matches!(replayed, Replayed::Published(1) | Replayed::Gone),
            "{replayed:?}"
        );
    }
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 1);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    nats.dir.passed();
}
