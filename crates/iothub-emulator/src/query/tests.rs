//! The language, one rule a test, against one device.

use serde_json::{Value, json};

use super::rows::{Datum, Row};
use super::*;

/// A row made of JSON.
struct Json(Value);

impl Row for Json {
    fn get(&self, path: &[String]) -> Datum<'_> {
        let value = path.iter().try_fold(&self.0, |value, key| value.get(key))?;
        Some(std::borrow::Cow::Borrowed(value))
    }
}

fn row() -> Json {
    Json(json!({
        "deviceId": "d'1", "status": "enabled", "lastActivityTime": "2026-01-01T00:00:01.5Z",
        "capabilities": {"iotEdge": false}, "parentScopes": ["s1", "s2"],
        "configurations": {"my-id": {"status": "Applied"}},
        "tags": {"n": 5, "text": "Ab", "yes": true, "list": [1, 2], "object": {"x": 1}, "order": 1},
        "properties": {"reported": {"f": 1.5}},
    }))
}

fn holds(condition: &str) -> bool {
    let text = format!("SELECT * FROM devices WHERE {condition}");
    let query = parse(&text, Dialect::AllFunctions);
    let query = query.unwrap_or_else(|error| panic!("{condition}: {error:?}"));
    is_true(query.filter.as_ref(), &row())
}

#[track_caller]
fn all_hold(conditions: &[&str]) {
    for condition in conditions {
        assert!(holds(condition), "{condition}");
    }
}

#[track_caller]
fn none_holds(conditions: &[&str]) {
    for condition in conditions {
        assert!(!holds(condition), "{condition}");
    }
}

fn is_query(text: &str) -> bool {
    parse(text, Dialect::AllFunctions).is_ok()
}

#[test]
fn primitives_compare() {
    all_hold(&[
        "tags.n = 5",
        "tags.n = 5.0",
        "tags.n != 6",
        "tags.n <> 6",
        "tags.n < 6",
        "tags.n <= 5",
        "tags.n > 4",
        "tags.n >= 0x5",
        "tags.text = 'Ab'",
        "tags.text > \"AA\"",
        "tags.yes = true",
        "tags.yes",
        "-tags.n = -5",
        "tags.text != 5",
        "tags.n != null",
        "deviceId = 'd\\'1'",
    ]);
    none_holds(&[
        "tags.text = 'ab'",
        "tags.n = '5'",
        "tags.text < 5",
        "tags.n",
        "tags.text",
        "null",
        "tags.list = tags.list",
        "tags.object != 1",
        "1",
    ]);
}

#[test]
fn what_is_missing_is_neither_equal_nor_different() {
    none_holds(&[
        "tags.x = 1",
        "tags.x != 1",
        "NOT tags.x = 1",
        "tags.x = undefined",
        "tags.x IN [1]",
        "tags.x NIN [1]",
        "NOT tags.x",
        "tags.x + 1 = 1",
    ]);
    all_hold(&["tags.x = 1 OR tags.yes", "NOT (tags.x = 1 AND false)"]);
}

#[test]
fn and_binds_tighter_than_or_and_not_tighter_than_both() {
    all_hold(&[
        "true OR false AND false",
        "NOT false AND true",
        "NOT (true AND false)",
        "tags.n = 5 AND (tags.text = 'x' OR tags.yes)",
    ]);
    none_holds(&["(true OR false) AND false", "NOT true OR false"]);
}

#[test]
fn arithmetic_has_the_usual_order() {
    all_hold(&[
        "1 + 2 * 3 = 7",
        "(1 + 2) * 3 = 9",
        "7 % 4 - 1 = 2",
        "10 / 4 = 2.5",
        "2 - -1 = 3",
        "properties.reported.f * 2 = 3",
        "8 - 4 - 2 = 2",
    ]);
    none_holds(&["1 / 0 = 1", "'a' + 'b' = 'ab'", "1 / 0 > 0"]);
}

#[test]
fn lists_are_searched() {
    all_hold(&[
        "tags.n IN [1, 5.0]",
        "tags.n NIN [1, '5']",
        "ARRAY_CONTAINS(parentScopes, 's2')",
        "array_contains(tags.list, 2)",
        "deviceId IN ['a', 'd\\'1']",
    ]);
    none_holds(&[
        "tags.n IN []",
        "tags.n NIN [5]",
        "tags.list IN [1]",
        "ARRAY_CONTAINS(tags.n, 5)",
    ]);
}

