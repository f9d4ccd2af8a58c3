//! What `setup` makes, and what is refused before it.

use lifecycle::DeviceRef;
use mongo::{Error, MongoDevices};
use mongodb::bson::doc;
use reconciler::conformance::{Subject as _, record};
use reconciler::ports::{DeviceStore as _, Saved};

use crate::installation::Installation;

#[tokio::test]
async fn nothing_is_stored_before_setup_and_setup_may_be_repeated() {
    let test = "nothing_is_stored_before_setup_and_setup_may_be_repeated";
    let Some(database) = Installation::bare(test).await else {
        return;
    };
    let mongo = database.connect().await;
    let refused = MongoDevices::open(&mongo).await.unwrap_err();
    assert!(matches!(refused, Error::Missing { .. }), "{refused:?}");
    for (dry_run, created) in [(true, true), (false, true), (false, false), (true, false)] {
        let changes = mongo.setup(dry_run).await.unwrap();
        let made: Vec<_> = changes.iter().map(|change| change.created).collect();
        assert_eq!(made, [created], "{changes:?}");
        let opened = MongoDevices::open(&mongo).await;
        assert_eq!(opened.is_err(), dry_run && created);
    }
    mongo.close().await;
    database.end().await;
}

#[tokio::test]
async fn nobody_can_add_a_second_record_of_a_device() {
    let test = "nobody_can_add_a_second_record_of_a_device";
    let Some(database) = Installation::new(test).await else {
        return;
    };
    let store = database.open().await;
    let about = DeviceRef {
        tenant: "t".parse().unwrap(),
        device: "a.b".parse().unwrap(),
    };
    assert_ne!(store.create(&about, &record(1)).await.unwrap(), Saved::Lost);
    let double = doc! {"_id": "t.a.b", "tenant": "t", "device": "a.b"};
    let refused = database.records().await.insert_one(double).await;
    assert!(refused.is_err());
    database.end().await;
}
