//! Each mode as it goes over the wire, and what is refused before.

use serde_json::json;

use super::*;
use crate::error::Kind;

fn device() -> DeviceId {
    "d1".parse().unwrap()
}

fn module() -> ModuleId {
    "m1".parse().unwrap()
}

#[track_caller]
fn sends(item: Result<BulkItem>, expected: &Value) {
    let body = to_body(&[item.unwrap()]).unwrap();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent, json!([expected]));
}

fn read(etag: &str) -> Identity {
    let body = json!({"deviceId": "d1", "etag": etag, "generationId": "637", "status": "disabled",
        "statusReason": null, "statusUpdatedTime": "0001-01-01T00:00:00Z", "later": 7,
        "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "a2V5"}},
        "parentScopes": ["s"]});
    Identity::from_json(body.to_string().as_bytes()).unwrap()
}

#[test]
fn creating_names_id_and_mode() {
    let new = NewIdentity::new(device());
    sends(
        BulkItem::create(&new),
        &json!({"id": "d1", "importMode": "create", "status": "enabled"}),
    );
    let twin = json!({"tags": {"a": 1}, "properties": {"desired": {"b": 2}}, "etag": "ignored"});
    sends(
        BulkItem::create_module(&NewModule::new(device(), module()))
            .and_then(|item| item.with_twin(&twin)),
        &json!({"id": "d1", "moduleId": "m1", "importMode": "create",
            "tags": {"a": 1}, "properties": {"desired": {"b": 2}}}),
    );
}

#[test]
fn an_update_keeps_what_it_does_not_know_and_leaves_out_what_the_hub_writes() {
    let mut expected = json!({"id": "d1", "importMode": "update", "status": "disabled", "later": 7, "parentScopes": ["s"],
        "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "a2V5"}}});
    sends(BulkItem::update_any_version(&read("MQ==")), &expected);
    expected["importMode"] = "updateIfMatchETag".into();
    expected["eTag"] = "MQ==".into();
    sends(BulkItem::update(&read("MQ==")), &expected);
}

#[test]
fn deleting_with_and_without_a_version() {
    sends(
        BulkItem::delete(&device(), "MQ=="),
        &json!({"id": "d1", "importMode": "deleteIfMatchETag", "eTag": "MQ=="}),
    );
    sends(
        Ok(BulkItem::delete_module_any_version(&device(), &module())),
        &json!({"id": "d1", "moduleId": "m1", "importMode": "delete"}),
    );
}

#[test]
fn editing_twins_with_and_without_a_version() {
    let patch = json!({"tags": {"a": null}});
    sends(
        BulkItem::update_twin(&device(), &patch, None),
        &json!({"id": "d1", "importMode": "updateTwin", "tags": {"a": null}}),
    );
    sends(
        BulkItem::update_module_twin(&device(), &module(), &patch, Some("AAE=")),
        &json!({"id": "d1", "moduleId": "m1", "importMode": "updateTwinIfMatchETag",
            "twinETag": "AAE=", "tags": {"a": null}}),
    );
}

#[test]
fn a_condition_without_a_version_is_refused() {
    let keyed = Identity::from_json(br#"{"deviceId":"d1","authentication":{}}"#).unwrap();
    for item in [
        BulkItem::update(&keyed),
        BulkItem::update(&read("*")),
        BulkItem::delete(&device(), ""),
        BulkItem::update_twin(&device(), &json!({}), Some("\"x\"")),
    ] {
        assert_eq!(item.unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn an_update_that_would_make_new_keys_is_refused() {
    let keyless = Identity::from_json(br#"{"deviceId":"d1","etag":"MQ=="}"#).unwrap();
    let error = BulkItem::update(&keyless).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn a_call_has_1_to_100_items_about_different_identities() {
    let items = |count: usize| -> Vec<_> {
        (0..count)
            .map(|n| BulkItem::delete_any_version(&format!("d{n}").parse().unwrap()))
            .collect()
    };
    assert!(to_body(&items(0)).is_err() && to_body(&items(101)).is_err());
    assert!(to_body(&items(1)).is_ok() && to_body(&items(100)).is_ok());
    let mut twice = items(3);
    twice.push(BulkItem::delete_any_version(&"d1".parse().unwrap()));
    assert!(to_body(&twice).is_err());
    twice.pop();
    // A module is not its device.
    twice.push(BulkItem::delete_module_any_version(&device(), &module()));
    assert!(to_body(&twice).is_ok());
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", BulkItem::update(&read("MQ==")).unwrap());
    assert!(
        shown.contains("updateIfMatchETag") && !shown.contains("a2V5"),
        "{shown}"
    );
}