#[test]
fn built_in_names_are_found_in_any_case_and_user_keys_as_they_are() {
    all_hold(&[
        "DEVICEID = 'd\\'1'",
        "devices.status = 'enabled'",
        "Devices.Tags.n = 5",
        "capabilities.IOTEDGE = false",
        "tags.order = 1",
        "configurations.[[my-id]].status = 'Applied'",
    ]);
    none_holds(&["tags.N = 5"]);
}

#[test]
fn dates_compare_as_moments() {
    all_hold(&[
        "lastActivityTime > '2026-01-01T00:00:01Z'",
        "lastActivityTime < '2026-01-01T02:00:02+01:00'",
    ]);
}

#[test]
fn functions_have_any_case_and_a_number_of_arguments() {
    all_hold(&[
        "IS_DEFINED(tags.n)",
        "NOT is_defined(tags.x)",
        "STARTS_WITH(tags.text, 'A')",
        "startswith(deviceId, 'd')",
        "ENDS_WITH(tags.text, 'b')",
        "CONTAINS(tags.text, 'Ab')",
        "INDEX_OF(tags.text, 'b') = 1",
        "LENGTH('ü') = 1",
        "UPPER(tags.text) = 'AB'",
        "LOWER('Ü') = 'ü'",
        "CONCAT('a', 'b', 'c') = 'abc'",
        "SUBSTRING('abcd', 1, 2) = 'bc'",
        "SUBSTRING('abcd', 9) = ''",
        "ABS(-1) = 1",
        "CEILING(1.2) = 2",
        "FLOOR(-1.2) = -2",
        "SIGN(-3) = -1",
        "SIGN(0) = 0",
        "SQRT(9) = 3",
        "SQUARE(3) = 9",
        "POWER(2, 10) = 1024",
        "EXP(0) = 1",
        "IS_NULL(null)",
        "IS_BOOL(tags.yes)",
        "IS_NUMBER(tags.n)",
        "IS_STRING(tags.text)",
        "IS_ARRAY(tags.list)",
        "IS_OBJECT(tags.object)",
        "IS_PRIMITIVE(tags.n)",
    ]);
    none_holds(&[
        "STARTS_WITH(tags.n, 'A')",
        "SQRT(-1) = 0",
        "IS_NULL(tags.x)",
        "CONCAT('a', 1) = 'a1'",
    ]);
    for bad in [
        "IS_DEFINED()",
        "IS_DEFINED(a, b)",
        "NOSUCH(a)",
        "COUNT() = 1",
    ] {
        assert!(
            !is_query(&format!("SELECT * FROM devices WHERE {bad}")),
            "{bad}"
        );
    }
}

#[test]
fn only_two_functions_are_documented_for_twins() {
    let query = |call: &str| {
        let text = format!("SELECT * FROM devices WHERE {call}");
        parse(&text, Dialect::TwinFunctions).is_ok()
    };
    assert!(query("IS_DEFINED(tags.a)") && query("ARRAY_CONTAINS(tags.a, 1)"));
    assert!(!query("STARTS_WITH(deviceId, 'a')"));
}

#[test]
fn queries_have_their_parts_in_order() {
    for good in [
        "SELECT * FROM devices",
        "select top 3 * from Devices where tags.a = 1;",
        "SELECT deviceId, tags.a AS b FROM devices.modules",
        "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'",
        "SELECT COUNT() AS n FROM devices",
        "SELECT count(*) AS n, status FROM devices GROUP BY status",
        "SELECT tags.a FROM devices GROUP BY tags.a",
        "SELECT 1 + 1 AS two FROM devices",
    ] {
        assert!(is_query(good), "{good}");
    }
    for bad in [
        "",
        "SELECT",
        "SELECT * FROM",
        "SELECT * FROM nothing",
        "SELECT * devices",
        "SELECT * FROM devices WHERE",
        "SELECT * FROM devices ORDER BY deviceId",
        "SELECT * FROM devices JOIN x",
        "SELECT COUNT() FROM devices",
        "SELECT 1 FROM devices",
        "SELECT TOP x * FROM devices",
        "SELECT TOP 1.5 * FROM devices",
        "SELECT TOP -1 * FROM devices",
        "SELECT deviceId FROM devices GROUP BY status",
        "SELECT * FROM devices GROUP BY status",
        "SELECT deviceId FROM devices.jobs",
        "SELECT COUNT() AS n FROM devices.jobs",
        "SELECT * FROM devices WHERE a = = b",
        "SELECT * FROM devices WHERE a IN 'b'",
        "SELECT * FROM devices x y",
        "SELECT from FROM devices",
        "SELECT a AS select FROM devices",
        "DELETE FROM devices",
        "SELECT * FROM devices.nothing",
        "SELECT a. FROM devices",
    ] {
        assert!(!is_query(bad), "{bad}");
    }
}

