//! `get`, `set` and `patch`, of devices and modules.

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use serde_json::{Value, json};

use super::BackEnd;
use crate::stage::Stage;

#[tokio::test]
async fn set_replaces_patch_merges_and_neither_touches_what_it_does_not_name() -> Result<()> {
    let stage = Stage::with_devices("twin-edits", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let set =
        r#"{"desired":{"rate":1.10,"big":4503599627370495,"deep":{"a":1,"b":[1,{"c":2.50}]}}}"#;
    back_end.done("set.=.d1", set).await?;
    let patch = r#"{"desired":{"deep":{"a":null,"d":true}},"tags":{"site":"north"}}"#;
    back_end.done("patch.=.d1", patch).await?;
    let message = back_end.send("get.=.d1", "", HeaderMap::new()).await?;
    let text = String::from_utf8(message.payload.to_vec())?;
    for part in ["1.10", "4503599627370495", "2.50"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('$'), "{text}");
    let twin: Value = serde_json::from_str(&text)?;
    let deep = json!({"b": [1, {"c": serde_json::from_str::<Value>("2.50")?}], "d": true});
    assert_eq!(twin["desired"]["deep"], deep);
    assert_eq!(twin["tags"], json!({"mender": true, "site": "north"}));

    let replaced = back_end.done("set.=.d1", r#"{"desired":{"x":1}}"#).await?;
    assert_eq!(replaced["desired"], json!({"x": 1}));
    assert_eq!(replaced["tags"], twin["tags"], "set leaves tags alone");
    let without = back_end
        .done("patch.=.d1", r#"{"tags":{"site":null}}"#)
        .await?;
    assert_eq!(without["tags"], json!({"mender": true}));
    assert_eq!(without["desired"], json!({"x": 1}));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_edit_of_an_outdated_twin_is_refused_with_the_etag_of_the_present_one() -> Result<()> {
    let stage = Stage::with_devices("twin-etags", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let first = back_end.done("set.=.d1", r#"{"desired":{"a":1}}"#).await?;
    let second = back_end.done("patch.=.d1", r#"{"tags":{"b":2}}"#).await?;
    for (verb, body) in [
        ("set", json!({"desired": {}, "etag": first["etag"]})),
        ("patch", json!({"desired": {"a": 3}, "etag": first["etag"]})),
    ] {
        let tail = format!("{verb}.=.d1");
        let message = back_end
            .send(&tail, &body.to_string(), HeaderMap::new())
            .await?;
        let headers = message.headers.as_ref().context("no headers")?;
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(
            header("Nats-Service-Error-Code").as_deref(),
            Some("409"),
            "{verb}"
        );
        assert_eq!(
            header("Iothub-Etag").as_deref(),
            second["etag"].as_str(),
            "{verb}"
        );
    }
    assert_eq!(
        back_end.done("get.=.d1", "").await?,
        second,
        "nothing was harmed"
    );
    let body = json!({"desired": {"a": 3}, "etag": second["etag"]}).to_string();
    let third = back_end.done("set.=.d1", &body).await?;
    assert_eq!(
        (&third["desired"], &third["tags"]),
        (&json!({"a": 3}), &second["tags"])
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn modules_have_twins_of_their_own() -> Result<()> {
    let stage = Stage::with_devices("twin-modules", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    super::queries::make_module(&stage, "d1", "camera").await?;
    back_end
        .done("set.=.d1.camera", r#"{"desired":{"fps":5}}"#)
        .await?;
    let patched = back_end
        .done(
            "patch.=.d1.camera",
            r#"{"desired":{"zoom":2},"tags":{"lens":"wide"}}"#,
        )
        .await?;
    assert_eq!(patched["desired"], json!({"fps": 5, "zoom": 2}));
    let module = back_end.done("get.=.d1.camera", "").await?;
    assert_eq!(module, patched);
    let device = back_end.done("get.=.d1", "").await?;
    assert_eq!(
        device["desired"],
        json!({}),
        "the device's own twin is another"
    );
    let outdated = json!({"desired": {}, "etag": "AAAAAAAAAAA="}).to_string();
    back_end.refused("set.=.d1.camera", &outdated, 409).await?;
    back_end.refused("get.=.d1.nothing", "", 404).await?;
    back_end.refused("get.=.d1.=2F", "", 400).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn what_the_hub_would_refuse_is_refused_with_its_place_and_without_a_hub_call() -> Result<()>
{
    let stage = Stage::with_devices("twin-limits", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let asked = stage.hub.journal().await?.len();
    let deep = (0..11).fold(json!(1), |inner, _| json!({ "o": inner }));
    let large: Value = (0..9)
        .map(|n| (format!("k{n}"), json!("x".repeat(4000))))
        .collect();
    for (verb, body, code, place) in [
        (
            "set",
            json!({"desired": {"a": {"$version": 1}}}),
            400,
            "desired.a.$version",
        ),
        (
            "patch",
            json!({"tags": {"a": [{"$metadata": {}}]}}),
            400,
            "tags.a[0].$metadata",
        ),
        (
            "set",
            json!({"desired": {"a": {"b.c": 1}}}),
            400,
            "desired.a.b.c",
        ),
        (
            "patch",
            json!({"desired": {"a": [null]}}),
            400,
            "desired.a[0]",
        ),
        ("set", json!({"desired": {"a": null}}), 400, "desired.a"),
        (
            "set",
            json!({"desired": {"n": 4_503_599_627_370_496_i64}}),
            400,
            "desired.n",
        ),
        (
            "set",
            json!({"desired": {"s": "x".repeat(4097)}}),
            400,
            "desired.s",
        ),
        ("set", json!({"desired": {"o": deep}}), 400, "desired.o.o"),
        ("set", json!({"desired": large}), 413, "desired"),
        ("patch", json!({"tags": large}), 413, "tags"),
        (
            "set",
            json!({"desired": {"s": "x".repeat(70_000)}}),
            413,
            "64 KiB",
        ),
        ("set", json!({"desierd": {}}), 400, "desired"),
        ("set", json!({"desired": {}, "etag": "*"}), 400, "etag"),
    ] {
        let text = back_end
            .refused(&format!("{verb}.=.d1"), &body.to_string(), code)
            .await?;
        assert!(text.contains(place), "{place} in {text}");
    }
    for tail in ["get.=.=2E=2E", "get.=.a=3Bb", "get.=zz.d1", "get.=.=.d1"] {
        back_end.refused(tail, "", 400).await?;
    }
    assert_eq!(
        stage.hub.journal().await?.len(),
        asked,
        "the hub was not asked"
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn only_a_tenants_own_devices_have_twins() -> Result<()> {
    let stage = Stage::with_devices("twin-own", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    stage.tenant("t2").await?;
    stage.accept(&["t2.theirs".to_owned()]).await?;
    stage.hub.put_device("foreign", &json!({})).await?;
    // An event about somebody else's device makes a record, but not an own device.
    stage
        .accept(&["=.foreign".to_owned(), "=.theirs".to_owned()])
        .await?;
    let asked = stage.hub.journal().await?.len();
    for device in ["foreign", "theirs", "nobody"] {
        for (verb, body) in [
            ("get", "{}"),
            ("set", r#"{"desired":{"a":1}}"#),
            ("patch", r#"{"desired":{"a":1}}"#),
            ("method", r#"{"name":"reboot"}"#),
        ] {
            let text = back_end
                .refused(&format!("{verb}.=.{device}"), body, 404)
                .await?;
            assert_eq!(text, "no such device");
        }
    }
    assert_eq!(
        stage.hub.journal().await?.len(),
        asked,
        "the hub was not asked"
    );
    back_end.done("get.t2.theirs", "").await?;
    let text = back_end.refused("get.t3.d1", "", 404).await?;
    assert_eq!(text, "the tenant has no integration");
    stage.dir.passed();
    Ok(())
}
