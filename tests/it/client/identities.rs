//! The life of device identities.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use iothub::{Authentication, DeviceKeys, Hub, Identity, Kind, NewIdentity, Secret, Status};
use serde_json::json;

use super::{KEYS, OLD, Steps, UNKNOWN, id, new, refused};

const ODD: &str = "odd#%25:id_(1)+*!',=@;$?";

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    create(steps).await;
    create_badly(steps).await;
    update(steps).await;
    update_badly(steps).await;
    count(steps).await;
    delete(steps).await;
    Ok(())
}

fn keys() -> Result<Authentication> {
    let [primary, secondary] = KEYS.map(Secret::from);
    Ok(Authentication::Keys(DeviceKeys::new(primary, secondary)?))
}

fn primary(identity: &Identity) -> Result<String> {
    let key = identity.primary_key().context("a key")?;
    Ok(key.expose().to_owned())
}

async fn create(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let device = hub.create_device(&new("generated")?).await?;
        ensure!(
            device.device_id() == &id("generated")? && device.status() == Some(Status::Enabled)
        );
        let secondary = device.secondary_key().context("a key")?;
        ensure!(primary(&device)?.len() >= 24 && primary(&device)? != secondary.expose());
        ensure!(device.etag().is_some() && device.generation_id().is_some());
        Ok(())
    };
    steps.step("create with keys of the hub's making", go).await;
    let go = async |hub: &Hub| {
        let mut new = new("keys")?;
        new.authentication = keys()?;
        new.status = Status::Disabled;
        new.status_reason = Some("not yet".to_owned());
        let device = hub.create_device(&new).await?;
        ensure!(primary(&device)? == KEYS[0]);
        ensure!(device.secondary_key().context("a key")?.expose() == KEYS[1]);
        ensure!(device.status() == Some(Status::Disabled));
        ensure!(device.status_reason() == Some("not yet"));
        Ok(())
    };
    steps.step("create with own keys", go).await;
    steps
        .step("create with thumbprints", create_with_thumbprints)
        .await;
    let go = async |hub: &Hub| {
        let mut new = new("ca")?;
        new.authentication = Authentication::CertificateAuthority;
        hub.create_device(&new).await?;
        let device = hub.device(&id("ca")?).await?;
        let authentication = device.field("authentication").context("a field")?;
        ensure!(authentication["type"] == "certificateAuthority");
        Ok(())
    };
    steps.step("create with a certificate authority", go).await;
    let go = async |hub: &Hub| {
        hub.create_device(&new(ODD)?).await?;
        ensure!(hub.device(&id(ODD)?).await?.device_id().as_str() == ODD);
        Ok(())
    };
    steps.step("create with an odd id", go).await;
    let go = async |hub: &Hub| {
        let edge = NewIdentity {
            iot_edge: true,
            ..new("gateway")?
        };
        let gateway = hub.create_device(&edge).await?;
        ensure!(gateway.is_edge() && gateway.device_scope().is_some());
        let child = hub
            .create_device(&new("child")?.child_of(&gateway)?)
            .await?;
        ensure!(child.device_scope() == gateway.device_scope());
        Ok(())
    };
    steps.step("create an edge device and its child", go).await;
}

async fn create_with_thumbprints(hub: &Hub) -> Result<()> {
    let mut new = new("x509")?;
    new.authentication = Authentication::SelfSigned {
        primary: "A".repeat(40).parse()?,
        secondary: Some("B".repeat(40).parse()?),
    };
    hub.create_device(&new).await?;
    let device = hub.device(&id("x509")?).await?;
    let authentication = device.field("authentication").context("a field")?;
    let wanted =
        json!({"primaryThumbprint": "A".repeat(40), "secondaryThumbprint": "B".repeat(40)});
    ensure!(authentication["type"] == "selfSigned" && authentication["x509Thumbprint"] == wanted);
    Ok(())
}

async fn create_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        refused(Kind::AlreadyExists, hub.create_device(&new("keys")?).await)?;
        ensure!(primary(&hub.device(&id("keys")?).await?)? == KEYS[0]);
        Ok(())
    };
    steps.step("create what exists", go).await;
    let go = async |hub: &Hub| {
        let mut new = new("reason")?;
        new.status_reason = Some("x".repeat(129));
        refused(Kind::Invalid, hub.create_device(&new).await)
    };
    steps.step("create something invalid", go).await;
}