#[test]
fn conditions_of_jobs_are_a_star_or_what_follows_where() {
    let condition = |text| parse_condition(text, Dialect::AllFunctions);
    assert_eq!(condition("*"), Ok((Source::Devices, None)));
    assert!(matches!(
        condition("deviceId IN ['a']"),
        Ok((Source::Devices, Some(_)))
    ));
    let modules = "FROM devices.modules WHERE moduleId = 'm'";
    assert!(matches!(condition(modules), Ok((Source::Modules, Some(_)))));
    for bad in [
        "",
        "* AND a",
        "WHERE a = 1",
        "FROM devices.jobs",
        "SELECT * FROM devices",
    ] {
        assert!(condition(bad).is_err(), "{bad}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let where_ = |condition: &str| is_query(&format!("SELECT * FROM devices WHERE {condition}"));
    assert!(where_(&format!("{}a{}", "(".repeat(40), ")".repeat(40))));
    for bad in [
        format!("{}a{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}a", "NOT ".repeat(1900)),
        format!("{}a = 1", "-".repeat(3000)),
        format!("1{} = 1", "+1".repeat(3000)),
        format!("a = {}1{}", "[".repeat(2000), "]".repeat(2000)),
        format!("{}1{}", "ABS(".repeat(1000), ")".repeat(1000)),
        format!("a = '{}'", "x".repeat(MAX_LENGTH)),
    ] {
        assert!(!where_(&bad), "{}", &bad[..40]);
    }
    assert!(where_(&format!("a{}", " OR a".repeat(1500))));
}

fn selected(text: &str) -> Vec<String> {
    let query = parse(text, Dialect::AllFunctions).unwrap();
    let rows = [
        json!({"deviceId": "a", "status": "enabled", "tags": {"n": 1, "x": {"y": 1}}}),
        json!({"deviceId": "b", "status": "enabled", "tags": {"n": 2}}),
        json!({"deviceId": "c", "status": "disabled", "tags": {"n": "text"}}),
    ]
    .map(Json);
    let ast::Select::Columns(columns) = &query.select else {
        panic!("no columns");
    };
    let rows = rows
        .iter()
        .filter(|row| is_true(query.filter.as_ref(), *row));
    if !query.select.aggregates() && query.group_by.is_empty() {
        return rows.map(|row| select::project(columns, row)).collect();
    }
    let mut groups = select::Groups::default();
    rows.for_each(|row| groups.add(&query, row));
    groups.finish(&query)
}

#[test]
fn columns_come_in_order_under_their_own_names_or_an_alias() {
    assert_eq!(
        selected("SELECT tags.n, DeviceId, tags.x.y AS deep FROM devices"),
        [
            r#"{"n":1,"deviceId":"a","deep":1}"#,
            r#"{"n":2,"deviceId":"b"}"#,
            r#"{"n":"text","deviceId":"c"}"#
        ]
    );
}

#[test]
fn aggregates_run_over_all_rows_or_over_groups() {
    assert_eq!(
        selected(
            "SELECT COUNT() AS all, SUM(tags.n) AS sum, AVG(tags.n) AS avg, MIN(tags.n) AS min, MAX(tags.n) AS max, COUNT(tags.x) AS x FROM devices"
        ),
        [r#"{"all":3,"sum":3,"avg":1.5,"min":1,"max":2,"x":1}"#]
    );
    assert_eq!(
        selected("SELECT status, COUNT() AS n FROM devices GROUP BY status"),
        [
            r#"{"status":"disabled","n":1}"#,
            r#"{"status":"enabled","n":2}"#
        ]
    );
    assert_eq!(
        selected("SELECT COUNT() AS n, AVG(tags.n) AS a FROM devices WHERE status = 'x'"),
        [r#"{"n":0}"#]
    );
    let none = selected("SELECT COUNT() AS n FROM devices WHERE false GROUP BY status");
    assert_eq!(none, [] as [&str; 0]);
}
