//! Scripts as they are written down.

use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<Behaviour, String> {
    Behaviour::parse(value.to_string().as_bytes())
}

#[test]
fn an_empty_behaviour_is_online_and_listens_to_nothing() {
    let behaviour = parse(&json!({})).unwrap();
    assert!(behaviour.online);
    assert_eq!(behaviour.reply("reboot"), None);
}

#[test]
fn a_method_has_its_own_reply_or_that_of_the_star_or_501() {
    let behaviour = parse(&json!({"methods": {"a": {"status": 7, "payload": [1.50]}}})).unwrap();
    let reply = behaviour.reply("a").unwrap();
    assert_eq!(
        (reply.status, reply.payload.to_string()),
        (7, "[1.5]".to_owned())
    );
    assert_eq!(behaviour.reply("b").unwrap().status, 501);
    let any = parse(&json!({"methods": {"*": "echo"}})).unwrap();
    assert!(any.reply("b").unwrap().echo);
}

#[test]
fn patterns_report_their_progress() {
    for name in ["reboot", "factory-reset", "firmware-update"] {
        let behaviour = parse(&json!({"methods": {"m": name}})).unwrap();
        let steps = behaviour.reply("m").unwrap().steps;
        assert!(steps.len() >= 4, "{name}");
        assert!(steps.is_sorted_by_key(|it| it.after_ms), "{name}");
    }
}

#[test]
fn mistakes_are_named() {
    let error = |value: &Value| parse(value).unwrap_err();
    assert!(error(&json!({"methods": {"m": "dance"}})).contains("factory-reset"));
    assert!(error(&json!({"onlin": true})).contains("onlin"));
    assert!(error(&json!({"methods": {"m": {"statsu": 1}}})).contains("statsu"));
    assert!(error(&json!({"steps": [{"after_ms": 3_600_001}]})).contains("after_ms"));
    assert!(error(&json!({"steps": vec![json!({}); 101]})).contains("100 steps"));
}

#[test]
fn a_behaviour_survives_being_written_down() {
    let behaviour =
        parse(&json!({"methods": {"m": "reboot", "x": {"payload": {"a": 1}}}})).unwrap();
    let text = serde_json::to_vec(&behaviour).unwrap();
    assert_eq!(Behaviour::parse(&text), Ok(behaviour));
}

#[test]
fn now_becomes_the_time_wherever_it_stands() {
    let document = json!({"a": {"b": ["$now"]}, "c": "$nowhere"});
    let dated = dated(document.as_object().unwrap().clone(), Ticks::NEVER);
    assert_eq!(
        Value::Object(dated),
        json!({"a": {"b": ["0001-01-01T00:00:00Z"]}, "c": "$nowhere"})
    );
}
