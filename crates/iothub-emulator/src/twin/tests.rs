//! The rules of merging and replacing, each as one sentence.

use serde_json::json;

use super::*;

const THEN: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);
const NOW: Ticks = Ticks::from_unix_micros(1_767_225_601_000_000);

fn draft(body: &Value) -> TwinDraft {
    TwinDraft::parse(body.to_string().as_bytes()).unwrap()
}

fn desired(section: &Value) -> TwinDraft {
    draft(&json!({"properties": {"desired": section}}))
}

fn twin(section: &Value) -> Twin {
    let mut twin = Twin::new(THEN);
    twin.patch(&desired(section), THEN).unwrap();
    twin
}

#[track_caller]
fn merges(before: &Value, patch: &Value, after: &Value) {
    let mut twin = twin(before);
    twin.patch(&desired(patch), NOW).unwrap();
    assert_eq!(Value::Object(twin.desired.values), *after);
}

#[test]
fn objects_merge_while_scalars_and_arrays_replace() {
    merges(
        &json!({"a": {"b": 1, "c": 2}}),
        &json!({"a": {"b": 3}}),
        &json!({"a": {"b": 3, "c": 2}}),
    );
    merges(
        &json!({"a": [1, 2]}),
        &json!({"a": [3]}),
        &json!({"a": [3]}),
    );
    merges(&json!({"a": {"b": 1}}), &json!({"a": 1}), &json!({"a": 1}));
    merges(
        &json!({"a": 1}),
        &json!({"a": {"b": 1}}),
        &json!({"a": {"b": 1}}),
    );
}

#[test]
fn null_removes_a_key_and_leaves_an_empty_object_behind() {
    merges(
        &json!({"a": {"b": 1}}),
        &json!({"a": {"b": null}}),
        &json!({"a": {}}),
    );
    merges(
        &json!({"a": 1}),
        &json!({"a": null, "never": null}),
        &json!({}),
    );
    merges(&json!({}), &json!({"a": {"b": null}}), &json!({"a": {}}));
    merges(&json!({}), &json!({"a": {}}), &json!({"a": {}}));
}

#[test]
fn big_and_odd_numbers_keep_their_digits() {
    let body = br#"{"properties":{"desired":{"n":4503599627370495,"f":1.10}}}"#;
    let mut twin = Twin::new(THEN);
    twin.patch(&TwinDraft::parse(body).unwrap(), NOW).unwrap();
    let text = serde_json::to_string(&twin.desired.values).unwrap();
    assert_eq!(text, r#"{"f":1.10,"n":4503599627370495}"#);
}

#[test]
fn a_write_moves_etag_version_and_only_the_section_it_names() {
    let mut twin = Twin::new(THEN);
    assert!(twin.patch(&draft(&json!({"tags": {"a": 1}})), NOW).unwrap());
    assert_eq!(
        (twin.etag, twin.etag.version()),
        (TwinEtag::FIRST.next(), 3)
    );
    assert_eq!((twin.desired.version, twin.reported.version), (1, 1));
    twin.patch(&desired(&json!({"a": 1})), NOW).unwrap();
    assert_eq!((twin.desired.version, twin.reported.version), (2, 1));
}

#[test]
fn a_patch_that_names_no_section_writes_nothing() {
    let mut twin = Twin::new(THEN);
    let whole = json!({"deviceId": "d", "etag": "x", "version": 9, "status": "disabled",
        "properties": {"reported": {"a": 1}}});
    assert!(!twin.patch(&draft(&whole), NOW).unwrap());
    assert_eq!(twin.etag, TwinEtag::FIRST);
    assert!(twin.reported.values.is_empty());
}

#[test]
fn metadata_and_version_sent_back_by_a_caller_are_ignored() {
    merges(
        &json!({}),
        &json!({"a": 1, "$metadata": {"a": {}}, "$version": 7}),
        &json!({"a": 1}),
    );
}

#[test]
fn metadata_marks_what_was_written_and_the_way_there() {
    let mut twin = twin(&json!({"a": {"b": 1, "c": 2}, "d": [1]}));
    twin.patch(&desired(&json!({"a": {"b": 3}, "d": null})), NOW)
        .unwrap();
    let text = serde_json::to_string(&twin.desired.metadata).unwrap();
    assert_eq!(
        text,
        r#"{"$lastUpdated":"2026-01-01T00:00:01Z","$lastUpdatedVersion":3,"a":{"$lastUpdated":"2026-01-01T00:00:01Z","$lastUpdatedVersion":3,"b":{"$lastUpdated":"2026-01-01T00:00:01Z","$lastUpdatedVersion":3},"c":{"$lastUpdated":"2026-01-01T00:00:00Z","$lastUpdatedVersion":2}}}"#
    );
}

#[test]
fn metadata_of_an_untouched_section_has_no_version() {
    let text = serde_json::to_string(&Twin::new(THEN).reported.metadata).unwrap();
    assert_eq!(text, r#"{"$lastUpdated":"2026-01-01T00:00:00Z"}"#);
}

#[test]
fn a_put_replaces_tags_and_desired_and_drops_what_it_leaves_out() {
    let mut twin = twin(&json!({"a": 1, "b": 2}));
    twin.patch(&draft(&json!({"tags": {"t": 1}})), THEN)
        .unwrap();
    twin.replace(&desired(&json!({"b": 3})), NOW).unwrap();
    assert_eq!(Value::Object(twin.desired.values.clone()), json!({"b": 3}));
    assert!(twin.tags.is_empty());
    assert_eq!(twin.desired.version, 3);
    assert!(
        !serde_json::to_string(&twin.desired.metadata)
            .unwrap()
            .contains("\"a\"")
    );
}

#[test]
fn a_put_with_null_and_an_edit_over_a_limit_leave_the_twin_as_it_was() {
    let mut twin = twin(&json!({"a": 1}));
    let before = twin.etag;
    assert_eq!(
        twin.replace(&desired(&json!({"a": null})), NOW)
            .unwrap_err()
            .status,
        400
    );
    let both = draft(&json!({"tags": {"ok": 1}, "properties": {"desired": {"a": [null]}}}));
    assert_eq!(twin.patch(&both, NOW).unwrap_err().status, 400);
    assert_eq!(twin.etag, before);
    assert!(twin.tags.is_empty());
}

#[test]
fn sizes_are_judged_after_merging() {
    let chunk = |key: &str| draft(&json!({"tags": { key: "x".repeat(4000) }}));
    let mut twin = Twin::new(THEN);
    twin.patch(&chunk("a"), NOW).unwrap();
    twin.patch(&chunk("b"), NOW).unwrap();
    assert_eq!(twin.patch(&chunk("c"), NOW).unwrap_err().status, 400);
    twin.patch(
        &draft(&json!({"tags": {"a": null, "c": "x".repeat(4000)}})),
        NOW,
    )
    .unwrap();
}

#[test]
fn bodies_of_the_wrong_shape_are_refused() {
    for body in [
        "",
        "[]",
        "{\"tags\":[]}",
        "{\"properties\":{\"desired\":1}}",
        "nonsense",
    ] {
        assert_eq!(
            TwinDraft::parse(body.as_bytes()).unwrap_err().status,
            400,
            "{body}"
        );
    }
}
