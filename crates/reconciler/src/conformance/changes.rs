//! One record and one caller at a time: who may change what, and what is left alone.

use lifecycle::Record;
use serde_json::json;

use super::{Subject, create, device, from_json, record, won};
use crate::ports::{DeviceStore, PortError, Saved};

/// The server's clock and this machine's may differ by so much, in microseconds.
const TOLERANCE: i64 = 60_000_000;

/// A record with something in every field that a store might change.
fn full() -> Record {
    let event = json!({
        "id": "IOTHUB_EVENTS-7", "about": {"tenant": "", "device": "a.b$c"}, "status": "accepted",
        "revision": u64::MAX, "created": 1_700_000_000_123_456_i64, "replay": 3,
    });
    from_json(&json!({
        "v": lifecycle::RECORD_VERSION,
        "key": {"incarnation": i64::MIN, "revision": u64::MAX},
        "status": "accepted",
        "integration": {"id": "$i.\u{e4}", "hub": "h.azure-devices.net", "generation": u64::MAX},
        "hub": {"ours": {"generation": "63", "etag": "AAAAAAAAAAE=", "enabled": true}},
        "confirmed": true,
        "made": {"generation": "63", "intent": "x", "incarnation": -1},
        "intents": [
            {"id": "c", "op": "create", "key": {"incarnation": null, "revision": 0}},
            {"id": "u", "op": {"update": {"etag": "", "enable": false}},
             "key": {"incarnation": 5, "revision": null}, "seen_at": 1_700_000_000_999_999_i64},
        ],
        "delivery": {"delivered": "63", "fingerprint": "f", "tagged": "63", "claim": {"id": "q"}},
        "working": {"event": event, "owed": true, "changed": true},
        "question": "tie",
        "done": {"event": event, "outcome": "dead", "reason": "a \"quote\", a \\, a \u{1f600}"},
        "outbox": [{"event": event, "outcome": "superseded"}],
        "parked": {"error": "$where\u{0}", "exhausted": true, "attempts": u32::MAX},
        "retry": {"attempt": 4, "last_error": "\n"},
        "reopened": true,
        "closed": i64::MAX,
    }))
}

/// Nothing in a record is lost or rounded.
pub async fn a_record_comes_back_as_it_was_stored<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let about = device("t", "full");
    assert_eq!(store.load(&about).await.expect("an answer"), None);
    let created = create(&store, &about, &full()).await;
    let stored = store.load(&about).await.expect("an answer").expect("it");
    assert_eq!((stored.record, stored.version), (full(), created));
    let saved = store.compare_and_set(&about, &record(1), created).await;
    let changed = won(saved.expect("an answer"));
    let stored = store.load(&about).await.expect("an answer").expect("it");
    assert_eq!((stored.record, stored.version), (record(1), changed));
}

/// The first writer wins, whoever else knows the version.
pub async fn of_two_writers_with_one_version_the_second_loses<S: Subject>(subject: &S) {
    let (one, other) = (subject.open().await, subject.open().await);
    let about = device("", "a.b");
    let first = create(&one, &about, &record(1)).await;
    let won_by_one = one.compare_and_set(&about, &record(2), first).await;
    let second = won(won_by_one.expect("an answer"));
    assert_ne!(first, second);
    let lost = other.compare_and_set(&about, &record(3), first).await;
    assert_eq!(lost.expect("an answer"), Saved::Lost);
    let stored = other.load(&about).await.expect("an answer").expect("it");
    assert_eq!((stored.record, stored.version), (record(2), second));
}

/// A second create changes nothing.
pub async fn a_record_is_created_once<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let about = device("t", "once");
    let first = create(&store, &about, &record(1)).await;
    let again = store.create(&about, &record(2)).await.expect("an answer");
    assert_eq!(again, Saved::Lost);
    let stored = store.load(&about).await.expect("an answer").expect("it");
    assert_eq!((stored.record, stored.version), (record(1), first));
    assert_eq!(store.count(None).await.expect("an answer"), 1);
}

/// A delete is a compare-and-set, and leaves nothing behind.
pub async fn a_delete_names_the_version_it_removes<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let (about, neighbour) = (device("t", "a"), device("t", "b"));
    let first = create(&store, &about, &record(1)).await;
    create(&store, &neighbour, &record(9)).await;
    let saved = store.compare_and_set(&about, &record(2), first).await;
    let second = won(saved.expect("an answer"));
    let stale = store.delete(&about, first).await.expect("an answer");
    assert_eq!(stale, Saved::Lost);
    assert!(store.load(&about).await.expect("an answer").is_some());
    won(store.delete(&about, second).await.expect("an answer"));
    let again = store.delete(&about, second).await.expect("an answer");
    assert_eq!(again, Saved::Lost);
    assert_eq!(store.load(&about).await.expect("an answer"), None);
    assert_eq!(store.count(None).await.expect("an answer"), 1);
}

