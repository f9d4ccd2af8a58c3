//! Modules: the If-Match table, the gate of shared access signatures, and what edge devices bring.

use serde_json::{Value, json};

use super::*;
use crate::authentication::FreshKeys;
use crate::identity::IdentityDraft;
use crate::module::ModuleDraft;

const SAS: Gate = Gate::SharedAccess;

fn fresh(n: u64) -> Fresh {
    Fresh {
        now: Ticks::from_unix_micros(1_767_225_600_000_000 + n),
        etag_seed: 1,
        keys: FreshKeys {
            primary: format!("p{n}"),
            secondary: format!("s{n}"),
        },
        template: None,
        rules: crate::choices::DeviceRules::default(),
    }
}

fn put_device(registry: &mut Registry, mut fields: Value, precondition: &Precondition) {
    fields["deviceId"] = json!("d");
    let edit = IdentityDraft::parse(fields.to_string().as_bytes()).unwrap();
    let edit = edit.check("d").unwrap();
    registry
        .put("d", edit, precondition, fresh(1))
        .result
        .unwrap();
}

fn with_device(fields: Value) -> Registry {
    let mut registry = Registry::default();
    put_device(&mut registry, fields, &Precondition::Absent);
    registry
}

fn edit(module: &str) -> ModuleEdit {
    let body = json!({"deviceId": "d", "moduleId": module});
    let draft = ModuleDraft::parse(body.to_string().as_bytes()).unwrap();
    draft.check("d", module).unwrap()
}

fn put<'a>(registry: &'a mut Registry, module: &str, want: &Precondition) -> Effect<'a, Module> {
    registry.put_module(("d", module), edit(module), want, fresh(2), SAS)
}

#[track_caller]
fn refused(effect: Effect<'_, Module>, status: u16, name: &str) {
    let error = effect.result.unwrap_err();
    assert_eq!((error.status.as_u16(), error.name.as_ref()), (status, name));
    assert!(!effect.trace.effective);
}

#[test]
fn put_without_if_match_creates_once() {
    let mut registry = with_device(json!({}));
    let effect = put(&mut registry, "m", &Precondition::Absent);
    assert!(effect.result.unwrap().is_some() && effect.trace.effective);
    assert_eq!(effect.trace.etag_before, None);
    let again = put(&mut registry, "m", &Precondition::Absent);
    refused(again, 409, "ModuleAlreadyExistsOnDevice");
}

#[test]
fn put_with_if_match_updates_what_is_there_and_only_that() {
    let mut registry = with_device(json!({}));
    refused(
        put(&mut registry, "m", &Precondition::Any),
        404,
        "ModuleNotFound",
    );
    put(&mut registry, "m", &Precondition::Absent);
    let etag = registry.devices["d"].modules["m"].identity.etag.text();
    let right = Precondition::Exactly(etag);
    assert!(put(&mut registry, "m", &right).trace.effective);
    refused(put(&mut registry, "m", &right), 412, "PreconditionFailed");
    assert!(put(&mut registry, "m", &Precondition::Any).trace.effective);
}

#[test]
fn delete_needs_a_precondition_that_holds() {
    let mut registry = with_device(json!({}));
    put(&mut registry, "m", &Precondition::Absent);
    let mut delete = |want: &Precondition| {
        let effect = registry.delete_module(("d", "m"), want, SAS);
        (
            effect
                .result
                .map_err(|error| error.status.as_u16())
                .map(|it| it.is_some()),
            effect.trace.effective,
        )
    };
    assert_eq!(delete(&Precondition::Absent), (Err(412), false));
    assert_eq!(
        delete(&Precondition::Exactly("x".into())),
        (Err(412), false)
    );
    assert_eq!(delete(&Precondition::Any), (Ok(false), true));
    assert_eq!(delete(&Precondition::Any), (Err(404), false));
}

#[test]
fn under_a_shared_access_signature_a_missing_or_disabled_device_is_401() {
    let mut registry = Registry::default();
    refused(
        put(&mut registry, "m", &Precondition::Absent),
        401,
        "IotHubUnauthorizedAccess",
    );
    let mut registry = with_device(json!({"status": "disabled"}));
    refused(
        registry.read_module("d", "m", SAS),
        401,
        "IotHubUnauthorizedAccess",
    );
    assert_eq!(registry.modules("d", SAS).err().unwrap().status, 401);
    assert!(registry.modules("d", Gate::Entra).is_ok());
    refused(
        registry.read_module("d", "m", Gate::Entra),
        404,
        "ModuleNotFound",
    );
    refused(
        registry.read_module("x", "m", Gate::Entra),
        404,
        "DeviceNotFound",
    );
}

