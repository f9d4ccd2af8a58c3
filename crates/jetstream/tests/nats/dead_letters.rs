//! Dead letters: written once, listed, replayed.

use jetstream::{DeadLetters, Outcomes, Replayed};
use lifecycle::{DeviceRef, Done, EventId, Outcome};
use messages::ops::LetterFilter;
use reconciler::ports::{Ack as _, DeadClass, DeadLetter, Payload, Streams as _};
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, device, event, letter_filter, next, nothing};

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

/// Events that a replay published.
fn published(replayed: &Replayed) -> Option<usize> {
    let done = replayed.letter.is_some() && replayed.malformed.is_none();
    done.then_some(replayed.lives.len())
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
    assert_eq!(nats.letters(None, None).await.len(), 1);
    // The source stream was made anew, and its first message is another one.
    one.revision = Some(99);
    let other = letter("S-1", &about, streams.payload(&one));
    streams.dead_letter(&other).await.unwrap();
    streams.dead_letter(&other).await.unwrap();
    let left = nats.letters(None, None).await;
    let bodies: Vec<_> = left.into_iter().map(|letter| letter.body).collect();
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
    let first = nats.letters(None, None).await.remove(0);
    assert_eq!(
        (first.head.attempts, first.head.class.as_str()),
        (4, "exhausted")
    );
    let replayed = letters.replay(first.head.sequence).await.unwrap();
    assert_eq!(published(&replayed), Some(1));
    assert_eq!(replayed.lives[0].event.as_ref().unwrap().0, "S-1");
    let replayed = letters.replay(first.head.sequence).await.unwrap();
    assert_eq!(replayed.letter, None);
    let task = next(&mut intake).await;
    let replayed = task.event.clone().unwrap();
    assert_eq!((replayed.id.0.as_str(), replayed.replay), ("S-1", 1));

    // It dies again; the news of its death is repeated, even that of the first one.
    let again = letter("S-1", &about, task.payload.clone());
    streams.dead_letter(&again).await.unwrap();
    streams.dead_letter(&again).await.unwrap();
    streams.dead_letter(&dead).await.unwrap();
    task.ack.ack().await.unwrap();
    let left = nats.letters(None, None).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].head.replay, 1);
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
    let sequence = nats.letters(None, None).await[0].head.sequence;
    let mut again = dead.clone();
    again.payload.headers.extend([
        ("Iothub-Replay".to_owned(), "1".to_owned()),
        ("Iothub-Replay-Of".to_owned(), sequence.to_string()),
    ]);
    streams.dead_letter(&again).await.unwrap();
    assert!(!letters.delete(sequence).await.unwrap());
    let left = nats.letters(None, None).await;
    assert_eq!((left.len(), left[0].head.replay), (1, 1));
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
        let first = nats.letters(None, None).await[0].head.sequence;
        let replayed = letters.replay(first).await.unwrap();
        assert_eq!(published(&replayed), Some(1));
        let task = next(&mut intake).await;
        lives.push(task.event.clone().unwrap().replay);
        // The next life dies too, and its letter is thrown away.
        let again = letter("S-1", &about, task.payload.clone());
        streams.dead_letter(&again).await.unwrap();
        task.ack.ack().await.unwrap();
        assert_eq!(
            letters
                .purge(&letter_filter(None, None), u64::MAX - 1)
                .await
                .unwrap(),
            1
        );
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
        since: None,
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
        kept.malformed.is_some() && kept.lives.is_empty(),
        "{kept:?}"
    );
    assert_eq!(published(&letters.replay(2).await.unwrap()), Some(2));
    assert_eq!(published(&letters.replay(3).await.unwrap()), Some(1));
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
    let left = nats.letters(None, None).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].head.event_id.0, "W-1");
    nats.dir.passed();
}

#[tokio::test]
async fn letters_are_found_and_purged_by_tenant_and_device() {
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
    let of_t = nats.letters(Some("t"), None).await;
    let ids: Vec<_> = of_t
        .into_iter()
        .map(|letter| letter.head.event_id.0)
        .collect();
    assert_eq!(ids, ["S-1", "S-2", "S-4"]);
    let of = async |tenant, device| nats.letters(tenant, device).await.len();
    assert_eq!(of(Some(""), None).await, 1);
    assert_eq!(of(Some("t"), Some("a")).await, 2);
    assert!(letters.delete(1).await.unwrap());
    assert_eq!(
        letters
            .purge(&letter_filter(Some("t"), None), 3)
            .await
            .unwrap(),
        1
    );
    assert_eq!(of(None, None).await, 2, "the fourth came after");
    nats.dir.passed();
}

#[tokio::test]
async fn two_who_replay_a_letter_at_once_publish_its_event_once() {
    let nats = Installation::new("replay-twice").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let dead = letter("S-1", &about, streams.payload(&event("S-1", &about)));
    streams.dead_letter(&dead).await.unwrap();
    let letters = letters(&nats).await;
    let sequence = nats.letters(None, None).await[0].head.sequence;
    let (one, other) = tokio::join!(letters.replay(sequence), letters.replay(sequence));
    for replayed in [one.unwrap(), other.unwrap()] {
        let gone = replayed.letter.is_none();
        assert!(gone || published(&replayed) == Some(1), "{replayed:?}");
    }
    assert_eq!(nats.messages_in("IOTHUB_EVENTS").await, 1);
    assert_eq!(nats.messages_in("IOTHUB_DLQ").await, 0);
    nats.dir.passed();
}

#[tokio::test]
async fn a_scan_ends_though_letters_vanish_under_it_and_filters_by_what_headers_say() {
    let nats = Installation::new("letter-scan").await;
    let streams = nats.streams().await;
    for number in 1..=4 {
        let (id, about) = (format!("S-{number}"), device("t", "a"));
        let mut one = letter(&id, &about, streams.payload(&event(&id, &about)));
        one.reason = format!("reason {}", number % 2);
        streams.dead_letter(&one).await.unwrap();
    }
    let letters = letters(&nats).await;
    let odd = LetterFilter {
        reason: Some("REASON 1".to_owned()),
        ..LetterFilter::default()
    };
    let mut scan = letters.scan(&odd).await.unwrap();
    let mut seen = Vec::new();
    while let Some(head) = scan.next().await.unwrap() {
        // The last one of the stream, which the scan waits for.
        letters.delete(4).await.unwrap();
        seen.push(head.sequence);
    }
    assert_eq!(seen, [1, 3]);
    let mut none = letters
        .scan(&letter_filter(Some("nobody"), None))
        .await
        .unwrap();
    assert_eq!(none.next().await.unwrap(), None);
    nats.dir.passed();
}

#[tokio::test]
async fn the_ends_of_events_are_heard_from_a_place_on() {
    let nats = Installation::new("outcome-feed").await;
    let (streams, about) = (nats.streams().await, device("t", "a"));
    let outcomes = Outcomes::open(&nats.context, &nats.names).await.unwrap();
    let done = |id: &str| Done {
        event: event(id, &about),
        outcome: Outcome::Applied,
        reason: None,
    };
    streams.report(&[done("S-1")]).await.unwrap();
    let place = outcomes.place().await.unwrap();
    let mut feed = outcomes.feed(place).await.unwrap();
    streams.report(&[done("S-2")]).await.unwrap();
    assert_eq!(feed.next().await.unwrap().event_id, "S-2");
    nats.dir.passed();
}