/// A record created anew is another one, even for whoever slept through it.
pub async fn a_version_from_before_a_delete_never_wins_again<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let about = device("t", "again");
    let mut versions = vec![create(&store, &about, &record(1)).await];
    for life in 2..6 {
        let last = *versions.last().expect("the first");
        won(store.delete(&about, last).await.expect("an answer"));
        versions.push(create(&store, &about, &record(life)).await);
        for old in &versions[..versions.len() - 1] {
            let stale = store.compare_and_set(&about, &record(0), *old).await;
            assert_eq!(stale.expect("an answer"), Saved::Lost);
            let stale = store.delete(&about, *old).await.expect("an answer");
            assert_eq!(stale, Saved::Lost);
        }
        let stored = store.load(&about).await.expect("an answer").expect("it");
        assert_eq!(stored.record, record(life));
    }
}

/// Neither call makes a record.
pub async fn what_is_not_there_can_be_neither_changed_nor_deleted<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let about = device("t", "nowhere");
    for version in [1, 7, u64::MAX] {
        let changed = store.compare_and_set(&about, &record(1), version).await;
        assert_eq!(changed.expect("an answer"), Saved::Lost);
        let deleted = store.delete(&about, version).await.expect("an answer");
        assert_eq!(deleted, Saved::Lost);
    }
    assert_eq!(store.load(&about).await.expect("an answer"), None);
    create(&store, &about, &record(1)).await;
}

/// What another version of the program wrote stays as it is.
pub async fn a_record_of_another_version_is_neither_read_nor_overwritten<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let v = lifecycle::RECORD_VERSION;
    let broken = format!(r#"{{"v":{v}}}"#);
    let texts = [
        (200, r#"{"v":200,"else":true}"#),
        (v, &broken),
        (v, "not JSON"),
    ];
    for (number, (v, text)) in texts.into_iter().enumerate() {
        let about = device("t", &format!("newer-{number}"));
        subject.plant(&about, v, text).await;
        let loaded = store.load(&about).await;
        assert!(
            matches!(loaded, Err(PortError::NotUnderstood(_))),
            "{loaded:?}"
        );
        let created = store.create(&about, &record(1)).await;
        assert!(
            matches!(created, Ok(Saved::Lost) | Err(PortError::NotUnderstood(_))),
            "{created:?}"
        );
        assert_eq!(subject.text(&about).await.as_deref(), Some(text));
    }
}

/// Write times come from the server, in the order of the writes.
pub async fn times_are_the_servers_and_never_go_back<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let about = device("t", "time");
    let mut version = create(&store, &about, &record(0)).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_micros()).expect("before 294247");
    let first = store.load(&about).await.expect("an answer").expect("it");
    let age = now - first.written_at.as_micros();
    assert!(age.abs() < TOLERANCE, "written {age} microseconds ago");
    let mut last = first.written_at;
    for change in 1..20 {
        let saved = store
            .compare_and_set(&about, &record(change), version)
            .await;
        version = won(saved.expect("an answer"));
        let stored = store.load(&about).await.expect("an answer").expect("it");
        assert!(
            stored.written_at >= last,
            "{stored:?}, written before {last:?}"
        );
        last = stored.written_at;
    }
    let again = store.load(&about).await.expect("an answer").expect("it");
    assert_eq!(again.written_at, last, "reading is not writing");
    assert!(last > first.written_at, "twenty writes take time");
}

/// A store that judges leases by its own clock knows at least what it has just shown.
pub async fn an_own_clock_is_never_behind_what_was_read<S: Subject>(subject: &S) {
    let (writer, reader) = (subject.open().await, subject.open().await);
    let about = device("t", "clock");
    create(&writer, &about, &record(1)).await;
    let stored = reader.load(&about).await.expect("an answer").expect("it");
    for store in [&writer, &reader] {
        let Some(shown) = store.own_clock() else {
            continue;
        };
        assert!(shown >= stored.written_at, "{shown:?}, {stored:?}");
        let ahead = shown.since(stored.written_at).as_micros();
        assert!(
            ahead < u128::from(TOLERANCE.unsigned_abs()),
            "{ahead} microseconds ahead"
        );
    }
}
