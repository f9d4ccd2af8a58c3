//! Many callers at once, each with a client of its own.

use futures::future::join_all;

use super::{Subject, create, device, record, won};
use crate::ports::{DeviceStore, Saved};

const WRITERS: u64 = 16;
/// What each writer adds to the one number they share.
const ADDITIONS: u64 = 20;

/// Every addition that was confirmed is in the sum.
pub async fn sixteen_writers_lose_no_update<S: Subject>(subject: &S) {
    let about = device("t", "sum");
    create(&subject.open().await, &about, &record(0)).await;
    let about = &about;
    let writer = |_| async move {
        let store = subject.open().await;
        let mut added = 0;
        while added < ADDITIONS {
            let stored = store.load(about).await.expect("an answer").expect("it");
            let sum = stored.record.key.revision.expect("a number") + 1;
            let saved = store
                .compare_and_set(about, &record(sum), stored.version)
                .await;
            added += u64::from(saved.expect("an answer") != Saved::Lost);
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let stored = subject.open().await.load(about).await;
    let stored = stored.expect("an answer").expect("it");
    assert_eq!(stored.record, record(WRITERS * ADDITIONS));
}

/// Creating at once, exactly one creates, and its record is the one that stays.
pub async fn of_many_creators_one_wins<S: Subject>(subject: &S) {
    let clients = join_all((0..WRITERS).map(|_| subject.open())).await;
    for round in 0..10 {
        let about = device("t", &format!("race-{round}"));
        let creates = clients.iter().zip(0..).map(|(client, n)| {
            let about = &about;
            async move {
                (
                    n,
                    client.create(about, &record(n)).await.expect("an answer"),
                )
            }
        });
        let mut winners = join_all(creates).await;
        winners.retain(|(_, saved)| *saved != Saved::Lost);
        let [(winner, saved)] = winners[..] else {
            panic!("{} winners in round {round}", winners.len());
        };
        let stored = clients[0]
            .load(&about)
            .await
            .expect("an answer")
            .expect("it");
        assert_eq!(
            (stored.record, stored.version),
            (record(winner), won(saved))
        );
    }
}

/// A change and a delete that name the same version exclude each other.
pub async fn of_a_change_and_a_delete_at_once_one_wins<S: Subject>(subject: &S) {
    let (one, other) = (subject.open().await, subject.open().await);
    for round in 0..20 {
        let about = device("t", &format!("either-{round}"));
        let version = create(&one, &about, &record(1)).await;
        let changing = record(2);
        let (changed, deleted) = futures::join!(
            one.compare_and_set(&about, &changing, version),
            other.delete(&about, version)
        );
        let changed = changed.expect("an answer") != Saved::Lost;
        let deleted = deleted.expect("an answer") != Saved::Lost;
        assert_ne!(changed, deleted, "round {round}");
        let stored = one.load(&about).await.expect("an answer");
        assert_eq!(
            stored.map(|stored| stored.record),
            changed.then(|| record(2))
        );
    }
}
