//! The rules of configurations, and what they make of a device.

use serde_json::{Value, json};

use super::apply::{Plan, Ready, plan, sort};
use super::*;
use crate::authentication::FreshKeys;
use crate::hand_edit::HandEdit;
use crate::query::Dialect;
use crate::registry::{Fresh, Registry};
use crate::twin::Mark;

const NOW: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);

fn body(id: &str) -> Value {
    json!({"id": id, "content": {"deviceContent": {"properties.desired.chiller": {"on": true}}}, "targetCondition": "*", "priority": 10})
}

fn parse(id: &str, body: &Value) -> Result<Draft, ServiceError> {
    Draft::parse(id, body.to_string().as_bytes(), Dialect::AllFunctions)
}

#[track_caller]
fn refused(change: impl Fn(&mut Value), name: &str) {
    let mut body = body("c");
    change(&mut body);
    assert_eq!(parse("c", &body).unwrap_err().name, name, "{body}");
}

#[test]
fn a_configuration_has_an_id_content_and_a_sound_condition() {
    assert!(parse("c-1+%_*!'", &body("c-1+%_*!'")).is_ok());
    refused(|it| it["id"] = json!("other"), "ArgumentInvalid");
    refused(
        |it| it["content"] = Value::Null,
        "InvalidConfigurationContent",
    );
    refused(
        |it| it["targetCondition"] = json!("tags. ="),
        "ArgumentInvalid",
    );
    refused(
        |it| it["targetCondition"] = json!("FROM devices.modules"),
        "ArgumentInvalid",
    );
    refused(|it| it["priority"] = json!(-1), "ArgumentInvalid");
    assert_eq!(parse("C", &body("C")).unwrap_err().status, 400);
}

#[test]
fn content_is_of_one_kind_and_below_the_desired_properties() {
    for content in [
        json!({}),
        json!({"deviceContent": {"a": 1}}),
        json!({"deviceContent": {"properties.desiredx": 1}}),
        json!({"deviceContent": {"properties.desired": 1}}),
        json!({"deviceContent": {"properties.desired.a..b": 1}}),
        json!({"deviceContent": {}, "moduleContent": {}}),
        json!({"modulesContent": {"m": {"properties.desired": {}}}}),
        json!({"modulesContent": {"$edgeAgent": 1}}),
    ] {
        refused(
            |it| it["content"] = content.clone(),
            "InvalidConfigurationContent",
        );
    }
    let mut edge = body("c");
    edge["content"] = json!({"modulesContent": {"$edgeAgent": {"properties.desired": {"a": 1}}}});
    assert!(parse("c", &edge).is_ok());
}

#[test]
fn put_creates_once_and_updates_all_but_the_content() {
    let mut all = Configurations::default();
    let mut put = |body: &Value, want: &Precondition| {
        let stored = all.put(parse("c", body).unwrap(), want, NOW);
        stored.map(|it| serde_json::from_str::<Value>(&view::configuration(it)).unwrap())
    };
    assert_eq!(put(&body("c"), &Precondition::Any).unwrap_err().status, 404);
    let made = put(&body("c"), &Precondition::Absent).unwrap();
    assert_eq!(
        (&made["etag"], &made["systemMetrics"]["results"]),
        (&json!("MQ=="), &json!({}))
    );
    assert_eq!(
        put(&body("c"), &Precondition::Absent).unwrap_err().name,
        "ConfigurationAlreadyExists"
    );
    let mut other = body("c");
    other["content"] = json!({"deviceContent": {"properties.desired.x": 1}});
    other["priority"] = json!(20);
    let updated = put(&other, &Precondition::Exactly("MQ==".into())).unwrap();
    assert_eq!(
        (&updated["etag"], &updated["priority"], &updated["content"]),
        (&json!("Mg=="), &json!(20), &made["content"])
    );
    assert_eq!(
        put(&other, &Precondition::Exactly("MQ==".into()))
            .unwrap_err()
            .status,
        412
    );
}

#[test]
fn there_are_at_most_a_hundred() {
    let mut all = Configurations::default();
    for n in 0..100 {
        let id = format!("c{n}");
        all.put(parse(&id, &body(&id)).unwrap(), &Precondition::Absent, NOW)
            .unwrap();
    }
    let error = all
        .put(parse("x", &body("x")).unwrap(), &Precondition::Absent, NOW)
        .unwrap_err();
    assert_eq!((error.status.as_u16(), error.number()), (413, 413_101));
}

fn fresh() -> Fresh {
    let keys = FreshKeys {
        primary: String::new(),
        secondary: String::new(),
    };
    Fresh {
        now: NOW,
        etag_seed: 1,
        keys,
        template: None,
        rules: crate::choices::DeviceRules::default(),
    }
}

fn registry(device: &Value) -> Registry {
    let mut registry = Registry::default();
    let edit = HandEdit::parse(device.to_string().as_bytes()).unwrap();
    registry.hand_edit("d", edit, fresh()).result.unwrap();
    registry
}

