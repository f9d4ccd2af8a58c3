//! Many records: order, completeness, and nobody else's.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use lifecycle::{DeviceRef, TenantId};

use super::{Subject, create, device, record, won};
use crate::ports::DeviceStore;

/// Creates that are under way at once.
const AT_ONCE: usize = 32;

/// The whole list, read in pages of at most `limit`.
async fn listed<S: DeviceStore>(
    store: &S,
    tenant: Option<&TenantId>,
    limit: usize,
) -> Vec<DeviceRef> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(tenant, after.as_deref(), limit).await;
        let page = page.expect("an answer");
        assert!(
            page.records.len() <= limit,
            "{} in a page",
            page.records.len()
        );
        found.extend(page.records.into_iter().map(|(about, _)| about));
        assert!(page.next.is_none() || page.next > after, "no progress");
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn in_order(found: &[DeviceRef]) -> bool {
    let keys: Vec<_> = found.iter().map(DeviceRef::to_tokens).collect();
    keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1])
}

async fn fill<S: DeviceStore>(store: &S, tenant: &str, names: impl Iterator<Item = String>) {
    let names = stream::iter(names);
    let put = |name: String| async move {
        create(store, &device(tenant, &name), &record(1)).await;
    };
    names.for_each_concurrent(AT_ONCE, put).await;
}

/// A tenant whose name begins with another's, an empty one, and one that looks like a key.
pub async fn tenants_do_not_see_each_other<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let tenants = ["", "t", "t1", "T", "t.1", "$t", "t/", "t-", "\u{e4}"];
    for (number, tenant) in tenants.into_iter().enumerate() {
        for n in 0..=number {
            create(
                &store,
                &device(tenant, &format!("d{n}")),
                &record(number as u64),
            )
            .await;
        }
    }
    for (number, tenant) in tenants.into_iter().enumerate() {
        let about = device(tenant, "d0");
        let stored = store.load(&about).await.expect("an answer").expect("it");
        assert_eq!(stored.record, record(number as u64), "{tenant:?}");
        let found = listed(&store, Some(&about.tenant), 2).await;
        assert!(
            found.iter().all(|found| found.tenant == about.tenant),
            "{found:?}"
        );
        assert_eq!(found.len(), number + 1, "{tenant:?}");
        let count = store.count(Some(&about.tenant)).await.expect("an answer");
        assert_eq!(count, number as u64 + 1, "{tenant:?}");
    }
    assert_eq!(store.count(None).await.expect("an answer"), 45);
    assert_eq!(listed(&store, None, 100).await.len(), 45);
    let nobody = "nobody".parse().expect("a tenant");
    assert_eq!(store.count(Some(&nobody)).await.expect("an answer"), 0);
    assert!(listed(&store, Some(&nobody), 2).await.is_empty());
}

/// Every id that a hub takes is a key of its own.
pub async fn odd_names_are_kept_apart<S: Subject>(subject: &S) {
    let store = subject.open().await;
    let long = "x".repeat(128);
    let odd = [
        "a",
        "A",
        "a.b",
        "a=2Eb",
        "$set",
        "a:b.c+d%e_#*?!(),=@$'",
        "*",
        "%00",
        "...",
        "_id",
        &long,
    ];
    for (number, name) in odd.into_iter().enumerate() {
        create(&store, &device("", name), &record(number as u64)).await;
    }
    for (number, name) in odd.into_iter().enumerate() {
        let stored = store.load(&device("", name)).await.expect("an answer");
        let stored = stored.expect("it");
        assert_eq!(stored.record, record(number as u64), "{name}");
    }
    let found = listed(&store, Some(&TenantId::default()), 3).await;
    let names: BTreeSet<_> = found.iter().map(|found| found.device.as_str()).collect();
    assert_eq!(names, odd.into_iter().collect());
    for name in odd {
        let about = device("", name);
        let stored = store.load(&about).await.expect("an answer").expect("it");
        won(store
            .delete(&about, stored.version)
            .await
            .expect("an answer"));
    }
    assert_eq!(store.count(None).await.expect("an answer"), 0);
}

