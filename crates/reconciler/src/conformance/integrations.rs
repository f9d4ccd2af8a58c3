//! What every store of integrations must do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use lifecycle::TenantId;

use super::won;
use crate::ports::{IntegrationStore, PortResult, Saved};

const WRITERS: u64 = 8;
/// What each writer adds to the one number they share.
const ADDITIONS: u64 = 10;

/// A store of integrations under test, empty at first.
pub trait IntegrationSubject: Send + Sync + Sized {
    /// The store.
    type Integrations: IntegrationStore;

    /// A client of the store, with connections of its own where there are any.
    fn open_integrations(&self) -> impl Future<Output = Self::Integrations> + Send;

    /// Called after a check that passed.
    fn end_integrations(self) -> impl Future<Output = ()> + Send;
}

/// Makes a test of each check, as [`device_store_conformance`](crate::device_store_conformance).
#[macro_export]
macro_rules! integration_store_conformance {
    ($start:path) => {
        $crate::integration_store_conformance!($start:
            an_integration_is_saved_replaced_and_removed_by_its_version,
            an_integrations_bytes_come_back_as_they_were,
            a_version_from_before_a_removal_saves_nothing,
            of_many_first_savers_one_wins,
            racing_savers_lose_no_update,
            of_a_save_and_a_removal_at_once_one_wins,
            tenants_are_listed_and_odd_ones_kept_apart
        );
    };
    ($start:path: $($check:ident),+) => { $(
        #[tokio::test]
        async fn $check() {
            if let Some(subject) = $start(stringify!($check)).await {
                $crate::conformance::$check(&subject).await;
                $crate::conformance::IntegrationSubject::end_integrations(subject).await;
            }
        }
    )+ };
}

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant")
}

async fn save<S: IntegrationStore>(
    store: &S,
    tenant: &TenantId,
    sealed: &[u8],
    version: Option<u64>,
) -> Saved {
    let saved = store.save(tenant, sealed, version).await;
    saved.expect("an answer")
}

/// Only who names the present version replaces or removes it.
pub async fn an_integration_is_saved_replaced_and_removed_by_its_version<S: IntegrationSubject>(
    subject: &S,
) {
    let (store, tenant) = (subject.open_integrations().await, tenant("t"));
    assert_eq!(store.load(&tenant).await.expect("an answer"), None);
    let first = won(save(&store, &tenant, b"one", None).await);
    assert_eq!(save(&store, &tenant, b"two", None).await, Saved::Lost);
    let second = won(save(&store, &tenant, b"two", Some(first)).await);
    let stale = save(&store, &tenant, b"three", Some(first)).await;
    assert_eq!(stale, Saved::Lost);
    let removed = store.remove(&tenant, first).await.expect("an answer");
    assert_eq!(removed, Saved::Lost);
    let there = store.load(&tenant).await.expect("an answer");
    assert_eq!(there, Some((b"two".to_vec(), second)));
    won(store.remove(&tenant, second).await.expect("an answer"));
    assert_eq!(store.load(&tenant).await.expect("an answer"), None);
    assert_eq!(store.list().await.expect("an answer"), []);
}

/// Any bytes, none and many.
pub async fn an_integrations_bytes_come_back_as_they_were<S: IntegrationSubject>(subject: &S) {
    let store = subject.open_integrations().await;
    let every: Vec<u8> = (0..=u8::MAX).collect();
    for (n, bytes) in [Vec::new(), every.clone(), every.repeat(200)]
        .iter()
        .enumerate()
    {
        let tenant = tenant(&format!("t{n}"));
        won(save(&store, &tenant, bytes, None).await);
        let there = store.load(&tenant).await.expect("an answer");
        assert_eq!(there.expect("it").0, *bytes);
    }
}

/// Not even if the tenant has an integration again.
pub async fn a_version_from_before_a_removal_saves_nothing<S: IntegrationSubject>(subject: &S) {
    let (store, tenant) = (subject.open_integrations().await, tenant("t"));
    let first = won(save(&store, &tenant, b"one", None).await);
    won(store.remove(&tenant, first).await.expect("an answer"));
    let late = save(&store, &tenant, b"late", Some(first)).await;
    assert_eq!(late, Saved::Lost);
    let anew = won(save(&store, &tenant, b"anew", None).await);
    assert_ne!(anew, first);
    let late = save(&store, &tenant, b"late", Some(first)).await;
    assert_eq!(late, Saved::Lost);
    let there = store.load(&tenant).await.expect("an answer");
    assert_eq!(there, Some((b"anew".to_vec(), anew)));
}

/// Saving the first one at once, exactly one does, and its bytes stay.
pub async fn of_many_first_savers_one_wins<S: IntegrationSubject>(subject: &S) {
    let clients = join_all((0..WRITERS).map(|_| subject.open_integrations())).await;
    for round in 0..5 {
        let tenant = tenant(&format!("race-{round}"));
        let attempts = clients.iter().zip(0_u8..).map(|(client, n)| {
            let tenant = &tenant;
            async move { (n, save(client, tenant, &[n], None).await) }
        });
        let mut winners = join_all(attempts).await;
        winners.retain(|(_, saved)| *saved != Saved::Lost);
        let [(winner, saved)] = winners[..] else {
            panic!("{} winners in round {round}", winners.len());
        };
        let there = clients[0].load(&tenant).await.expect("an answer");
        assert_eq!(there, Some((vec![winner], won(saved))));
    }
}

