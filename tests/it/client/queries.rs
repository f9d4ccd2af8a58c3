//! Queries for twins.

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use iothub::{Continuation, Hub, ItemType, Kind, NewModule, Query, Row, Status};
use serde_json::{Value, json};

use super::{Steps, id, new, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    prepare(&steps.hub).await?;
    pages(steps).await;
    fields(steps).await;
    conditions(steps).await;
    refusals(steps).await;
    Ok(())
}

fn name(number: usize) -> String {
    format!("device-{number:02}")
}

async fn prepare(hub: &Hub) -> Result<()> {
    for number in 0..25 {
        let mut device = new(&name(number))?;
        if number % 5 == 0 {
            device.status = Status::Disabled;
        }
        hub.create_device(&device).await?;
        let site = if number < 7 { "north" } else { "south" };
        let patch = json!({
            "tags": {"site": site, "number": number},
            "properties": {"desired": {"interval": number}},
        });
        hub.patch_twin(&device.device_id, &patch, None).await?;
    }
    let module = NewModule::new(id(&name(1))?, "module".parse()?);
    hub.create_module(&module).await?;
    Ok(())
}

async fn rows(hub: &Hub, text: &str) -> Result<Vec<Row>> {
    Ok(hub.query(Query::new(text)?).try_collect().await?)
}

/// The query must find the devices with these numbers.
async fn finds(hub: &Hub, condition: &str, wanted: impl Iterator<Item = usize>) -> Result<()> {
    let text = format!("SELECT * FROM devices WHERE {condition}");
    let twins = hub.query_twins(Query::new(text)?);
    let twins: Vec<iothub::Twin> = twins.try_collect().await?;
    let mut found: Vec<&str> = twins.iter().map(iothub::Twin::device_id).collect();
    found.sort_unstable();
    let wanted: Vec<String> = wanted.map(name).collect();
    ensure!(found == wanted, "{found:?}");
    Ok(())
}

async fn pages(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT * FROM devices")?.page_size(10)?;
        let (mut sizes, mut continuation) = (Vec::new(), None);
        loop {
            let page = hub.query_page(&query, continuation.as_ref()).await?;
            sizes.push(page.rows.len());
            continuation = page.continuation;
            if continuation.is_none() {
                break;
            }
        }
        ensure!(sizes == [10, 10, 5], "{sizes:?}");
        let twins: Vec<iothub::Twin> = hub.query_twins(query).try_collect().await?;
        ensure!(twins.len() == 25);
        Ok(())
    };
    steps.step("all twins in several pages", go).await;
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT * FROM devices")?;
        ensure!(hub.query_page(&query, None).await?.item_type == ItemType::Twin);
        Ok(())
    };
    steps.step("a page says what its rows are", go).await;
}

async fn fields(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let text = "SELECT deviceId, tags.number AS n FROM devices WHERE deviceId = 'device-03'";
        let rows = rows(hub, text).await?;
        let wanted = json!({"deviceId": "device-03", "n": 3});
        ensure!(
            rows.len() == 1 && Value::Object(rows[0].fields.clone()) == wanted,
            "{rows:?}"
        );
        Ok(())
    };
    steps.step("selected fields", go).await;
    let go = async |hub: &Hub| {
        let text = "SELECT tags.site AS site, COUNT() AS total FROM devices GROUP BY tags.site";
        let mut totals = Vec::new();
        for row in rows(hub, text).await? {
            let site = row.fields["site"].as_str().context("a site")?.to_owned();
            totals.push((site, row.fields["total"].as_u64()));
        }
        totals.sort();
        let wanted = [
            ("north".to_owned(), Some(7)),
            ("south".to_owned(), Some(18)),
        ];
        ensure!(totals == wanted, "{totals:?}");
        Ok(())
    };
    steps.step("totals", go).await;
}

async fn conditions(steps: &mut Steps) {
    let go = async |hub: &Hub| finds(hub, "tags.site = 'north'", 0..7).await;
    steps.step("by tags", go).await;
    let go = async |hub: &Hub| {
        let condition = "properties.desired.interval >= 20 AND NOT tags.number = 22";
        finds(hub, condition, [20, 21, 23, 24].into_iter()).await
    };
    steps.step("by desired properties", go).await;
    let go = async |hub: &Hub| finds(hub, "status = 'disabled'", (0..25).step_by(5)).await;
    steps.step("by status", go).await;
    let go = async |hub: &Hub| {
        let condition = "devices.deviceid IN ['device-03', 'device-20', 'nobody']";
        finds(hub, condition, [3, 20].into_iter()).await
    };
    steps.step("by a list of ids", go).await;
    let go = async |hub: &Hub| finds(hub, "NOT IS_DEFINED(tags.site)", 0..0).await;
    steps.step("by a function", go).await;
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT * FROM devices.modules")?;
        let twins: Vec<iothub::Twin> = hub.query_twins(query).try_collect().await?;
        ensure!(twins.len() == 1 && twins[0].device_id() == "device-01");
        ensure!(twins[0].module_id() == Some("module"));
        Ok(())
    };
    steps.step("modules", go).await;
}

async fn refusals(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT everything, please")?;
        refused(Kind::Invalid, hub.query_page(&query, None).await)
    };
    steps.step("bad text", go).await;
    let go = async |hub: &Hub| {
        let query = Query::new("SELECT * FROM devices")?.page_size(10)?;
        let made_up = Continuation::from_bytes(b"made-up")?;
        refused(Kind::Invalid, hub.query_page(&query, Some(&made_up)).await)
    };
    steps.step("a continuation that was made up", go).await;
}
