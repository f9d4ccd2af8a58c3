//! The If-Match table and the trace of each request, one row a test.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::identity::IdentityDraft;

const START: u64 = 1_767_225_600_000_000;

/// Fresh values for the `n`-th write; distinct for each `n`.
fn fresh(n: u8) -> Fresh {
    let key = |tail: u8| STANDARD.encode([[n; 16], [tail; 16]].concat());
    Fresh {
        now: Ticks::from_unix_micros(START + u64::from(n)),
        etag_seed: u32::from(n) * 1000,
        keys: FreshKeys {
            primary: key(1),
            secondary: key(2),
        },
        template: None,
        rules: crate::choices::DeviceRules::default(),
    }
}

fn edit(status: &str) -> IdentityEdit {
    let body = json!({"deviceId": "d1", "status": status});
    IdentityDraft::parse(body.to_string().as_bytes())
        .unwrap()
        .check("d1")
        .unwrap()
}

fn exactly(etag: &str) -> Precondition {
    Precondition::Exactly(etag.to_owned())
}

fn with_device() -> (Registry, String) {
    let mut registry = Registry::default();
    registry
        .put("d1", edit("enabled"), &Precondition::Absent, fresh(1))
        .result
        .unwrap();
    let etag = registry.get("d1").unwrap().identity.etag.text();
    (registry, etag)
}

fn tag(value: u32) -> TwinDraft {
    TwinDraft::parse(json!({"tags": {"n": value}}).to_string().as_bytes()).unwrap()
}

#[track_caller]
fn refused(effect: Effect<'_>, status: u16, name: &str) -> String {
    let error = effect.result.unwrap_err();
    assert_eq!((error.status.as_u16(), error.name.as_ref()), (status, name));
    assert!(!effect.trace.effective);
    assert_eq!(effect.trace.etag_before, effect.trace.etag_after);
    error.text
}

#[test]
fn put_without_if_match_creates() {
    let mut registry = Registry::default();
    let effect = registry.put("d1", edit("disabled"), &Precondition::Absent, fresh(1));
    assert!(effect.result.unwrap().is_some());
    let trace = effect.trace;
    assert_eq!((trace.effective, trace.etag_before), (true, None));
    assert_eq!(
        (trace.status, trace.generation),
        (Some(Status::Disabled), Some(fresh(1).now))
    );
    assert!(trace.etag_after.is_some());
}

#[test]
fn put_without_if_match_on_an_existing_device_is_409() {
    let (mut registry, _) = with_device();
    let effect = registry.put("d1", edit("disabled"), &Precondition::Absent, fresh(2));
    let text = refused(effect, 409, "DeviceAlreadyExists");
    assert_eq!(text, "A device with ID 'd1' is already registered.");
    assert_eq!(registry.get("d1").unwrap().identity.status, Status::Enabled);
}

#[test]
fn put_with_the_right_etag_updates() {
    let (mut registry, etag) = with_device();
    let effect = registry.put("d1", edit("disabled"), &exactly(&etag), fresh(2));
    assert!(effect.trace.effective);
    assert_eq!(effect.trace.etag_before, Some(etag));
    assert_eq!(effect.trace.generation, Some(fresh(1).now));
    assert_eq!(
        effect.result.unwrap().unwrap().identity.status,
        Status::Disabled
    );
}

#[test]
fn put_with_a_stale_etag_is_412_and_names_both_versions() {
    let (mut registry, stale) = with_device();
    registry
        .put("d1", edit("enabled"), &Precondition::Any, fresh(2))
        .result
        .unwrap();
    let text = refused(
        registry.put("d1", edit("disabled"), &exactly(&stale), fresh(3)),
        412,
        "PreconditionFailed",
    );
    assert_eq!(
        text,
        "Precondition failed: Device version did not match, existingVersion:100001001 newVersion:100001000"
    );
}

#[test]
fn put_with_an_etag_of_another_form_is_412_too() {
    let (mut registry, _) = with_device();
    let effect = registry.put("d1", edit("disabled"), &exactly("nonsense"), fresh(2));
    assert_eq!(
        refused(effect, 412, "PreconditionFailed"),
        "PreconditionFailed, ETag may be invalid."
    );
}