/// Each writer reads a number and saves the next one, as each change gets the next generation.
pub async fn racing_savers_lose_no_update<S: IntegrationSubject>(subject: &S) {
    let tenant = tenant("t");
    let store = subject.open_integrations().await;
    won(save(&store, &tenant, &0_u64.to_be_bytes(), None).await);
    let tenant = &tenant;
    let number = |bytes: Vec<u8>| u64::from_be_bytes(bytes.try_into().expect("a number"));
    let writer = |_| async move {
        let store = subject.open_integrations().await;
        let mut added = 0;
        while added < ADDITIONS {
            let there = store.load(tenant).await.expect("an answer");
            let (bytes, version) = there.expect("it");
            let next = (number(bytes) + 1).to_be_bytes();
            added += u64::from(save(&store, tenant, &next, Some(version)).await != Saved::Lost);
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let there = store.load(tenant).await.expect("an answer");
    assert_eq!(number(there.expect("it").0), WRITERS * ADDITIONS);
}

/// What was saved is there exactly if the save won.
pub async fn of_a_save_and_a_removal_at_once_one_wins<S: IntegrationSubject>(subject: &S) {
    let (one, other) = (
        subject.open_integrations().await,
        subject.open_integrations().await,
    );
    for round in 0..20 {
        let tenant = tenant(&format!("race-{round}"));
        let version = won(save(&one, &tenant, b"old", None).await);
        let (saved, removed) = futures::join!(
            save(&one, &tenant, b"new", Some(version)),
            other.remove(&tenant, version)
        );
        let removed = removed.expect("an answer");
        assert!((saved == Saved::Lost) != (removed == Saved::Lost));
        let there = one.load(&tenant).await.expect("an answer");
        assert_eq!(there.is_some(), saved != Saved::Lost, "round {round}");
    }
}

/// In the order of their tokens, the nameless tenant of open-source Mender included.
pub async fn tenants_are_listed_and_odd_ones_kept_apart<S: IntegrationSubject>(subject: &S) {
    let store = subject.open_integrations().await;
    let mut tenants: Vec<TenantId> = ["", "=", "a", "a.b", "a.$b", "A", "*", ">"]
        .into_iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    for tenant in &tenants {
        won(save(&store, tenant, tenant.as_str().as_bytes(), None).await);
    }
    tenants.sort_by_key(TenantId::to_token);
    assert_eq!(store.list().await.expect("an answer"), tenants);
    for tenant in &tenants {
        let there = store.load(tenant).await.expect("an answer");
        assert_eq!(there.expect("it").0, tenant.as_str().as_bytes());
    }
}

/// Integrations in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryIntegrations {
    inside: Arc<Mutex<Entries>>,
}

/// Sealed bytes and version by tenant, and the versions given so far.
type Entries = (BTreeMap<String, (TenantId, Vec<u8>, u64)>, u64);

impl MemoryIntegrations {
    fn change(&self, tenant: &TenantId, version: Option<u64>, sealed: Option<&[u8]>) -> Saved {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, versions) = &mut *inside;
        let key = tenant.to_token();
        if entries.get(&key).map(|entry| entry.2) != version {
            return Saved::Lost;
        }
        *versions += 1;
        match sealed {
            Some(sealed) => entries.insert(key, (tenant.clone(), sealed.to_vec(), *versions)),
            None => entries.remove(&key),
        };
        Saved::Version(*versions)
    }
}

impl IntegrationStore for MemoryIntegrations {
    async fn load(&self, tenant: &TenantId) -> PortResult<Option<(Vec<u8>, u64)>> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = inside.0.get(&tenant.to_token());
        Ok(entry.map(|(_, sealed, version)| (sealed.clone(), *version)))
    }

    async fn save(
        &self,
        tenant: &TenantId,
        sealed: &[u8],
        version: Option<u64>,
    ) -> PortResult<Saved> {
        Ok(self.change(tenant, version, Some(sealed)))
    }

    async fn remove(&self, tenant: &TenantId, version: u64) -> PortResult<Saved> {
        Ok(self.change(tenant, Some(version), None))
    }

    async fn list(&self) -> PortResult<Vec<TenantId>> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inside.0.values().map(|entry| entry.0.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl IntegrationSubject for MemoryIntegrations {
        type Integrations = Self;

        async fn open_integrations(&self) -> Self {
            self.clone()
        }

        async fn end_integrations(self) {}
    }

    #[expect(clippy::unused_async, reason = "other stores take time to start")]
    async fn start(_: &str) -> Option<MemoryIntegrations> {
        Some(MemoryIntegrations::default())
    }

    crate::integration_store_conformance!(start);
}
