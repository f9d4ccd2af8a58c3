//! The table of import modes, one row a test.

use serde_json::{Value, json};

use super::*;
use crate::authentication::FreshKeys;
use crate::registry::Device;

fn fresh(n: u64) -> Fresh {
    let key = |tail: u64| format!("AAECAwQFBgcICQoLDA0O{n}{tail}==");
    Fresh {
        now: Ticks::from_unix_micros(1_767_225_600_000_000 + n),
        etag_seed: 1,
        keys: FreshKeys {
            primary: key(1),
            secondary: key(2),
        },
        template: None,
        rules: crate::choices::DeviceRules::default(),
    }
}

fn apply(registry: &mut Registry, mode: &str, mut item: Value) -> Applied {
    item["id"] = json!("d");
    item["importMode"] = json!(mode);
    registry.apply(Item::parse(&item.to_string()).unwrap(), false, fresh(7))
}

#[track_caller]
fn fails(applied: &Applied, name: &str) {
    assert_eq!(applied.result.as_ref().unwrap_err().name, name);
    assert!(!applied.trace.effective);
}

#[track_caller]
fn works(applied: &Applied) {
    assert_eq!(applied.result, Ok(()));
    assert!(applied.trace.effective);
}

fn with_device() -> Registry {
    let mut registry = Registry::default();
    works(&apply(&mut registry, "create", json!({})));
    registry
}

fn device(registry: &Registry) -> &Device {
    registry.get("d").unwrap()
}

fn etag(registry: &Registry) -> String {
    device(registry).identity.etag.text()
}