#[test]
fn put_with_any_precondition_on_a_missing_device_is_404() {
    let mut registry = Registry::default();
    for precondition in [Precondition::Any, exactly("MQ==")] {
        let effect = registry.put("d1", edit("enabled"), &precondition, fresh(1));
        assert_eq!(refused(effect, 404, "DeviceNotFound"), "d1");
    }
    assert!(registry.get("d1").is_none());
}

#[test]
fn put_with_the_wildcard_updates_whatever_is_there() {
    let (mut registry, _) = with_device();
    assert!(
        registry
            .put("d1", edit("disabled"), &Precondition::Any, fresh(2))
            .trace
            .effective
    );
}

#[test]
fn delete_without_if_match_is_412_even_if_nothing_is_there() {
    let (mut registry, _) = with_device();
    let text = refused(
        registry.delete("d1", &Precondition::Absent),
        412,
        "PreconditionFailed",
    );
    assert_eq!(text, "Etag missing");
    refused(
        registry.delete("d2", &Precondition::Absent),
        412,
        "PreconditionFailed",
    );
    assert!(registry.get("d1").is_some());
}

#[test]
fn delete_with_a_stale_etag_is_412() {
    let (mut registry, stale) = with_device();
    registry
        .put("d1", edit("enabled"), &Precondition::Any, fresh(2))
        .result
        .unwrap();
    refused(
        registry.delete("d1", &exactly(&stale)),
        412,
        "PreconditionFailed",
    );
    assert!(registry.get("d1").is_some());
}

#[test]
fn delete_with_the_right_etag_or_the_wildcard_removes_identity_and_twin() {
    for wildcard in [false, true] {
        let (mut registry, etag) = with_device();
        let precondition = if wildcard {
            Precondition::Any
        } else {
            exactly(&etag)
        };
        let effect = registry.delete("d1", &precondition);
        assert!(effect.result.unwrap().is_none());
        assert_eq!((effect.trace.effective, effect.trace.status), (true, None));
        assert_eq!(
            (effect.trace.etag_before, effect.trace.etag_after),
            (Some(etag), None)
        );
        assert_eq!(effect.trace.generation, Some(fresh(1).now));
        refused(registry.read_twin("d1"), 404, "DeviceNotFound");
    }
}

#[test]
fn delete_of_a_missing_device_is_404() {
    let mut registry = Registry::default();
    refused(
        registry.delete("d1", &Precondition::Any),
        404,
        "DeviceNotFound",
    );
    refused(
        registry.delete("d1", &exactly("MQ==")),
        404,
        "DeviceNotFound",
    );
}

#[test]
fn a_device_made_again_has_a_new_generation_and_a_new_twin() {
    let (mut registry, _) = with_device();
    registry
        .patch_twin("d1", &tag(1), &Precondition::Absent, fresh(2).now)
        .result
        .unwrap();
    registry.delete("d1", &Precondition::Any).result.unwrap();
    registry
        .put("d1", edit("enabled"), &Precondition::Absent, fresh(3))
        .result
        .unwrap();
    let device = registry.get("d1").unwrap();
    assert_eq!(device.identity.generation, fresh(3).now);
    assert!(device.twin.tags.is_empty());
}

#[test]
fn twin_writes_are_unconditional_without_if_match_or_with_the_wildcard() {
    let (mut registry, _) = with_device();
    for precondition in [Precondition::Absent, Precondition::Any] {
        assert!(
            registry
                .patch_twin("d1", &tag(1), &precondition, fresh(2).now)
                .trace
                .effective
        );
        assert!(
            registry
                .replace_twin("d1", &tag(1), &precondition, fresh(2).now)
                .trace
                .effective
        );
    }
}

