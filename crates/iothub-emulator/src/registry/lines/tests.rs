//! What connected devices are told, and when a connection ends.

use serde_json::{Value, json};

use super::*;
use crate::authentication::FreshKeys;
use crate::choices::DeviceRules;
use crate::etag::Precondition;
use crate::hand_edit::HandEdit;
use crate::registry::{Fresh, Gate, Reach};

const FIRST: &str = "AAECAwQFBgcICQoLDA0ODw==";
const SECOND: &str = "Dw4NDAsKCQgHBgUEAwIBAA==";
const OTHER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

fn device() -> Target {
    Target {
        device: "d".to_owned(),
        module: None,
    }
}

fn edit(registry: &mut Registry, body: &Value, second: u64) {
    let fresh = Fresh {
        now: Ticks::from_unix_micros(second * 1_000_000),
        etag_seed: 1,
        keys: FreshKeys {
            primary: FIRST.to_owned(),
            secondary: SECOND.to_owned(),
        },
        template: None,
        rules: DeviceRules::default(),
    };
    registry.begin(fresh.now);
    let edit = HandEdit::parse(body.to_string().as_bytes()).unwrap();
    registry.hand_edit("d", edit, fresh).result.unwrap();
}

fn connected() -> Registry {
    let mut registry = Registry::default();
    edit(
        &mut registry,
        &json!({"desired": {"a": 1, "b": {"c": 1, "d": 1}}}),
        1,
    );
    assert_eq!(registry.attach(&device(), 7, FIRST, false), Ok(false));
    registry
}

#[track_caller]
fn told(registry: &mut Registry, wanted: &Value) {
    let signals = registry.take_signals();
    let patch = Signal::Desired(7, wanted.as_object().unwrap().clone());
    assert_eq!(signals, [patch]);
}

#[track_caller]
fn cut(registry: &mut Registry, why: Cut) {
    assert_eq!(registry.take_signals(), [Signal::Cut(7, why)]);
    assert_eq!(registry.line(&device()), None);
    assert_eq!(registry.connected(), 0);
}

#[test]
fn a_connection_shows_but_does_not_move_the_etag() {
    let mut registry = connected();
    assert_eq!(registry.connected(), 1);
    let etag = registry.get("d").unwrap().identity.etag;
    registry.detach(&device(), 7);
    let device = registry.get("d").unwrap();
    assert_eq!(
        (device.identity.etag, device.life.state()),
        (etag, "Disconnected")
    );
    assert_eq!(registry.take_signals(), []);
}

#[test]
fn a_device_is_told_what_was_written() {
    let mut registry = connected();
    edit(
        &mut registry,
        &json!({"desired": {"b": {"c": 1, "d": null}}}),
        2,
    );
    told(
        &mut registry,
        &json!({"b": {"c": 1, "d": null}, "$version": 3}),
    );
    edit(&mut registry, &json!({"desired": {"a": null, "b": 5}}), 3);
    told(&mut registry, &json!({"a": null, "b": 5, "$version": 4}));
    edit(&mut registry, &json!({"tags": {"x": 1}}), 4);
    assert_eq!(registry.take_signals(), []);
}

#[test]
fn a_replacement_takes_away_what_it_leaves_out() {
    let mut registry = connected();
    let body = br#"{"properties":{"desired":{"b":{"d":1}}}}"#;
    let draft = crate::twin::TwinDraft::parse(body).unwrap();
    let now = Ticks::from_unix_micros(9);
    let effect = registry.replace_twin("d", &draft, &Precondition::Any, now);
    effect.result.unwrap();
    told(
        &mut registry,
        &json!({"a": null, "b": {"c": null, "d": 1}, "$version": 3}),
    );
}

#[test]
fn another_connection_in_the_same_name_ends_the_first() {
    let mut registry = connected();
    assert_eq!(registry.attach(&device(), 8, SECOND, false), Ok(true));
    assert_eq!(registry.take_signals(), [Signal::Cut(7, Cut::Replaced)]);
    registry.detach(&device(), 7);
    assert_eq!(
        (registry.line(&device()), registry.connected()),
        (Some(8), 1)
    );
}

#[test]
fn a_connection_lasts_as_long_as_the_right_to_it() {
    let mut registry = connected();
    edit(&mut registry, &json!({"status": "disabled"}), 2);
    cut(&mut registry, Cut::Disabled);
    assert!(registry.credentials(&device()).is_none());

    let mut registry = connected();
    let keys = json!({"primaryKey": OTHER_KEY, "secondaryKey": OTHER_KEY});
    let change = json!({"authentication": {"type": "sas", "symmetricKey": keys}});
    edit(&mut registry, &change, 2);
    cut(&mut registry, Cut::KeyChanged);

    let mut registry = connected();
    let deleted = registry.delete("d", &Precondition::Any).result;
    assert!(deleted.is_ok());
    cut(&mut registry, Cut::Deleted);
    assert!(registry.attach(&device(), 8, FIRST, false).is_err());
}

#[test]
fn changing_the_other_key_cuts_nothing() {
    let mut registry = Registry::default();
    let keys = |second: &str| {
        let pair = json!({"primaryKey": OTHER_KEY, "secondaryKey": second});
        json!({"authentication": {"type": "sas", "symmetricKey": pair}})
    };
    edit(&mut registry, &keys(OTHER_KEY), 1);
    registry.attach(&device(), 7, OTHER_KEY, true).unwrap();
    edit(&mut registry, &keys(SECOND), 2);
    assert_eq!(registry.take_signals(), []);
    assert_eq!(registry.line(&device()), Some(7));
}

#[test]
fn a_module_goes_with_its_device_and_by_itself() {
    let mut registry = connected();
    let module = Target {
        module: Some("$edgeHub".to_owned()),
        ..device()
    };
    edit(
        &mut registry,
        &json!({"capabilities": {"iotEdge": true}}),
        2,
    );
    registry.attach(&module, 9, "any", true).unwrap();
    registry.take_signals();
    // It has no key, so the next look at it cuts it.
    edit(&mut registry, &json!({"tags": {"a": 1}}), 3);
    assert_eq!(registry.take_signals(), [Signal::Cut(9, Cut::KeyChanged)]);
    assert_eq!(registry.line(&device()), Some(7));
    assert!(registry.modules("d", Gate::Entra).is_ok());
}

#[test]
fn methods_reach_a_device_that_listens_to_them() {
    let mut registry = connected();
    let reach = |registry: &Registry| registry.reach(&device(), "m").unwrap();
    assert!(matches!(reach(&registry), Reach::Offline));
    let quality = Some(Quality::AtMostOnce);
    registry
        .subscribe(&device(), 7, Channel::Methods, quality)
        .unwrap();
    assert!(matches!(reach(&registry), Reach::Line(7)));
    assert!(
        registry
            .subscribe(&device(), 8, Channel::Methods, None)
            .is_err()
    );
    registry.detach(&device(), 7);
    assert!(matches!(reach(&registry), Reach::Offline));
    assert!(registry.over_line(&device(), 7, |_, _, _| Ok(())).is_err());
}
