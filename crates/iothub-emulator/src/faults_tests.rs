//! When rules fire, and what is refused as a program.

use serde_json::{Value, json};

use super::*;

const PUT: Subject<'static> = Subject {
    method: "PUT",
    path: "/devices/d 1",
    operation: Operation::Create,
    device: Some("d 1"),
};

fn program(rules: &Value) -> FaultProgram {
    FaultProgram::parse(json!({ "rules": rules }).to_string().as_bytes()).unwrap()
}

/// The 1-based numbers of the requests, out of `n`, on which a lone rule fires.
fn fires(rule: &Value, n: u64) -> Vec<u64> {
    let mut program = program(&json!([rule]));
    (1..=n).filter(|_| program.decide(&PUT).is_some()).collect()
}

#[test]
fn a_bare_rule_fires_always() {
    assert_eq!(fires(&json!({"status": 503}), 3), [1, 2, 3]);
}

#[test]
fn every_skip_and_times_count_matches() {
    assert_eq!(fires(&json!({"every": 3}), 9), [3, 6, 9]);
    assert_eq!(fires(&json!({"skip": 2}), 4), [3, 4]);
    assert_eq!(fires(&json!({"skip": 2, "every": 3}), 9), [5, 8]);
    assert_eq!(fires(&json!({"every": 2, "times": 2}), 9), [2, 4]);
    assert_eq!(fires(&json!({ "times": 0 }), 3), [] as [u64; 0]);
}

#[test]
fn all_filters_must_match() {
    for good in [
        json!({"method": "put"}),
        json!({"path": "/devices/*"}),
        json!({"path": "/devices/d 1"}),
        json!({"operation": "create"}),
        json!({"device": "d 1"}),
        json!({"method": null, "path": null, "operation": null, "device": null, "times": null}),
    ] {
        assert_eq!(fires(&good, 1), [1], "{good}");
    }
    for bad in [
        json!({"method": "GET"}),
        json!({"path": "/twins/*"}),
        json!({"operation": "twin-patch"}),
        json!({"device": "d 2"}),
        json!({"method": "PUT", "device": "d 2"}),
    ] {
        assert_eq!(fires(&bad, 1), [] as [u64; 0], "{bad}");
    }
}

#[test]
fn requests_that_do_not_match_are_not_counted() {
    let mut program = program(&json!([{"method": "PUT", "every": 2}]));
    let get = Subject {
        method: "GET",
        ..PUT
    };
    assert!(program.decide(&PUT).is_none());
    assert!(program.decide(&get).is_none());
    assert!(program.decide(&PUT).is_some());
}

#[test]
fn the_first_rule_that_fires_wins_and_later_ones_still_count() {
    let mut program = program(&json!([{"name": "a", "every": 2}, {"name": "b", "every": 3}]));
    let names: Vec<String> = (0..6)
        .map(|_| {
            program
                .decide(&PUT)
                .map_or(String::new(), |fault| fault.name)
        })
        .collect();
    assert_eq!(names, ["", "a", "b", "a", "", "a"]);
    let shown = serde_json::to_value(&program).unwrap();
    assert_eq!(shown["rules"][0]["fired"], 3);
    assert_eq!(
        (&shown["rules"][1]["matched"], &shown["rules"][1]["fired"]),
        (&json!(6), &json!(1))
    );
}

#[test]
fn only_a_refusal_or_drop_before_the_effect_prevents_it() {
    let prevents = |rule: Value| {
        program(&json!([rule]))
            .decide(&PUT)
            .unwrap()
            .prevents_effect()
    };
    assert!(prevents(json!({"status": 503})));
    assert!(prevents(json!({"reply": "drop", "effect": "before"})));
    assert!(!prevents(json!({"status": 503, "effect": "after"})));
    assert!(!prevents(json!({"reply": "drop", "effect": "after"})));
    assert!(!prevents(json!({"delay_ms": 10})));
}

#[test]
fn retry_after_takes_seconds_and_text() {
    let answer = |value: Value| {
        let rule = json!({"status": 429, "retry_after": value});
        program(&json!([rule]))
            .decide(&PUT)
            .unwrap()
            .answer
            .unwrap()
            .retry_after
    };
    assert_eq!(answer(json!(7)).as_deref(), Some("7"));
    assert_eq!(answer(json!("tomorrow")).as_deref(), Some("tomorrow"));
    assert_eq!(answer(json!(null)), None);
}

#[track_caller]
fn refused(body: &str, part: &str) {
    let problem = FaultProgram::parse(body.as_bytes()).unwrap_err();
    assert!(problem.contains(part), "{problem}");
}

#[test]
fn mistakes_in_a_program_are_named() {
    refused("nonsense", "expected");
    refused(r#"{"rules":[{"evry":2}]}"#, "evry");
    refused(r#"{"rule":[]}"#, "rule");
    refused(r#"{"rules":[{"operation":"crate"}]}"#, "crate");
    refused(r#"{"rules":[{"name":"x","every":0}]}"#, "rule 0 (x): every");
    refused(
        r#"{"rules":[{},{"status":99}]}"#,
        "rule 1 (unnamed): status",
    );
    refused(r#"{"rules":[{"error":"ServerBusy"}]}"#, "need a status");
    refused(r#"{"rules":[{"status":503,"error":"a\nb"}]}"#, "printable");
    refused(r#"{"rules":[{"operation":"hand-edit"}]}"#, "hand edits");
    refused(r#"{"rules":[{"reply":"lose"}]}"#, "lose");
}
