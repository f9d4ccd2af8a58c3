//! Bulk calls as an SDK sees them.

use serde_json::{Value, json};

use crate::harness::{Answer, Emulator};

async fn post(hub: &Emulator, items: Value) -> Answer {
    hub.send("POST", "/devices", None, Some(&items)).await
}

#[tokio::test]
async fn good_items_count_even_if_others_fail() {
    let hub = Emulator::start(&[]);
    let items = json!([{"id": "a", "importMode": "create"}, {"id": "b", "importMode": "Create", "tags": {"x": 1}}]);
    let made = post(&hub, items).await;
    assert_eq!(made.status, 200);
    assert_eq!(
        made.text,
        r#"{"isSuccessful":true,"errors":[],"warnings":[]}"#
    );
    let mixed = json!([
        {"id": "a", "importMode": "delete", "eTag": "stale"},
        {"id": "b", "importMode": "updateTwin", "tags": {"y": 2}},
        {"id": "c", "importMode": "delete"},
    ]);
    let mixed = post(&hub, mixed).await;
    assert_eq!(
        (mixed.status, mixed.header("iothub-errorcode")),
        (400, None)
    );
    assert_eq!(
        mixed.text,
        r#"{"isSuccessful":false,"errors":[{"deviceId":"c","errorCode":404001,"errorStatus":"c"}],"warnings":[]}"#
    );
    assert_eq!(hub.send("GET", "/devices/a", None, None).await.status, 404);
    let twin = hub.send("GET", "/twins/b", None, None).await.json();
    assert_eq!(twin["tags"], json!({"x": 1, "y": 2}));

    let journal = hub.journal().await;
    let of = |device: &str| {
        let entries = journal.iter().filter(|it| it["device"] == device);
        entries
            .map(|it| it["operation"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["bulk-item", "bulk-item", "read"]);
    let failed = journal.iter().find(|it| it["device"] == "c").unwrap();
    assert_eq!(
        (&failed["status"], &failed["effective"]),
        (&json!(404), &json!(false))
    );
}

#[tokio::test]
async fn a_call_that_is_bad_as_a_whole_gets_an_ordinary_error() {
    let hub = Emulator::start(&[]);
    let twice = json!([{"id": "a", "importMode": "create"}, {"id": "a", "importMode": "delete"}]);
    let refused = post(&hub, twice).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (400, Some("DeviceDefinedMultipleTimes"))
    );
    assert!(refused.json()["isSuccessful"].is_null());
    let many: Vec<Value> = (0..101)
        .map(|n| json!({"id": n.to_string(), "importMode": "create"}))
        .collect();
    let refused = post(&hub, json!(many)).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (413, Some("TooManyDevices"))
    );
    let wrapped = json!({"devices": [{"id": "a", "importMode": "create"}]});
    assert_eq!(post(&hub, wrapped).await.status, 400);
    assert_eq!(hub.send("GET", "/devices", None, None).await.text, "[]");
}

#[tokio::test]
async fn open_points_can_be_turned() {
    let hub = Emulator::start(&[
        "--bulk-error-code",
        "name",
        "--bulk-duplicates",
        "item",
        "--bulk-without-create-or-update",
    ]);
    let items = json!([
        {"id": "a", "importMode": "create"},
        {"id": "a", "importMode": "delete"},
        {"id": "b", "importMode": "createOrUpdate"},
    ]);
    let answer = post(&hub, items).await.json();
    assert_eq!(
        answer["errors"][0]["errorCode"],
        "DeviceDefinedMultipleTimes"
    );
    assert_eq!(answer["errors"][1]["errorCode"], "ArgumentInvalid");
    assert_eq!(hub.send("GET", "/devices/a", None, None).await.status, 200);
}

#[tokio::test]
async fn each_item_costs_one_registry_operation() {
    let hub = Emulator::start(&["--tier", "s1"]);
    let items = |from: usize| {
        let item = |n| json!({"id": format!("d{n}"), "importMode": "create"});
        json!((from..from + 50).map(item).collect::<Vec<_>>())
    };
    assert_eq!(post(&hub, items(0)).await.status, 200);
    assert_eq!(post(&hub, items(50)).await.status, 200);
    let refused = post(&hub, items(100)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
}
