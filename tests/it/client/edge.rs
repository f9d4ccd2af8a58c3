//! Edge gateways, and the devices behind them.

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use iothub::{Hub, Identity, NewIdentity, Query, Twin};

use super::{Steps, id, new};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    create(steps).await;
    find(steps).await;
    change(steps).await;
    Ok(())
}

fn gateway(name: &str) -> Result<NewIdentity> {
    Ok(NewIdentity {
        iot_edge: true,
        ..new(name)?
    })
}

async fn read(hub: &Hub, name: &str) -> Result<Identity> {
    Ok(hub.device(&id(name)?).await?)
}

fn own_scope(identity: &Identity) -> Result<&str> {
    identity.device_scope().context("a scope")
}

/// The device is behind this gateway and no other.
fn is_behind(identity: &Identity, gateway: &Identity) -> Result<bool> {
    Ok(identity.parent_scopes().eq([own_scope(gateway)?]))
}

async fn create(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let made = hub.create_device(&gateway("gateway")?).await?;
        ensure!(made.is_edge() && own_scope(&made)?.starts_with("ms-azure-iot-edge://gateway-"));
        let modules = hub.modules(made.device_id()).await?;
        let mut names: Vec<&str> = modules.iter().map(|it| it.module_id().as_str()).collect();
        names.sort_unstable();
        ensure!(names == ["$edgeAgent", "$edgeHub"], "{names:?}");
        Ok(())
    };
    steps.step("create a gateway", go).await;
    let go = async |hub: &Hub| {
        let gateway = read(hub, "gateway").await?;
        let leaf = hub.create_device(&new("leaf")?.child_of(&gateway)?).await?;
        ensure!(leaf.device_scope() == gateway.device_scope() && is_behind(&leaf, &gateway)?);
        Ok(())
    };
    steps.step("create a device behind it", go).await;
    let go = async |hub: &Hub| {
        let upper = read(hub, "gateway").await?;
        let lower = gateway("lower")?.child_of(&upper)?;
        let lower = hub.create_device(&lower).await?;
        ensure!(is_behind(&lower, &upper)?);
        ensure!(own_scope(&lower)?.starts_with("ms-azure-iot-edge://lower-"));
        Ok(())
    };
    steps.step("create a gateway behind it", go).await;
}

async fn find(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let gateway = read(hub, "gateway").await?;
        let scope = own_scope(&gateway)?;
        let text = format!("SELECT * FROM devices WHERE ARRAY_CONTAINS(parentScopes, '{scope}')");
        let twins: Vec<Twin> = hub.query_twins(Query::new(text)?).try_collect().await?;
        let mut names: Vec<&str> = twins.iter().map(Twin::device_id).collect();
        names.sort_unstable();
        ensure!(names == ["leaf", "lower"], "{names:?}");
        Ok(())
    };
    steps.step("find what is behind it", go).await;
}

async fn change(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let moved = hub.set_parent(&id("leaf")?, &id("lower")?).await?;
        ensure!(is_behind(&moved, &read(hub, "lower").await?)?);
        Ok(())
    };
    steps.step("move to another gateway", go).await;
    let go = async |hub: &Hub| {
        for name in ["leaf", "lower"] {
            let mut identity = read(hub, name).await?;
            identity.clear_parent();
            hub.update_device(&identity).await?;
            let free = read(hub, name).await?;
            ensure!(free.parent_scopes().next().is_none(), "{name}");
            ensure!(free.device_scope().is_some() == (name == "lower"), "{name}");
        }
        Ok(())
    };
    steps.step("take from behind its gateway", go).await;
}
