//! Configurations and edge deployments.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use black_box::until;
use iothub::{Configuration, ConfigurationContent, Hub, Kind, ModuleId, NewConfiguration};
use serde_json::{Value, json};

use super::{Steps, id, refused};
use crate::stage::SOON;

const NORTH: &str = "tags.site = 'north'";
const MINE: &str = "SELECT deviceId FROM devices WHERE properties.desired.interval = 5";
const FIRST: &str = "MQ==";

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    create(steps).await;
    read(steps).await;
    watch(steps).await;
    update(steps).await;
    deploy(steps).await;
    apply(steps).await;
    delete(steps).await;
    Ok(())
}

fn interval(seconds: u32) -> Result<NewConfiguration> {
    let content = ConfigurationContent::device(json!({"properties.desired.interval": seconds}))?;
    Ok(NewConfiguration::new("interval".parse()?, content))
}

fn edge(rate: u32) -> Result<ConfigurationContent> {
    let agent = json!({"properties.desired": {"schemaVersion": "1.1"}});
    let sensor = json!({"properties.desired.rate": rate});
    Ok(ConfigurationContent::edge(
        json!({"$edgeAgent": agent, "sensor": sensor}),
    )?)
}

fn mine() -> BTreeMap<String, String> {
    BTreeMap::from([("mine".to_owned(), MINE.to_owned())])
}

async fn stored(hub: &Hub) -> Result<Configuration> {
    Ok(hub.configuration(&"interval".parse()?).await?)
}

async fn desired(hub: &Hub, device: &str) -> Result<Value> {
    Ok(hub.twin(&id(device)?).await?.desired()["interval"].clone())
}

async fn rate(hub: &Hub) -> Result<Value> {
    let twin = hub
        .module_twin(&id("gateway")?, &"sensor".parse::<ModuleId>()?)
        .await?;
    Ok(twin.desired()["rate"].clone())
}

async fn create(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let new = NewConfiguration {
            target_condition: NORTH.into(),
            priority: 10,
            labels: BTreeMap::from([("for".into(), "tests".into())]),
            metrics: mine(),
            ..interval(5)?
        };
        let made = hub.create_configuration(&new).await?;
        ensure!(made.target_condition() == Some(NORTH) && made.priority() == Some(10));
        ensure!(made.field("labels") == Some(&json!({"for": "tests"})));
        ensure!(made.etag() == Some(FIRST));
        ensure!(made.created_time().is_some() && made.last_updated_time().is_some());
        Ok(())
    };
    steps.step("create", go).await;
    let go = async |hub: &Hub| {
        refused(
            Kind::AlreadyExists,
            hub.create_configuration(&interval(6)?).await,
        )
    };
    steps.step("create what exists", go).await;
    let go = async |_: &Hub| {
        refused(
            Kind::Invalid,
            ConfigurationContent::device(json!({"interval": 5})),
        )
    };
    steps.step("create with content of no kind", go).await;
}

async fn read(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let read = stored(hub).await?;
        let content = json!({"properties.desired.interval": 5});
        let field = |name: &str| read.field(name).context("a field").cloned();
        ensure!(field("content")?["deviceContent"] == content);
        ensure!(field("metrics")?["queries"] == json!(mine()));
        Ok(())
    };
    steps.step("read", go).await;
    let go = async |hub: &Hub| {
        let read = hub.configuration(&"no-such-configuration".parse()?).await;
        refused(Kind::NotFound, read)
    };
    steps.step("read what does not exist", go).await;
}

async fn watch(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        until(SOON, "the interval", async || {
            Ok((desired(hub, "north").await? == json!(5)).then_some(()))
        })
        .await?;
        ensure!(desired(hub, "south").await?.is_null());
        Ok(())
    };
    steps.step("it reaches the devices it is for", go).await;
    let go = async |hub: &Hub| {
        until(SOON, "the counts", async || {
            let read = stored(hub).await?;
            let system = BTreeMap::from([("targetedCount", 1), ("appliedCount", 1)]);
            let own = BTreeMap::from([("mine", 1)]);
            let all = read.system_results() == system && read.metric_results() == own;
            Ok(all.then_some(()))
        })
        .await
    };
    steps.step("metrics", go).await;
}

async fn update(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let mut read = stored(hub).await?;
        read.set_priority(20);
        let updated = hub.update_configuration(&read).await?;
        ensure!((updated.priority(), updated.etag()) == (Some(20), Some("Mg==")));
        Ok(())
    };
    steps.step("update", go).await;
    let go = async |hub: &Hub| {
        let mut old = stored(hub).await?;
        let mut newer = old.clone();
        newer.set_priority(21);
        hub.update_configuration(&newer).await?;
        old.set_priority(22);
        refused(
            Kind::PreconditionFailed,
            hub.update_configuration(&old).await,
        )
    };
    steps.step("update in an old version", go).await;
}

async fn deploy(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let new = NewConfiguration {
            target_condition: "tags.edge = true".into(),
            priority: 1,
            ..NewConfiguration::new("deployment".parse()?, edge(3)?)
        };
        hub.create_configuration(&new).await?;
        until(SOON, "the module's rate", async || {
            Ok((rate(hub).await? == json!(3)).then_some(()))
        })
        .await
    };
    steps.step("deploy modules to edge devices", go).await;
    let go = async |hub: &Hub| {
        let all = hub.configurations().await?;
        let mut names: Vec<&str> = all.iter().map(|it| it.id().as_str()).collect();
        names.sort_unstable();
        ensure!(names == ["deployment", "interval"]);
        Ok(())
    };
    steps.step("list", go).await;
    let go = async |hub: &Hub| {
        ensure!(hub.test_queries(NORTH, &mine()).await?.is_ok());
        let senseless = BTreeMap::from([("mine".to_owned(), "SELECT".to_owned())]);
        let test = hub.test_queries("tags. =", &senseless).await?;
        ensure!(test.condition_error.is_some() && test.metric_errors.contains_key("mine"));
        Ok(())
    };
    steps.step("test queries", go).await;
}

async fn apply(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let deployment = hub.configuration(&"deployment".parse()?).await?;
        let etag = deployment.etag().context("an etag")?;
        hub.delete_configuration(deployment.id(), etag).await?;
        hub.apply_content(&id("gateway")?, &edge(4)?).await?;
        ensure!(rate(hub).await? == json!(4));
        Ok(())
    };
    steps.step("set the modules of one edge device", go).await;
    let go = async |hub: &Hub| {
        refused(
            Kind::Invalid,
            hub.apply_content(&id("north")?, &edge(4)?).await,
        )
    };
    steps.step("set the modules of a plain device", go).await;
}

async fn delete(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let deleted = hub.delete_configuration(&"interval".parse()?, FIRST).await;
        refused(Kind::PreconditionFailed, deleted)
    };
    steps.step("delete in an old version", go).await;
    let go = async |hub: &Hub| {
        let read = stored(hub).await?;
        let etag = read.etag().context("an etag")?;
        hub.delete_configuration(read.id(), etag).await?;
        refused(Kind::NotFound, hub.configuration(read.id()).await)?;
        // What it wrote stays.
        ensure!(desired(hub, "north").await? == json!(5));
        Ok(())
    };
    steps.step("delete", go).await;
    let go = async |hub: &Hub| {
        let deleted = hub
            .delete_configuration(&"no-such-configuration".parse()?, FIRST)
            .await;
        refused(Kind::NotFound, deleted)
    };
    steps.step("delete what does not exist", go).await;
}
