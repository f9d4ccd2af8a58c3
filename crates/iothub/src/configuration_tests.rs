//! Configurations as they are made, read and sent back.

use super::*;

const SENT: &str = r#"{"id":"c1","schemaVersion":null,"labels":{"a":"b"},"content":{"deviceContent":{"properties.desired.x":1.50}},"targetCondition":"*","createdTimeUtc":"2026-01-01T12:00:00.1Z","lastUpdatedTimeUtc":"2026-01-01T12:00:01Z","priority":10,"systemMetrics":{"results":{"targetedCount":3,"odd":"x"},"queries":{}},"metrics":{"results":{},"queries":{}},"etag":"MQ==","later":[1]}"#;

fn content() -> ConfigurationContent {
    ConfigurationContent::device(json!({"properties.desired.x": 1})).unwrap()
}

#[test]
fn ids_are_lower_case() {
    for text in ["", "A", "a.b", "..", "a b", "testQueries", &"a".repeat(129)] {
        assert_eq!(
            text.parse::<ConfigurationId>(),
            Err(InvalidConfigurationId),
            "{text}"
        );
    }
    assert!("az09-+%_*!'".parse::<ConfigurationId>().is_ok());
}

#[test]
fn a_new_one_is_for_nothing_until_told() {
    let new = NewConfiguration {
        metrics: BTreeMap::from([("m".into(), "SELECT deviceId FROM devices".into())]),
        ..NewConfiguration::new("c1".parse().unwrap(), content())
    };
    assert_eq!(
        new.to_json(),
        json!({"id": "c1", "schemaVersion": null, "labels": {}, "targetCondition": "",
            "content": {"deviceContent": {"properties.desired.x": 1}}, "priority": 0,
            "metrics": {"queries": {"m": "SELECT deviceId FROM devices"}}})
    );
}

#[test]
fn a_content_is_of_one_kind_and_has_its_keys() {
    for wrong in [
        json!({}),
        json!([]),
        json!({"x": 1}),
        json!({"properties": 1}),
    ] {
        assert!(
            ConfigurationContent::device(wrong.clone()).is_err(),
            "{wrong}"
        );
        assert!(
            ConfigurationContent::module(wrong.clone()).is_err(),
            "{wrong}"
        );
        assert!(
            ConfigurationContent::edge(wrong.clone()).is_err(),
            "{wrong}"
        );
    }
    let edge = ConfigurationContent::edge(json!({"$edgeAgent": {}})).unwrap();
    assert_eq!(
        edge.to_json(),
        json!({"modulesContent": {"$edgeAgent": {}}})
    );
}

#[test]
fn it_goes_back_as_it_came_but_for_what_was_set() {
    let mut configuration = Configuration::from_json(SENT.as_bytes()).unwrap();
    configuration.set_priority(11);
    configuration.set_target_condition("tags.a = 1");
    configuration.set_labels(&BTreeMap::new());
    configuration.set_metrics(&BTreeMap::from([("m".into(), "q".into())]));
    let mut expected: Value = serde_json::from_str(SENT).unwrap();
    expected["priority"] = 11.into();
    expected["targetCondition"] = "tags.a = 1".into();
    expected["labels"] = json!({});
    expected["metrics"] = json!({"queries": {"m": "q"}});
    let body = configuration.to_body().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    assert!(String::from_utf8(body).unwrap().contains("1.50"));
}

#[test]
fn it_can_be_asked_for_all_it_says() {
    let configuration = Configuration::from_json(SENT.as_bytes()).unwrap();
    assert_eq!(configuration.id().as_str(), "c1");
    assert_eq!(configuration.etag(), Some("MQ=="));
    assert_eq!(configuration.priority(), Some(10));
    assert_eq!(configuration.target_condition(), Some("*"));
    assert!(configuration.created_time() < configuration.last_updated_time());
    assert_eq!(
        configuration.system_results(),
        BTreeMap::from([("targetedCount", 3)])
    );
    assert!(configuration.metric_results().is_empty());
    for body in ["", "[]", "{}", r#"{"id":"A"}"#] {
        assert!(Configuration::from_json(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn one_without_its_content_is_not_sent_back() {
    let bare = Configuration::from_json(br#"{"id":"c","etag":"MQ=="}"#).unwrap();
    assert!(bare.to_body().is_err());
}

#[test]
fn a_test_tells_what_is_wrong_and_silence_is_well() {
    let test = QueryTest::from_json(
        br#"{"targetConditionError":"bad","customMetricQueryErrors":{"m":"worse","n":""}}"#,
    )
    .unwrap();
    assert_eq!(test.condition_error.as_deref(), Some("bad"));
    assert_eq!(
        test.metric_errors,
        BTreeMap::from([("m".to_owned(), "worse".to_owned())])
    );
    for body in [
        "{}",
        r#"{"targetConditionError":"","customMetricQueryErrors":{}}"#,
        r#"{"targetConditionError":null,"customMetricQueryErrors":null}"#,
    ] {
        assert!(
            QueryTest::from_json(body.as_bytes()).unwrap().is_ok(),
            "{body}"
        );
    }
}
