//! Many changes in one call.

use anyhow::{Context as _, Result, ensure};
use iothub::{BulkItem, Hub, Identity, ItemOutcome, Kind, Status};
use serde_json::json;

use super::{OLD, Steps, UNKNOWN, id, new, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    create(steps).await;
    change(steps).await;
    delete(steps).await;
    let go = async |hub: &Hub| {
        let edit = json!({"tags": {"site": "north"}});
        let item = BulkItem::update_twin(&id("device-9")?, &edit, None)?;
        ensure!(failures(hub, &[item]).await?.is_empty());
        ensure!(hub.twin(&id("device-9")?).await?.tags() == &json!({"site": "north"}));
        Ok(())
    };
    steps.step("edit twins", go).await;
    let go = async |hub: &Hub| {
        refused(Kind::Invalid, hub.bulk(&creations("more", 101)?).await)?;
        refused(Kind::NotFound, hub.device(&id("more-0")?).await)
    };
    steps.step("too many", go).await;
    Ok(())
}

fn creations(name: &str, count: usize) -> Result<Vec<BulkItem>> {
    let item = |number| Ok(BulkItem::create(&new(&format!("{name}-{number}"))?)?);
    (0..count).map(item).collect()
}

/// The positions of the items that failed, with the kinds of their errors.
async fn failures(hub: &Hub, items: &[BulkItem]) -> Result<Vec<(usize, Kind)>> {
    let outcome = hub.bulk(items).await?;
    ensure!(outcome.unassigned().is_empty(), "{outcome:?}");
    let mut failures = Vec::new();
    for (position, item) in outcome.items().iter().enumerate() {
        match item {
            ItemOutcome::Applied => {}
            ItemOutcome::Failed(error) => failures.push((position, error.kind())),
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(failures)
}

async fn disabled(hub: &Hub, device: &str) -> Result<Identity> {
    let mut device = hub.device(&id(device)?).await?;
    device.set_status(Status::Disabled);
    Ok(device)
}

async fn is_disabled(hub: &Hub, device: &str) -> Result<bool> {
    Ok(hub.device(&id(device)?).await?.status() == Some(Status::Disabled))
}

async fn create(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        ensure!(failures(hub, &creations("device", 100)?).await?.is_empty());
        ensure!(hub.device(&id("device-99")?).await?.primary_key().is_some());
        Ok(())
    };
    steps.step("create many", go).await;
    let go = async |hub: &Hub| {
        let items = [
            BulkItem::create(&new("new")?)?,
            BulkItem::create(&new("device-1")?)?,
            BulkItem::delete_any_version(&id(UNKNOWN)?),
        ];
        let failures = failures(hub, &items).await?;
        ensure!(
            failures == [(1, Kind::AlreadyExists), (2, Kind::NotFound)],
            "{failures:?}"
        );
        hub.device(&id("new")?).await?;
        Ok(())
    };
    steps.step("mixed outcomes", go).await;
}

async fn change(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let items = [
            BulkItem::update_any_version(&disabled(hub, "device-1").await?)?,
            BulkItem::update(&disabled(hub, "device-2").await?)?,
        ];
        ensure!(failures(hub, &items).await?.is_empty());
        ensure!(is_disabled(hub, "device-1").await? && is_disabled(hub, "device-2").await?);
        Ok(())
    };
    steps.step("update many", go).await;
    let go = async |hub: &Hub| {
        let old = disabled(hub, "device-4").await?;
        let mut newer = hub.device(&id("device-4")?).await?;
        newer.set_status_reason(Some("newer"));
        hub.update_device(&newer).await?;
        let items = [
            BulkItem::update(&disabled(hub, "device-3").await?)?,
            BulkItem::update(&old)?,
        ];
        let failures = failures(hub, &items).await?;
        ensure!(failures == [(1, Kind::PreconditionFailed)], "{failures:?}");
        ensure!(is_disabled(hub, "device-3").await? && !is_disabled(hub, "device-4").await?);
        Ok(())
    };
    steps.step("update some in an old version", go).await;
}

async fn delete(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let good = hub.device(&id("device-5")?).await?;
        let items = [
            BulkItem::delete(good.device_id(), good.etag().context("an etag")?)?,
            BulkItem::delete(&id("device-6")?, OLD)?,
        ];
        let failures = failures(hub, &items).await?;
        ensure!(failures == [(1, Kind::PreconditionFailed)], "{failures:?}");
        refused(Kind::NotFound, hub.device(&id("device-5")?).await)
    };
    steps.step("delete some in an old version", go).await;
    let go = async |hub: &Hub| {
        let items =
            ["device-7", "device-8"].map(|it| id(it).map(|it| BulkItem::delete_any_version(&it)));
        let items: Vec<BulkItem> = items.into_iter().collect::<Result<_>>()?;
        ensure!(failures(hub, &items).await?.is_empty());
        refused(Kind::NotFound, hub.device(&id("device-7")?).await)
    };
    steps.step("delete many", go).await;
}
