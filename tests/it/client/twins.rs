//! Twins of devices.

use anyhow::{Context as _, Result, ensure};
use iothub::{Hub, Kind, Twin};
use serde_json::{Map, Value, json};

use super::{OLD, Steps, UNKNOWN, id, new, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    steps.hub.create_device(&new("device")?).await?;
    read(steps).await;
    patch(steps).await;
    values(steps).await;
    versions(steps).await;
    replace(steps).await;
    limits(steps).await;
    Ok(())
}

async fn get(hub: &Hub) -> Result<Twin> {
    Ok(hub.twin(&id("device")?).await?)
}

async fn tag(hub: &Hub, tags: Value) -> Result<Twin> {
    Ok(hub
        .patch_twin(&id("device")?, &json!({"tags": tags}), None)
        .await?)
}

async fn desire(hub: &Hub, desired: Value) -> Result<iothub::Result<Twin>> {
    let patch = json!({"properties": {"desired": desired}});
    Ok(hub.patch_twin(&id("device")?, &patch, None).await)
}

/// A number inside so many objects.
fn levels(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({"a": inner}))
}

/// So many texts of 4000 bytes.
fn texts(count: usize) -> Value {
    let text = |number| (format!("key-{number}"), "x".repeat(4000).into());
    Value::Object((0..count).map(text).collect::<Map<_, _>>())
}

async fn read(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let twin = get(hub).await?;
        ensure!(twin.device_id() == "device" && twin.version() == Some(2));
        ensure!(twin.desired()["$version"] == 1 && twin.reported()["$version"] == 1);
        Ok(())
    };
    steps.step("read a new twin", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.twin(&id(UNKNOWN)?).await);
    steps.step("read what does not exist", go).await;
}

async fn patch(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        tag(hub, json!({"site": {"town": "Oslo", "floor": 2}})).await?;
        let twin = tag(hub, json!({"site": {"floor": 3}, "owner": "me"})).await?;
        let wanted = json!({"site": {"town": "Oslo", "floor": 3}, "owner": "me"});
        ensure!(twin.tags() == &wanted, "{}", twin.tags());
        Ok(())
    };
    steps.step("patch merges", go).await;
    let go = async |hub: &Hub| {
        let twin = tag(hub, json!({"owner": null, "site": {"floor": null}})).await?;
        ensure!(
            twin.tags() == &json!({"site": {"town": "Oslo"}}),
            "{}",
            twin.tags()
        );
        Ok(())
    };
    steps.step("patch with null removes", go).await;
}

async fn values(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let before = get(hub).await?;
        let after = desire(hub, json!({"interval": 5})).await??;
        let count = |twin: &Twin| twin.desired()["$version"].as_u64().context("a version");
        ensure!(after.version() == before.version().map(|version| version + 1));
        ensure!(count(&after)? == count(&before)? + 1 && after.etag() != before.etag());
        ensure!(
            after
                .desired()
                .pointer("/$metadata/interval/$lastUpdated")
                .is_some()
        );
        Ok(())
    };
    steps.step("patch counts versions", go).await;
    let go = async |hub: &Hub| {
        let kinds = json!({
            "text": "zwölf ⏱", "float": 1.5, "integer": 4_503_599_627_370_495_i64,
            "flag": false, "list": [1, "a", {"b": []}],
        });
        desire(hub, json!({"kinds": kinds})).await??;
        let twin = get(hub).await?.without_metadata();
        ensure!(twin.desired()["kinds"] == kinds, "{}", twin.desired());
        Ok(())
    };
    steps.step("patch keeps values of all kinds", go).await;
}

async fn versions(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let read = get(hub).await?;
        let patch = json!({"tags": {"step": 1}});
        let twin = hub.patch_twin(&id("device")?, &patch, read.etag()).await?;
        ensure!(twin.tags()["step"] == 1);
        Ok(())
    };
    steps.step("patch in this version", go).await;
    let go = async |hub: &Hub| {
        let patch = json!({"tags": {"step": 2}});
        let patched = hub.patch_twin(&id("device")?, &patch, Some(OLD)).await;
        refused(Kind::PreconditionFailed, patched)?;
        ensure!(get(hub).await?.tags()["step"] == 1);
        Ok(())
    };
    steps.step("patch in an old version", go).await;
}

async fn replace(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let edited = json!({"tags": {"only": 1}, "properties": {"desired": {"only": 2}}});
        let twin = hub.replace_twin(&id("device")?, &edited, None).await?;
        ensure!(twin.tags() == &json!({"only": 1}) && twin.desired()["only"] == 2);
        ensure!(twin.desired().get("interval").is_none());
        Ok(())
    };
    steps.step("replace", go).await;
    let go = async |hub: &Hub| {
        let edited = json!({"tags": {"only": 3}});
        let replaced = hub.replace_twin(&id("device")?, &edited, Some(OLD)).await;
        refused(Kind::PreconditionFailed, replaced)
    };
    steps.step("replace in an old version", go).await;
}

async fn limits(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let twin = desire(hub, json!({"deep": levels(9)})).await??;
        ensure!(twin.desired()["deep"].is_object());
        Ok(())
    };
    steps.step("ten levels are taken", go).await;
    for (name, desired) in [
        ("too many levels", json!({"deep": levels(11)})),
        ("a text that is too long", json!({"text": "x".repeat(4097)})),
        (
            "a number that is too large",
            json!({"number": 4_503_599_627_370_496_i64}),
        ),
    ] {
        let go = async |hub: &Hub| refused(Kind::Invalid, desire(hub, desired).await?);
        steps.step(name, go).await;
    }
    let go = async |hub: &Hub| {
        for key in ["a.b", "a b", "$a", "a#b"] {
            refused(Kind::Invalid, desire(hub, json!({key: 1})).await?)?;
        }
        Ok(())
    };
    steps.step("keys that are not allowed", go).await;
    let go = async |hub: &Hub| {
        refused(Kind::Invalid, desire(hub, texts(9)).await?)?;
        let patch = json!({"tags": texts(3)});
        refused(
            Kind::Invalid,
            hub.patch_twin(&id("device")?, &patch, None).await,
        )
    };
    steps.step("more than a twin holds", go).await;
}