/// Whatever the length of a page, the list is the same.
pub async fn pages_come_in_order_and_are_never_too_long<S: Subject>(subject: &S) {
    let store = subject.open().await;
    // Written in another order than that of their keys.
    for number in [4, 2, 9, 1, 7, 3, 8, 6, 5] {
        create(&store, &device("ten", &format!("d{number}")), &record(1)).await;
        create(&store, &device("tenant", &format!("d{number}")), &record(1)).await;
    }
    let tenant = "ten".parse().expect("a tenant");
    for limit in [1, 2, 3, 8, 9, 10, 100] {
        let found = listed(&store, Some(&tenant), limit).await;
        let names: Vec<_> = found.iter().map(|found| found.device.as_str()).collect();
        assert_eq!(
            names,
            ["d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"]
        );
        let all = listed(&store, None, limit).await;
        assert!(all.len() == 18 && in_order(&all), "{all:?}");
    }
}

/// Whoever is there all the time is listed once, whatever comes, goes and changes meanwhile.
pub async fn a_listing_is_complete_while_records_change<S: Subject>(subject: &S) {
    let (lister, churner) = (subject.open().await, subject.open().await);
    fill(&lister, "t", (0..60).map(|n| format!("steady-{n:02}"))).await;
    let churn = async {
        for round in 0.. {
            let steady = device("t", &format!("steady-{:02}", round * 7 % 60));
            let stored = churner.load(&steady).await.expect("an answer").expect("it");
            let changed = record(round);
            let change = churner.compare_and_set(&steady, &changed, stored.version);
            won(change.await.expect("an answer"));
            // Before, between and after the steady ones.
            for prefix in ["a", "steady-3", "z"] {
                let about = device("t", &format!("{prefix}{:02}x", round % 10));
                match churner.load(&about).await.expect("an answer") {
                    None => drop(create(&churner, &about, &record(round)).await),
                    Some(stored) => {
                        let gone = churner.delete(&about, stored.version).await;
                        won(gone.expect("an answer"));
                    }
                }
            }
        }
    };
    let list = async {
        for limit in [3, 7, 25, 100] {
            let found = listed(&lister, Some(&"t".parse().expect("a tenant")), limit).await;
            assert!(in_order(&found), "{found:?}");
            let steady = found.iter().map(|found| found.device.as_str());
            let steady = steady.filter(|name| name.starts_with("steady-") && name.len() == 9);
            assert_eq!(steady.count(), 60, "in pages of {limit}: {found:?}");
        }
    };
    let (list, churn) = (std::pin::pin!(list), std::pin::pin!(churn));
    futures::future::select(list, churn).await;
}

/// One record of a newer version does not end the list, nor is it in it.
pub async fn a_record_that_is_not_understood_hides_no_other<S: Subject>(subject: &S) {
    let store = subject.open().await;
    for name in ["a", "c"] {
        create(&store, &device("t", name), &record(1)).await;
    }
    subject.plant(&device("t", "b"), 200, r#"{"v":200}"#).await;
    for limit in [1, 2, 10] {
        let found = listed(&store, None, limit).await;
        assert_eq!(found, [device("t", "a"), device("t", "c")]);
    }
}

/// Size alone changes nothing.
pub async fn a_thousand_records_are_listed_and_counted<S: Subject>(subject: &S) {
    let store = subject.open().await;
    fill(&store, "", (0..1_000).map(|n| format!("d{n}"))).await;
    fill(&store, "other", (0..20).map(|n| format!("d{n}"))).await;
    let tenant = TenantId::default();
    let found = listed(&store, Some(&tenant), 128).await;
    assert_eq!(found.len(), 1_000);
    assert!(in_order(&found));
    assert_eq!(store.count(Some(&tenant)).await.expect("an answer"), 1_000);
    assert_eq!(store.count(None).await.expect("an answer"), 1_020);
    assert_eq!(listed(&store, None, 1_000).await.len(), 1_020);
}
