//! `query`: a tenant sees its own devices, whatever it asks.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::BackEnd;
use crate::stage::Stage;

/// Two tenants and a stranger in one hub.
async fn shared(name: &str) -> Result<(Stage, BackEnd)> {
    let stage = Stage::with_devices(name, &["a1", "a2", "a3"]).await?;
    stage.tenant("b").await?;
    stage.accept(&["b.b1", "b.b2"].map(str::to_owned)).await?;
    let tags = json!({"tags": {"site": "north"}});
    stage.hub.put_device("stranger", &tags).await?;
    for device in ["a1", "a3", "b1"] {
        stage.hub.put_device(device, &tags).await?;
    }
    let back_end = BackEnd::of(&stage).await?;
    Ok((stage, back_end))
}

fn devices(page: &Value) -> Vec<String> {
    let twins = page["twins"].as_array().into_iter().flatten();
    twins
        .map(|found| found["device"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// All that a query finds, page by page, and the number of pages.
async fn all(
    back_end: &BackEnd,
    tenant: &str,
    query: &str,
    size: u64,
) -> Result<(Vec<Value>, usize)> {
    let (mut found, mut pages, mut after) = (Vec::new(), 0, Value::Null);
    loop {
        let body = json!({"query": query, "page_size": size, "continuation": after}).to_string();
        let page = back_end.done(&format!("query.{tenant}"), &body).await?;
        found.extend(page["twins"].as_array().context("no twins")?.clone());
        pages += 1;
        after = page["continuation"].clone();
        if after.is_null() {
            return Ok((found, pages));
        }
    }
}

#[tokio::test]
async fn a_query_finds_the_tenants_own_devices_page_by_page() -> Result<()> {
    let (stage, back_end) = shared("twin-query").await?;
    let north = "SELECT * FROM devices WHERE tags.site = 'north'";
    let page = back_end
        .done("query.=", &json!({"query": north}).to_string())
        .await?;
    assert_eq!(devices(&page), ["a1", "a3"]);
    assert_eq!(page["continuation"], Value::Null);
    assert!(!page.to_string().contains('$'), "{page}");
    let page = back_end
        .done("query.b", &json!({"query": north}).to_string())
        .await?;
    assert_eq!(devices(&page), ["b1"]);
    let page = back_end.done("query.=", "").await?;
    assert_eq!(devices(&page), ["a1", "a2", "a3"]);

    let (found, pages) = all(&back_end, "=", "SELECT * FROM devices", 1).await?;
    let ids: BTreeSet<_> = found
        .iter()
        .map(|found| found["device"].to_string())
        .collect();
    assert_eq!((found.len(), ids.len(), pages), (3, 3, 3));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn no_query_shows_or_counts_what_is_somebody_elses() -> Result<()> {
    let (stage, back_end) = shared("twin-hostile").await?;
    let asked = stage.hub.journal().await?.len();
    for query in [
        "SELECT COUNT() AS n FROM devices",
        "SELECT deviceId FROM devices",
        "SELECT TOP 1 * FROM devices",
        "SELECT * FROM devices.jobs",
        "SELECT * FROM devices GROUP BY tags.site",
        "SELECT * FROM devices WHERE 1 = 1) OR (1 = 1",
        "SELECT * FROM devices WHERE tags.site = 'x\\') OR (1 = 1 OR tags.a = \\''",
        "SELECT * FROM devices WHERE 1 = 1 -- ",
        "SELECT * FROM devices WHERE 1 = 1 GROUP BY deviceId",
        "SELECT * FROM devices WHERE tags.a IN ['x'] OR 1 = 1)",
    ] {
        back_end
            .refused("query.=", &json!({"query": query}).to_string(), 400)
            .await?;
    }
    assert_eq!(
        stage.hub.journal().await?.len(),
        asked,
        "the hub was not asked"
    );
    for query in [
        "SELECT * FROM devices WHERE deviceId = 'b1'",
        "SELECT * FROM devices WHERE deviceId IN ['b1', 'b2', 'stranger'] OR deviceId = 'stranger'",
        "SELECT * FROM devices WHERE NOT (deviceId IN ['a1', 'a2', 'a3'])",
    ] {
        let body = json!({"query": query, "page_size": 1}).to_string();
        let page = back_end.done("query.=", &body).await?;
        // Neither a row nor a further page: that one matches cannot be told from none.
        assert_eq!(page, json!({"twins": []}), "{query}");
    }
    let everything = "SELECT * FROM devices WHERE 1 = 1 OR deviceId != 'a1'";
    let page = back_end
        .done("query.=", &json!({"query": everything}).to_string())
        .await?;
    assert_eq!(devices(&page), ["a1", "a2", "a3"]);
    // Places name devices of the tenant that asks, whatever is written there.
    for (place, rest) in [
        ("a1", &["a2", "a3"][..]),
        ("b1", &[]),
        ("Zz", &["a1", "a2", "a3"]),
    ] {
        let page = back_end
            .done("query.=", &json!({"continuation": place}).to_string())
            .await?;
        assert_eq!(devices(&page), rest, "{place}");
    }
    back_end
        .refused("query.=", r#"{"continuation":"b.b1.x"}"#, 400)
        .await?;
    back_end.refused("query.c", "", 404).await?;
    stage.dir.passed();
    Ok(())
}

/// Makes a module by way of the hub's own API, which the control port does not offer.
pub(super) async fn make_module(stage: &Stage, device: &str, module: &str) -> Result<()> {
    let connection: iothub::ConnectionString = stage.hub.connection_string().parse()?;
    let options = iothub::Options {
        extra_root_pem: Some(std::fs::read(stage.hub.ca_file())?),
        ..iothub::Options::default()
    };
    let allowed = iothub::AllowedHosts::new(&[stage.hub.hub().to_owned()])?;
    let host = allowed.check(connection.host())?;
    let hub = iothub::Hub::new(host, connection.credential()?, options)?;
    let new = iothub::NewModule::new(device.parse()?, module.parse()?);
    hub.create_module(&new).await?;
    Ok(())
}

#[tokio::test]
async fn modules_are_found_with_their_devices_also_in_small_pages() -> Result<()> {
    let (stage, back_end) = shared("twin-query-modules").await?;
    for (device, module) in [
        ("a1", "m1"),
        ("a1", "m2"),
        ("a1", "m3"),
        ("a3", "m1"),
        ("b1", "m1"),
    ] {
        make_module(&stage, device, module).await?;
    }
    let (found, _) = all(&back_end, "=", "SELECT * FROM devices.modules", 2).await?;
    let ids: Vec<_> = found
        .iter()
        .map(|found| format!("{}/{}", found["device"], found["module"]).replace('"', ""))
        .collect();
    assert_eq!(ids, ["a1/m1", "a1/m2", "a1/m3", "a3/m1"]);
    stage.dir.passed();
    Ok(())
}
