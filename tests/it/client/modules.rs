//! Modules of devices, and their twins.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use iothub::{Authentication, DeviceKeys, Hub, Kind, ModuleId, NewModule, Secret};
use serde_json::json;

use super::{KEYS, OLD, Steps, UNKNOWN, id, new, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    steps.hub.create_device(&new("device")?).await?;
    create(steps).await;
    create_badly(steps).await;
    read(steps).await;
    update(steps).await;
    twins(steps).await;
    replace(steps).await;
    delete(steps).await;
    Ok(())
}

fn module(device: &str, module: &str) -> Result<NewModule> {
    Ok(NewModule::new(id(device)?, named(module)?))
}

fn named(module: &str) -> Result<ModuleId> {
    module.parse().context("an id")
}

async fn create(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let mut new = module("device", "generated")?;
        new.managed_by = Some("somebody".to_owned());
        let created = hub.create_module(&new).await?;
        ensure!(created.module_id() == &new.module_id && created.managed_by() == Some("somebody"));
        ensure!(created.primary_key().is_some() && created.etag().is_some());
        Ok(())
    };
    steps.step("create with keys of the hub's making", go).await;
    let go = async |hub: &Hub| {
        let mut new = module("device", "keys")?;
        let [primary, secondary] = KEYS.map(Secret::from);
        new.authentication = Authentication::Keys(DeviceKeys::new(primary, secondary)?);
        let key = hub
            .create_module(&new)
            .await?
            .primary_key()
            .context("a key")?;
        ensure!(key.expose() == KEYS[0]);
        Ok(())
    };
    steps.step("create with own keys", go).await;
    let go = async |hub: &Hub| {
        let mut new = module("device", "x509")?;
        new.authentication = Authentication::SelfSigned {
            primary: "A".repeat(40).parse()?,
            secondary: Some("B".repeat(40).parse()?),
        };
        hub.create_module(&new).await?;
        let read = hub.module(&id("device")?, &named("x509")?).await?;
        let authentication = read.field("authentication").context("a field")?;
        ensure!(authentication["x509Thumbprint"]["primaryThumbprint"] == "A".repeat(40));
        Ok(())
    };
    steps.step("create with thumbprints", go).await;
}

async fn create_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let again = hub.create_module(&module("device", "keys")?).await;
        refused(Kind::AlreadyExists, again)
    };
    steps.step("create what exists", go).await;
    let go = async |hub: &Hub| {
        // So it is with shared access signatures; with Entra ID it would be 404.
        let created = hub.create_module(&module(UNKNOWN, "m")?).await;
        refused(Kind::Unauthorized, created)
    };
    steps
        .step("create on a device that does not exist", go)
        .await;
}

async fn read(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let read = hub.module(&id("device")?, &named("keys")?).await?;
        ensure!(read.secondary_key().context("a key")?.expose() == KEYS[1]);
        Ok(())
    };
    steps.step("read", go).await;
    let go = async |hub: &Hub| {
        let read = hub.module(&id("device")?, &named(UNKNOWN)?).await;
        refused(Kind::NotFound, read)
    };
    steps.step("read what does not exist", go).await;
    let go = async |hub: &Hub| {
        let modules = hub.modules(&id("device")?).await?;
        let found: BTreeSet<&str> = modules.iter().map(|it| it.module_id().as_str()).collect();
        ensure!(found == ["generated", "keys", "x509"].into(), "{found:?}");
        Ok(())
    };
    steps.step("list", go).await;
}

async fn update(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let mut read = hub.module(&id("device")?, &named("keys")?).await?;
        let etag = read.etag().map(str::to_owned);
        read.set_managed_by(Some("me"));
        let updated = hub.update_module(&read).await?;
        ensure!(updated.managed_by() == Some("me") && updated.etag() != etag.as_deref());
        Ok(())
    };
    steps.step("update", go).await;
    let go = async |hub: &Hub| {
        let mut old = hub.module(&id("device")?, &named("keys")?).await?;
        hub.update_module(&old).await?;
        old.set_managed_by(Some("you"));
        refused(Kind::PreconditionFailed, hub.update_module(&old).await)
    };
    steps.step("update in an old version", go).await;
}

async fn twins(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let twin = hub.module_twin(&id("device")?, &named("keys")?).await?;
        ensure!((twin.device_id(), twin.module_id()) == ("device", Some("keys")));
        Ok(())
    };
    steps.step("read the twin", go).await;
    let go = async |hub: &Hub| {
        let (device, module) = (id("device")?, named("keys")?);
        let read = hub.module_twin(&device, &module).await?;
        let patch = json!({"tags": {"site": "north"}, "properties": {"desired": {"interval": 5}}});
        let twin = hub
            .patch_module_twin(&device, &module, &patch, read.etag())
            .await?;
        ensure!(twin.tags() == &json!({"site": "north"}) && twin.desired()["interval"] == 5);
        Ok(())
    };
    steps.step("patch the twin", go).await;
    let go = async |hub: &Hub| {
        let patch = json!({"tags": {"a": 1}});
        let (device, module) = (id("device")?, named("keys")?);
        let patched = hub.patch_module_twin(&device, &module, &patch, Some(OLD));
        refused(Kind::PreconditionFailed, patched.await)
    };
    steps.step("patch the twin in an old version", go).await;
}

async fn replace(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let edited = json!({"properties": {"desired": {"only": true}}});
        let (device, module) = (id("device")?, named("keys")?);
        let replaced = hub.replace_module_twin(&device, &module, &edited, None);
        let twin = replaced.await?.without_metadata();
        ensure!(
            twin.tags()
                .as_object()
                .is_none_or(serde_json::Map::is_empty)
        );
        ensure!(twin.desired()["only"] == true && twin.desired().get("interval").is_none());
        Ok(())
    };
    steps.step("replace the twin", go).await;
}

async fn delete(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let deleted = hub
            .delete_module(&id("device")?, &named("keys")?, OLD)
            .await;
        refused(Kind::PreconditionFailed, deleted)
    };
    steps.step("delete in an old version", go).await;
    let go = async |hub: &Hub| {
        let (device, module) = (id("device")?, named("keys")?);
        let read = hub.module(&device, &module).await?;
        hub.delete_module(&device, &module, read.etag().context("an etag")?)
            .await?;
        refused(Kind::NotFound, hub.module(&device, &module).await)
    };
    steps.step("delete", go).await;
    let go = async |hub: &Hub| {
        let deleted = hub
            .delete_module(&id("device")?, &named(UNKNOWN)?, OLD)
            .await;
        refused(Kind::NotFound, deleted)
    };
    steps.step("delete what does not exist", go).await;
}