#[test]
fn a_device_has_at_most_fifty_modules() {
    let mut registry = with_device(json!({}));
    for n in 0..50 {
        put(&mut registry, &format!("m{n}"), &Precondition::Absent)
            .result
            .unwrap();
    }
    let over = put(&mut registry, "m50", &Precondition::Absent);
    refused(over, 413, "TooManyModulesOnDevice");
}

#[test]
fn an_edge_device_brings_its_two_modules_and_takes_them_away() {
    let mut registry = with_device(json!({"capabilities": {"iotEdge": true}}));
    let names = |registry: &Registry| -> Vec<String> {
        let modules = registry.modules("d", SAS).unwrap();
        modules.map(|it| it.identity.module_id.clone()).collect()
    };
    assert_eq!(names(&registry), ["$edgeAgent", "$edgeHub"]);
    refused(
        registry.delete_module(("d", "$edgeHub"), &Precondition::Any, SAS),
        400,
        "ArgumentInvalid",
    );
    put_device(&mut registry, json!({}), &Precondition::Any);
    assert_eq!(names(&registry), [] as [&str; 0]);
    put_device(
        &mut registry,
        json!({"capabilities": {"iotEdge": true}}),
        &Precondition::Any,
    );
    assert_eq!(names(&registry).len(), 2);
}

#[test]
fn modules_go_with_their_device() {
    let mut registry = with_device(json!({}));
    put(&mut registry, "m", &Precondition::Absent);
    registry.delete("d", &Precondition::Any).result.unwrap();
    refused(registry.read_module_twin("d", "m"), 404, "DeviceNotFound");
    put_device(&mut registry, json!({}), &Precondition::Absent);
    assert_eq!(registry.modules("d", SAS).unwrap().count(), 0);
}

#[test]
fn module_twins_follow_the_rules_of_twins() {
    let mut registry = with_device(json!({"status": "disabled"}));
    refused(registry.read_module_twin("d", "m"), 404, "DeviceNotFound");
    registry
        .put_module(
            ("d", "m"),
            edit("m"),
            &Precondition::Absent,
            fresh(2),
            Gate::Entra,
        )
        .result
        .unwrap();
    let tag = TwinDraft::parse(br#"{"tags":{"a":1}}"#).unwrap();
    let mut write = |replace, want: &Precondition| {
        registry
            .write_module_twin(("d", "m"), &tag, replace, want, fresh(3).now)
            .trace
    };
    let first = Precondition::Exactly("AAAAAAAAAAE=".into());
    assert_eq!(write(false, &first).etag_after.unwrap(), "AAAAAAAAAAI=");
    assert!(!write(false, &first).effective);
    assert_eq!(
        write(true, &Precondition::Absent).etag_after.unwrap(),
        "AAAAAAAAAAM="
    );
}

#[test]
fn the_twin_of_a_module_made_by_put_was_never_updated() {
    let mut registry = with_device(json!({}));
    let made = put(&mut registry, "m", &Precondition::Absent)
        .result
        .unwrap()
        .unwrap();
    let text = crate::views::modules::twin("d", made, "2020-03-13");
    let start = r#"{"deviceId":"d","moduleId":"m","etag":"AAAAAAAAAAE=","deviceEtag":""#;
    assert!(text.starts_with(start), "{text}");
    assert_eq!(
        text.matches(r#"{"$lastUpdated":"0001-01-01T00:00:00Z"}"#)
            .count(),
        2,
        "{text}"
    );
    assert!(!text.contains("capabilities"), "{text}");
}

#[test]
fn a_module_identity_has_no_status_and_says_never_without_zone_when_made() {
    let mut registry = with_device(json!({}));
    let made = put(&mut registry, "m", &Precondition::Absent)
        .result
        .unwrap()
        .unwrap();
    let text = crate::views::modules::created_identity("d", made);
    assert!(
        text.starts_with(r#"{"moduleId":"m","managedBy":null,"deviceId":"d","generationId":""#)
    );
    assert!(
        text.contains(r#""lastActivityTime":"0001-01-01T00:00:00","#),
        "{text}"
    );
    assert!(!text.contains("status"), "{text}");
    let later = crate::views::modules::identity("d", made);
    assert!(
        later.contains(r#""lastActivityTime":"0001-01-01T00:00:00Z","#),
        "{later}"
    );
}
