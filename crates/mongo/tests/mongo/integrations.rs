//! Integrations: opaque bytes with versions.

use mongo::MongoIntegrations;
use reconciler::conformance::Subject as _;
use reconciler::ports::Saved;

use crate::installation::Installation;

fn version(saved: Saved) -> u64 {
    match saved {
        Saved::Version(version) => version,
        Saved::Lost => panic!("lost to nobody"),
    }
}

#[tokio::test]
async fn an_integration_is_saved_replaced_and_removed_by_its_version() {
    let test = "an_integration_is_saved_replaced_and_removed_by_its_version";
    let Some(database) = Installation::bare(test).await else {
        return;
    };
    let mongo = database.connect().await;
    let store = MongoIntegrations::open(&mongo);
    let (nobody, tenant) = ("".parse().unwrap(), "a.$b".parse().unwrap());
    assert_eq!(store.load(&tenant).await.unwrap(), None);
    let first = version(store.save(&tenant, b"\x00one", None).await.unwrap());
    let twice = store.save(&tenant, b"two", None).await.unwrap();
    assert_eq!(twice, Saved::Lost);
    let second = version(store.save(&tenant, b"two", Some(first)).await.unwrap());
    for stale in [
        store.save(&tenant, b"three", Some(first)).await.unwrap(),
        store.remove(&tenant, first).await.unwrap(),
        store.save(&nobody, b"none", Some(1)).await.unwrap(),
    ] {
        assert_eq!(stale, Saved::Lost);
    }
    let loaded = store.load(&tenant).await.unwrap();
    assert_eq!(loaded, Some((b"two".to_vec(), second)));
    version(store.save(&nobody, b"", None).await.unwrap());
    let both = [nobody.clone(), tenant.clone()];
    assert_eq!(store.list().await.unwrap(), both);
    version(store.remove(&tenant, second).await.unwrap());
    assert_eq!(store.load(&tenant).await.unwrap(), None);
    let anew = version(store.save(&tenant, b"anew", None).await.unwrap());
    let old = store.save(&tenant, b"old", Some(first)).await.unwrap();
    assert_eq!(old, Saved::Lost);
    assert!(anew != first && anew != second);
    mongo.close().await;
    database.end().await;
}