/// Makes configurations of id, condition, priority and content.
fn ready(all: &[(&str, &str, i64, Value)]) -> Vec<Ready> {
    let make = |(id, target, priority, content): &(&str, &str, i64, Value)| {
        let body =
            json!({"id": id, "targetCondition": target, "priority": priority, "content": content});
        let configuration = parse(id, &body).unwrap().create(NOW);
        Ready::new(&configuration, Dialect::AllFunctions).unwrap()
    };
    let mut ready: Vec<Ready> = all.iter().map(make).collect();
    sort(&mut ready);
    ready
}

fn run(registry: &mut Registry, ready: &[Ready]) -> bool {
    let plan = plan(registry.get("d").unwrap(), ready, false);
    registry.carry_out("d", plan, &fresh()).is_some()
}

fn device_content(value: &Value) -> Value {
    json!({"deviceContent": value})
}

#[test]
fn higher_priorities_lie_on_top_and_applying_twice_changes_nothing() {
    let mut registry = registry(&json!({"desired": {"own": 1}, "tags": {"a": 1}}));
    let ready = ready(&[
        (
            "high",
            "tags.a = 1",
            9,
            device_content(&json!({"properties.desired.x": {"v": "high"}})),
        ),
        (
            "low",
            "*",
            1,
            device_content(&json!({"properties.desired.x.v": "low", "properties.desired.y": 2})),
        ),
        (
            "other",
            "tags.a = 2",
            99,
            device_content(&json!({"properties.desired.x": 0})),
        ),
    ]);
    assert!(run(&mut registry, &ready));
    let twin = &registry.get("d").unwrap().twin;
    assert_eq!(
        Value::Object(twin.desired.values.clone()),
        json!({"own": 1, "x": {"v": "high"}, "y": 2})
    );
    assert_eq!(
        twin.marks,
        [
            ("high".into(), Mark::Applied),
            ("low".into(), Mark::Applied)
        ]
        .into()
    );
    let text = serde_json::to_string(&twin.desired.metadata).unwrap();
    assert!(
        text.contains(r#""$lastUpdatedBy":"high","$lastUpdatedByDigest":""#),
        "{text}"
    );
    assert!(!run(&mut registry, &ready));
}

#[test]
fn what_was_written_stays_when_a_configuration_goes() {
    let mut registry = registry(&json!({}));
    run(
        &mut registry,
        &ready(&[(
            "c",
            "*",
            1,
            device_content(&json!({"properties.desired.x": 1})),
        )]),
    );
    assert!(run(&mut registry, &[]));
    let twin = &registry.get("d").unwrap().twin;
    assert_eq!((twin.marks.len(), twin.desired.values.len()), (0, 1));
}

#[test]
fn a_configuration_for_modules_finds_modules() {
    let mut registry = registry(&json!({"capabilities": {"iotEdge": true}}));
    let condition = "FROM devices.modules WHERE moduleId = '$edgeHub'";
    let content = json!({"moduleContent": {"properties.desired.x": 1}});
    assert!(run(&mut registry, &ready(&[("c", condition, 1, content)])));
    let modules = &registry.get("d").unwrap().modules;
    assert_eq!(modules["$edgeHub"].twin.desired.values["x"], 1);
    assert!(modules["$edgeAgent"].twin.marks.is_empty());
}

#[test]
fn only_the_uppermost_edge_deployment_is_applied_and_makes_its_modules() {
    let mut registry = registry(&json!({"capabilities": {"iotEdge": true}}));
    let content = |n: u32| json!({"modulesContent": {"$edgeAgent": {"properties.desired": {"n": n}}, "mine": {"properties.desired": {"m": n}}}});
    let ready = ready(&[("low", "*", 1, content(1)), ("high", "*", 2, content(2))]);
    while run(&mut registry, &ready) {}
    let device = registry.get("d").unwrap();
    assert_eq!(device.modules["$edgeAgent"].twin.desired.values["n"], 2);
    assert_eq!(device.modules["mine"].twin.desired.values["m"], 2);
    assert_eq!(
        device.twin.marks,
        [
            ("high".into(), Mark::Applied),
            ("low".into(), Mark::Targeted)
        ]
        .into()
    );
    assert_eq!(
        device.modules["mine"].identity.managed_by.as_deref(),
        Some("iotEdge")
    );
}

#[test]
fn a_leaf_is_left_alone_by_edge_deployments() {
    let registry = registry(&json!({}));
    let content = json!({"modulesContent": {"$edgeAgent": {"properties.desired": {}}}});
    let ready = ready(&[("c", "*", 1, content)]);
    assert_eq!(
        plan(registry.get("d").unwrap(), &ready, false),
        Plan::default()
    );
}

#[test]
fn content_too_large_for_a_twin_is_only_targeted() {
    let mut registry = registry(&json!({}));
    let long = "x".repeat(4096);
    let many: serde_json::Map<String, Value> =
        (0..9).map(|n| (format!("k{n}"), json!(long))).collect();
    let content = device_content(&json!({"properties.desired.big": many}));
    run(&mut registry, &ready(&[("c", "*", 1, content)]));
    let twin = &registry.get("d").unwrap().twin;
    assert_eq!(
        (twin.marks["c"], twin.desired.values.len()),
        (Mark::Targeted, 0)
    );
}
