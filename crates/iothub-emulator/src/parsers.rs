//! What reads bytes of strangers, for fuzzing: each takes anything, panics at nothing, and says
//! whether it was understood.
//!
//! Where more can be said than "no panic", it is asserted here, so that a fuzzer finds the input
//! for which it is not so.

use std::borrow::Cow;

use http::Method;
use serde_json::{Value, json};

use crate::auth::{Audience, Permission, Policies, Policy};
use crate::behaviour::Behaviour;
use crate::bulk;
use crate::dates::Ticks;
use crate::etag::Precondition;
use crate::faults::FaultProgram;
use crate::hand_edit::HandEdit;
use crate::identity::IdentityDraft;
use crate::mqtt;
use crate::query::rows::{Datum, Row};
use crate::query::{self, Dialect, ast, is_true, select, token};
use crate::router;
use crate::twin::{Document, Twin, TwinDraft};

/// A key that nobody has.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The policy and its hub that tokens are tried against.
const POLICY: &str = "service";
const HUB: &str = "hub.example";

/// Reads the value of an `Authorization` header and checks it against a hub with one policy.
/// True if the token opens the hub, which only one signed with the policy's key does.
#[must_use]
pub fn shared_access_signature(header: &str, unix_seconds: u64) -> bool {
    let mut policies = Policies::with_skew(300);
    let Ok(policy) = Policy::new([KEY], vec![Permission::RegistryRead]) else {
        return false;
    };
    policies.set(POLICY, policy);
    let path = ["devices".to_owned(), "d1".to_owned()];
    let audience = Audience::of(HUB);
    let needed = Some(Permission::RegistryRead);
    policies
        .authorize(Some(header), &audience, &path, needed, unix_seconds)
        .is_ok()
}

/// A row with something of every type.
struct Sample(Value);

impl Row for Sample {
    fn get(&self, path: &[String]) -> Datum<'_> {
        self.0.get(path.last()?).map(Cow::Borrowed)
    }
}

/// Reads a query, and a condition, and evaluates both on one row. A column list that is understood
/// yields JSON.
///
/// # Panics
/// If it does not.
#[must_use]
pub fn query(text: &str) -> bool {
    let row = Sample(json!({"a": 1.5, "b": "text", "tags": [1, null], "deviceId": {"x": true}}));
    let condition = query::parse_condition(text, Dialect::AllFunctions);
    if let Ok((_, filter)) = &condition {
        is_true(filter.as_ref(), &row);
    }
    let Ok(query) = query::parse(text, Dialect::AllFunctions) else {
        return condition.is_ok();
    };
    is_true(query.filter.as_ref(), &row);
    if let ast::Select::Columns(columns) = &query.select {
        let projected = select::project(columns, &row);
        assert!(
            serde_json::from_str::<Value>(&projected).is_ok(),
            "a projection that is no JSON: {projected}"
        );
    }
    let mut groups = select::Groups::default();
    groups.add(&query, &row);
    groups.finish(&query);
    true
}

/// Reads a continuation token of some query.
#[must_use]
pub fn continuation(token: &str) -> bool {
    token::read("SELECT * FROM devices", token).is_some()
}

/// Merges a request body into a twin, then replaces the twin by it. What is accepted holds no null
/// and none of the hub's own keys, and is accepted again.
///
/// # Panics
/// If that does not hold.
#[must_use]
pub fn twin_edit(body: &[u8]) -> bool {
    let now = Ticks::NEVER;
    let Ok(edit) = TwinDraft::parse(body) else {
        return false;
    };
    let mut twin = Twin::new(now);
    let merged = twin.patch(&edit, now).is_ok();
    check(&twin);
    let again = twin.clone().patch(&edit, now).is_ok();
    assert_eq!(merged, again, "an edit is taken once and refused then");
    if twin.replace(&edit, now).is_ok() {
        check(&twin);
    }
    merged
}

fn check(twin: &Twin) {
    for section in [&twin.tags, &twin.desired.values, &twin.reported.values] {
        check_section(section);
    }
}

fn check_section(section: &Document) {
    for (key, value) in section {
        assert!(!key.starts_with('$'), "the hub's own key {key:?} was kept");
        check_value(value);
    }
}

fn check_value(value: &Value) {
    match value {
        Value::Null => panic!("null was kept in a twin"),
        Value::Object(section) => check_section(section),
        Value::Array(items) => items.iter().for_each(check_value),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Finds the operation that a path means, by every method.
#[must_use]
pub fn path(raw: &str) -> bool {
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE];
    let route = |method| router::route(method, raw, &Precondition::Absent);
    let found = methods.iter().map(route);
    found.into_iter().any(|route| route.refusal.is_none())
}

/// Reads the bodies that make or change identities: one, several, and by hand.
#[must_use]
pub fn identity(body: &[u8]) -> bool {
    let one = IdentityDraft::parse(body).and_then(|draft| draft.check("d1"));
    let several = bulk::parse(body);
    let by_hand = HandEdit::parse(body);
    bulk::count(body);
    one.is_ok() || several.is_ok() || by_hand.is_ok()
}

/// Reads what a device sends: a CONNECT that says who it is, then requests by their topics. A packet
/// is found only when all of it is there.
#[must_use]
pub fn mqtt(bytes: &[u8]) -> bool {
    mqtt::parse(bytes, &Audience::of(HUB))
}

/// Reads what the control port takes: fault rules and behaviours of devices.
#[must_use]
pub fn control(body: &[u8]) -> bool {
    FaultProgram::parse(body).is_ok() || Behaviour::parse(body).is_ok()
}