#[test]
fn twin_writes_with_an_etag_need_the_right_one() {
    let (mut registry, _) = with_device();
    let effect = registry.patch_twin("d1", &tag(1), &exactly("AAAAAAAAAAE="), fresh(2).now);
    assert_eq!(effect.trace.etag_after.as_deref(), Some("AAAAAAAAAAI="));
    let stale = exactly("AAAAAAAAAAE=");
    let text = refused(
        registry.patch_twin("d1", &tag(2), &stale, fresh(3).now),
        412,
        "PreconditionFailed",
    );
    assert_eq!(text, "ETag mismatch for device ID 'd1'");
    refused(
        registry.replace_twin("d1", &tag(2), &stale, fresh(3).now),
        412,
        "PreconditionFailed",
    );
}

#[test]
fn twin_requests_for_a_missing_device_are_404() {
    let mut registry = Registry::default();
    refused(registry.read_twin("d1"), 404, "DeviceNotFound");
    refused(
        registry.patch_twin("d1", &tag(1), &Precondition::Any, fresh(1).now),
        404,
        "DeviceNotFound",
    );
    refused(
        registry.replace_twin("d1", &tag(1), &Precondition::Absent, fresh(1).now),
        404,
        "DeviceNotFound",
    );
}

#[test]
fn an_identity_write_leaves_the_twin_etag_alone_and_the_other_way_round() {
    let (mut registry, etag) = with_device();
    registry
        .patch_twin("d1", &tag(1), &Precondition::Absent, fresh(2).now)
        .result
        .unwrap();
    assert_eq!(registry.get("d1").unwrap().identity.etag.text(), etag);
    registry
        .put("d1", edit("disabled"), &Precondition::Any, fresh(3))
        .result
        .unwrap();
    assert_eq!(registry.get("d1").unwrap().twin.etag.text(), "AAAAAAAAAAI=");
}

#[test]
fn reading_has_no_effect_and_a_missing_device_is_404() {
    let (mut registry, etag) = with_device();
    let effect = registry.read("d1");
    assert_eq!(
        (effect.trace.effective, effect.trace.etag_after),
        (false, Some(etag))
    );
    refused(registry.read("d2"), 404, "DeviceNotFound");
}

#[test]
fn pages_follow_the_order_of_ids() {
    let mut registry = Registry::default();
    for id in ["c", "a", "d", "b"] {
        registry
            .hand_edit(id, HandEdit::default(), fresh(1))
            .result
            .unwrap();
    }
    let ids = |after, limit| -> Vec<String> {
        registry
            .page(after, limit)
            .map(|device| device.identity.device_id.clone())
            .collect()
    };
    assert_eq!(ids(None, 2), ["a", "b"]);
    assert_eq!(ids(Some("b"), 9), ["c", "d"]);
}

fn by_hand(fields: &Value) -> HandEdit {
    HandEdit::parse(fields.to_string().as_bytes()).unwrap()
}

#[test]
fn a_hand_edit_creates_what_is_missing() {
    let mut registry = Registry::default();
    let fields = json!({"status": "disabled", "statusReason": "mine", "tags": {"a": 1}});
    let effect = registry.hand_edit("d1", by_hand(&fields), fresh(1));
    let device = effect.result.unwrap().unwrap();
    assert_eq!(device.identity.status, Status::Disabled);
    assert_eq!(json!(device.twin.tags), json!({"a": 1}));
}

#[test]
fn a_hand_edit_keeps_what_it_does_not_name_and_moves_the_etag() {
    let (mut registry, etag) = with_device();
    let before = registry.get("d1").unwrap().identity.clone();
    let effect = registry.hand_edit("d1", by_hand(&json!({"status": "disabled"})), fresh(2));
    assert_eq!(effect.trace.etag_before, Some(etag));
    let after = &effect.result.unwrap().unwrap().identity;
    assert_eq!(after.authentication, before.authentication);
    assert_eq!(
        (after.etag, after.generation),
        (before.etag.next(), before.generation)
    );
}

#[test]
fn a_hand_edit_with_one_bad_field_changes_nothing() {
    let (mut registry, etag) = with_device();
    let fields = json!({"status": "disabled", "tags": {"a.b": 1}});
    refused(
        registry.hand_edit("d1", by_hand(&fields), fresh(2)),
        400,
        "ArgumentInvalid",
    );
    assert_eq!(registry.get("d1").unwrap().identity.etag.text(), etag);
}