#[test]
fn create_makes_a_device_with_its_twin_and_only_once() {
    let mut registry = Registry::default();
    let item = json!({"status": "disabled", "tags": {"a": 1}, "properties": {"desired": {"b": 2}, "reported": {"c": 3}}});
    works(&apply(&mut registry, "create", item));
    let text = crate::views::twin(device(&registry), "2020-03-13");
    let desired = r#""desired":{"b":2,"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z","$lastUpdatedVersion":1,"b":{"$lastUpdated":"0001-01-01T00:00:00Z","$lastUpdatedVersion":1}},"$version":1}"#;
    assert!(
        text.contains(desired) && text.contains(r#""reported":{"c":3,"#),
        "{text}"
    );
    assert!(text.contains(r#""version":2,"tags":{"a":1}"#), "{text}");
    fails(
        &apply(&mut registry, "create", json!({})),
        "DeviceAlreadyExists",
    );
}

#[test]
fn every_mode_but_create_needs_the_device() {
    for mode in [
        "update",
        "updateIfMatchETag",
        "delete",
        "deleteIfMatchETag",
        "updateTwin",
    ] {
        let item = json!({"eTag": "MQ==", "twinETag": "MQ=="});
        fails(
            &apply(&mut Registry::default(), mode, item),
            "DeviceNotFound",
        );
    }
}

#[test]
fn update_replaces_whatever_the_etag() {
    let mut registry = with_device();
    let keys = device(&registry).identity.authentication.clone();
    works(&apply(
        &mut registry,
        "update",
        json!({"eTag": "stale", "status": "disabled"}),
    ));
    assert_eq!(
        device(&registry).identity.status,
        crate::identity::Status::Disabled
    );
    // Fresh keys are the same in this test, so only the type and the etag can tell.
    assert_eq!(device(&registry).identity.authentication.kind, keys.kind);
    assert_eq!(
        etag(&registry),
        crate::etag::IdentityEtag::first(1).next().text()
    );
}

#[test]
fn update_can_be_told_to_check_the_etag() {
    let mut registry = with_device();
    let mut update = |etag: &str| {
        let item = json!({"id": "d", "importMode": "update", "eTag": etag}).to_string();
        registry
            .apply(Item::parse(&item).unwrap(), true, fresh(8))
            .result
            .is_ok()
    };
    assert!(!update("MQ=="));
    assert!(update(""));
}

#[test]
fn update_if_match_needs_the_right_etag() {
    let mut registry = with_device();
    let right = etag(&registry);
    for item in [json!({"eTag": "MQ=="}), json!({})] {
        fails(
            &apply(&mut registry, "updateIfMatchETag", item),
            "PreconditionFailed",
        );
    }
    works(&apply(
        &mut registry,
        "updateIfMatchETag",
        json!({ "eTag": right }),
    ));
}

#[test]
fn delete_succeeds_with_a_stale_etag() {
    works(&apply(
        &mut with_device(),
        "delete",
        json!({"eTag": "MQ=="}),
    ));
}

#[test]
fn delete_if_match_checks_an_etag_that_is_there_and_else_deletes() {
    let stale = apply(
        &mut with_device(),
        "deleteIfMatchETag",
        json!({"eTag": "MQ=="}),
    );
    fails(&stale, "PreconditionFailed");
    works(&apply(&mut with_device(), "deleteIfMatchETag", json!({})));
}

#[test]
fn update_twin_merges_and_checks_the_twins_etag_if_asked() {
    let mut registry = with_device();
    works(&apply(
        &mut registry,
        "updateTwin",
        json!({"tags": {"a": 1}, "twinETag": "x"}),
    ));
    works(&apply(
        &mut registry,
        "updateTwin",
        json!({"tags": {"b": 2}}),
    ));
    assert_eq!(device(&registry).twin.tags.len(), 2);
    let stale = json!({"tags": {"c": 3}, "twinETag": "AAAAAAAAAAE="});
    fails(
        &apply(&mut registry, "updateTwinIfMatchETag", stale),
        "PreconditionFailed",
    );
    let right = json!({"tags": {"c": 3}, "twinETag": "AAAAAAAAAAM="});
    works(&apply(&mut registry, "updateTwinIfMatchETag", right));
}

#[test]
fn create_or_update_does_either() {
    let mut registry = Registry::default();
    works(&apply(&mut registry, "createOrUpdate", json!({})));
    works(&apply(
        &mut registry,
        "createOrUpdate",
        json!({"status": "disabled"}),
    ));
    let stale = json!({"eTag": "MQ=="});
    fails(
        &apply(&mut registry, "createOrUpdateIfMatchETag", stale),
        "PreconditionFailed",
    );
}

#[test]
fn a_module_needs_its_device_and_has_errors_of_its_own() {
    let module = || json!({"moduleId": "m", "properties": {"desired": {"a": 1}}});
    fails(
        &apply(&mut Registry::default(), "create", module()),
        "DeviceNotFound",
    );
    let mut registry = with_device();
    fails(&apply(&mut registry, "update", module()), "ModuleNotFound");
    works(&apply(&mut registry, "create", module()));
    fails(
        &apply(&mut registry, "create", module()),
        "ModuleAlreadyExistsOnDevice",
    );
    let updated = &device(&registry).modules["m"].twin.desired.metadata;
    assert!(
        serde_json::to_string(updated)
            .unwrap()
            .contains("2026-01-01T00:00:00.000007Z")
    );
    works(&apply(&mut registry, "delete", module()));
    assert!(device(&registry).modules.is_empty());
}

#[test]
fn bad_items_are_errors_of_their_own() {
    let mut registry = Registry::default();
    let bad = json!({"authentication": {"symmetricKey": {"primaryKey": "x"}}});
    fails(&apply(&mut registry, "create", bad), "ArgumentInvalid");
    fails(
        &apply(&mut registry, "upsert", json!({})),
        "ArgumentInvalid",
    );
    fails(
        &apply(&mut registry, "create", json!({"tags": {"a.b": 1}})),
        "ArgumentInvalid",
    );
    fails(
        &apply(&mut registry, "create", json!({"moduleId": "$x"})),
        "ArgumentInvalid",
    );
    assert_eq!(registry.count().0, 0);
}
