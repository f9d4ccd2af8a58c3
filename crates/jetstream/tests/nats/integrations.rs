//! The store of integrations.

use jetstream::{IntegrationChange, IntegrationWatch, KvIntegrations};
use lifecycle::TenantId;
use reconciler::conformance::IntegrationSubject;
use reconciler::ports::{IntegrationStore as _, Saved};

use crate::installation::{Installation, PATIENCE};

impl IntegrationSubject for Installation {
    type Integrations = KvIntegrations;

    async fn open_integrations(&self) -> KvIntegrations {
        let context = jetstream::context(self.server.client().await.unwrap());
        KvIntegrations::open(&context, &self.names).await.unwrap()
    }

    async fn end_integrations(self) {
        self.dir.passed();
    }
}

async fn start(test: &str) -> Option<Installation> {
    Some(Installation::new(test).await)
}

reconciler::integration_store_conformance!(start);

async fn changed(watch: &mut IntegrationWatch) -> IntegrationChange {
    let change = tokio::time::timeout(PATIENCE, watch.next()).await;
    change.expect("no change was told")
}

#[tokio::test]
async fn integrations_are_saved_by_compare_and_set_and_every_change_is_told() {
    let mut nats = Installation::new("integrations").await;
    let store = KvIntegrations::open(&nats.context, &nats.names)
        .await
        .unwrap();
    let open_source = TenantId::default();
    let tenant: TenantId = "t-1".parse().unwrap();
    let Saved::Version(first) = store.save(&tenant, b"one", None).await.unwrap() else {
        panic!("lost");
    };
    let mut watch = store.watch();
    let IntegrationChange::Saved { sealed, .. } = changed(&mut watch).await else {
        panic!("not told of what was there");
    };
    assert_eq!(sealed, "one");

    assert_eq!(
        store.save(&tenant, b"two", None).await.unwrap(),
        Saved::Lost
    );
    let Saved::Version(second) = store.save(&tenant, b"two", Some(first)).await.unwrap() else {
        panic!("lost");
    };
    assert_eq!(
        store.load(&tenant).await.unwrap(),
        Some(("two".into(), second))
    );
    let told = IntegrationChange::Saved {
        tenant: tenant.clone(),
        sealed: "two".into(),
        version: second,
    };
    assert_eq!(changed(&mut watch).await, told);

    store.save(&open_source, b"x", None).await.unwrap();
    assert_eq!(store.list().await.unwrap(), [open_source, tenant.clone()]);
    changed(&mut watch).await;
    assert_eq!(store.remove(&tenant, first).await.unwrap(), Saved::Lost);
    store.remove(&tenant, second).await.unwrap();
    assert_eq!(store.load(&tenant).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert_eq!(
        changed(&mut watch).await,
        IntegrationChange::Removed(tenant.clone())
    );

    nats.server.restart().await.unwrap();
    black_box::until(PATIENCE, "the store again", async || {
        let saved = store.save(&tenant, b"three", None).await?;
        Ok(matches!(saved, Saved::Version(_)).then_some(()))
    })
    .await
    .unwrap();
    loop {
        if let IntegrationChange::Saved { sealed, .. } = changed(&mut watch).await
            && sealed == "three"
        {
            break;
        }
    }
    nats.dir.passed();
}