async fn update(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let device = hub.device(&id("keys")?).await?;
        ensure!(device.status() == Some(Status::Disabled) && device.is_connected() == Some(false));
        Ok(())
    };
    steps.step("read", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.device(&id(UNKNOWN)?).await);
    steps.step("read what does not exist", go).await;
    let go = async |hub: &Hub| {
        let mut device = hub.device(&id("generated")?).await?;
        let (key, etag) = (primary(&device)?, device.etag().map(str::to_owned));
        device.set_status(Status::Disabled);
        device.set_status_reason(Some("stolen"));
        let updated = hub.update_device(&device).await?;
        ensure!(updated.status_reason() == Some("stolen"));
        let read = hub.device(&id("generated")?).await?;
        ensure!(read.status() == Some(Status::Disabled) && primary(&read)? == key);
        ensure!(read.etag() == updated.etag() && read.etag() != etag.as_deref());
        Ok(())
    };
    steps.step("update keeps the keys", go).await;
    let step = "certificates go back as they came";
    steps.step(step, certificates_go_back).await;
    let go = async |hub: &Hub| {
        let mut device = hub.device(&id("generated")?).await?;
        let key = primary(&device)?;
        device.replace_authentication(&Authentication::GeneratedKeys);
        ensure!(primary(&hub.update_device(&device).await?)? != key);
        Ok(())
    };
    let step = "an update without keys makes new ones";
    steps.step(step, go).await;
    let go = async |hub: &Hub| {
        let mut device = hub.device(&id("x509")?).await?;
        device.replace_authentication(&keys()?);
        hub.update_device(&device).await?;
        ensure!(primary(&hub.device(&id("x509")?).await?)? == KEYS[0]);
        Ok(())
    };
    steps.step("update to another authentication", go).await;
}

async fn certificates_go_back(hub: &Hub) -> Result<()> {
    for device in ["x509", "ca"] {
        let mut identity = hub.device(&id(device)?).await?;
        let before = identity.field("authentication").cloned();
        identity.set_status_reason(Some("moved"));
        hub.update_device(&identity).await?;
        let read = hub.device(&id(device)?).await?;
        ensure!(read.status_reason() == Some("moved"));
        ensure!(read.field("authentication") == before.as_ref());
    }
    Ok(())
}

async fn update_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let mut old = hub.device(&id("keys")?).await?;
        let mut device = old.clone();
        device.set_status_reason(Some("still not"));
        hub.update_device(&device).await?;
        old.set_status(Status::Enabled);
        refused(Kind::PreconditionFailed, hub.update_device(&old).await)?;
        ensure!(hub.device(&id("keys")?).await?.status() == Some(Status::Disabled));
        Ok(())
    };
    steps.step("update in an old version", go).await;
    let go = async |hub: &Hub| {
        let device = hub.create_device(&new("short-lived")?).await?;
        hub.delete_device(device.device_id(), device.etag().context("an etag")?)
            .await?;
        refused(Kind::NotFound, hub.update_device(&device).await)
    };
    steps.step("update what does not exist", go).await;
}

async fn count(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let devices = hub.devices(1000).await?;
        let found: BTreeSet<&str> = devices.iter().map(|it| it.device_id().as_str()).collect();
        let wanted = ["generated", "keys", "x509", "ca", ODD, "gateway", "child"];
        ensure!(found == wanted.into(), "{found:?}");
        Ok(())
    };
    steps.step("list", go).await;
    let go = async |hub: &Hub| {
        ensure!(hub.devices(3).await?.len() == 3);
        Ok(())
    };
    steps.step("list a few", go).await;
    let go = async |hub: &Hub| {
        let counts = hub.device_statistics().await?;
        ensure!((counts.total, counts.disabled) == (7, 2), "{counts:?}");
        Ok(())
    };
    steps.step("count devices", go).await;
    let go = async |hub: &Hub| {
        ensure!(hub.connected_devices().await? == 0);
        Ok(())
    };
    steps.step("count connected devices", go).await;
    let go = async |hub: &Hub| {
        ensure!(hub.purge_messages(&id("keys")?).await? == 0);
        Ok(())
    };
    steps.step("throw waiting messages away", go).await;
}

async fn delete(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        refused(
            Kind::PreconditionFailed,
            hub.delete_device(&id("keys")?, OLD).await,
        )?;
        hub.device(&id("keys")?).await?;
        Ok(())
    };
    steps.step("delete in an old version", go).await;
    let go = async |hub: &Hub| {
        let device = hub.device(&id("keys")?).await?;
        hub.delete_device(device.device_id(), device.etag().context("an etag")?)
            .await?;
        refused(Kind::NotFound, hub.device(&id("keys")?).await)?;
        refused(Kind::NotFound, hub.twin(&id("keys")?).await)
    };
    steps.step("delete", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.delete_device(&id(UNKNOWN)?, OLD).await);
    steps.step("delete what does not exist", go).await;
    let go = async |hub: &Hub| {
        let old = hub.device(&id("x509")?).await?;
        hub.delete_device(old.device_id(), old.etag().context("an etag")?)
            .await?;
        let again = hub.create_device(&new("x509")?).await?;
        ensure!(again.generation_id() != old.generation_id());
        Ok(())
    };
    steps
        .step("a new device of an old name is another one", go)
        .await;
    let stranger = steps.stranger.clone();
    let go = async |_: &Hub| refused(Kind::Unauthorized, stranger.device(&id("generated")?).await);
    steps.step("call with a wrong key", go).await;
}
