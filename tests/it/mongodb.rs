//! The main job with device records in MongoDB, and the way from one store to the other.

use anyhow::{Context as _, Result, ensure};
use black_box::{Installation, MongoServer};
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, Stage};

/// Everything but the worker, and the product with its records in MongoDB and in NATS.
struct Stores {
    in_mongo: Installation,
    in_nats: Installation,
    parts: Parts,
    mongo: MongoServer,
}

/// Starts them; `None` where there is no MongoDB.
async fn stores(test: &str) -> Result<Option<Stores>> {
    let (parts, installation) = Parts::start("mongodb").await?;
    let Some(mongo) = MongoServer::start_or_skip(parts.dir.path(), test).await? else {
        parts.dir.passed();
        return Ok(None);
    };
    // A server that somebody runs is used by several tests.
    let database = parts.dir.path().file_name().context("a name")?;
    let in_nats = installation
        .variable("MENDER_IOTHUB__STORE__URI", mongo.uri())
        .variable(
            "MENDER_IOTHUB__STORE__DATABASE",
            &database.to_string_lossy(),
        );
    let in_mongo = in_nats
        .clone()
        .variable("MENDER_IOTHUB__STORE__KIND", "mongodb");
    Ok(Some(Stores {
        in_mongo,
        in_nats,
        parts,
        mongo,
    }))
}

/// Sets everything up for one tenant and starts the worker.
async fn start(parts: Parts, installation: &Installation) -> Result<Stage> {
    run(installation, &["setup"]).await?;
    let set = ["integration", "set", "--tier", "unlimited"];
    let done = installation
        .cli_with_input(&set, parts.hub.connection_string())
        .await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let worker = installation.start().await?;
    let Parts {
        dir,
        nats,
        hub,
        mender,
    } = parts;
    Ok(Stage {
        worker,
        mender,
        hub,
        nats,
        dir,
    })
}

async fn run(installation: &Installation, arguments: &[&str]) -> Result<Value> {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--output", "json"]);
    installation.cli(&arguments).await?.json()
}

/// Accepts `count` new devices and waits until all of them are enabled.
async fn accept(stage: &Stage, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = stage.device().await?;
        stage.status(&id, "accepted").await?;
        ids.push(id);
    }
    for id in &ids {
        stage.hub_shows(id, Some("enabled")).await?;
    }
    Ok(ids)
}

async fn records(installation: &Installation) -> Result<Value> {
    Ok(run(installation, &["status"]).await?["devices"].clone())
}

#[tokio::test]
async fn the_main_job_is_done_with_records_in_mongodb_whoever_is_killed() -> Result<()> {
    let test = "the_main_job_is_done_with_records_in_mongodb_whoever_is_killed";
    let Some(stores) = stores(test).await? else {
        return Ok(());
    };
    let (in_mongo, mut mongo) = (stores.in_mongo, stores.mongo);
    let mut stage = start(stores.parts, &in_mongo).await?;
    let ids = accept(&stage, 5).await?;
    stage.tally(5).await?;
    stage.worker.kill9()?;
    stage.worker.process().exit(SOON).await?;
    stage.status(&ids[0], "rejected").await?;
    stage.worker.start_again().await?;
    stage.hub_shows(&ids[0], Some("disabled")).await?;
    if let Some(server) = mongo.process() {
        server.kill9()?;
        stage.status(&ids[1], "rejected").await?;
        stage.decommission(&ids[2]).await?;
        mongo.restart().await?;
        stage.hub_shows(&ids[1], Some("disabled")).await?;
        stage.hub_shows(&ids[2], None).await?;
        assert_eq!(stage.tally(8).await?, [("applied".to_owned(), 8)].into());
    }
    assert_eq!(records(&in_mongo).await?, 5);
    assert_eq!(records(&stores.in_nats).await?, 0, "all of them in MongoDB");
    let in_nats = run(&stores.in_nats, &["status"]).await?;
    assert_eq!(in_nats["integrations"], 0, "and the integration too");
    let shown = run(&in_mongo, &["device", "show", &ids[0]]).await?;
    assert_eq!(shown["settled"], true, "{shown}");
    for id in &ids {
        assert_eq!(stage.delivered(id).await?.1, 1, "one delivery to {id}");
    }
    stage.worker.sigterm().await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn records_move_from_one_store_to_the_other_and_back() -> Result<()> {
    let test = "records_move_from_one_store_to_the_other_and_back";
    let Some(stores) = stores(test).await? else {
        return Ok(());
    };
    let Stores {
        in_mongo,
        in_nats,
        parts,
        mongo: _mongo,
    } = stores;
    let mut stage = start(parts, &in_nats).await?;
    let ids = accept(&stage, 5).await?;
    stage.tally(5).await?;
    stage.worker.sigterm().await?;

    let migrate = ["setup", "--migrate-from", "jetstream"];
    let dry = run(
        &in_mongo,
        &["setup", "--migrate-from", "jetstream", "--dry-run"],
    )
    .await?;
    assert_eq!(dry["migrated"]["copied"], 5, "{dry}");
    for (copied, there) in [(5, 0), (0, 5)] {
        let moved = run(&in_mongo, &migrate).await?["migrated"].clone();
        assert_eq!(
            (&moved["copied"], &moved["there"]),
            (&copied.into(), &there.into())
        );
        assert_eq!(
            (&moved["different"], &moved["left_out"]),
            (&0.into(), &0.into())
        );
        let integrations = json!({"copied": copied / 5, "there": there / 5, "different": 0});
        assert_eq!(moved["integrations"], integrations);
    }
    assert_eq!(records(&in_mongo).await?, 5);
    assert_eq!(records(&in_nats).await?, 5, "the old store stays as it is");

    // With the records the worker knows its own identities, and does not deliver again.
    stage.worker = in_mongo.start().await?;
    stage.status(&ids[0], "rejected").await?;
    stage.hub_shows(&ids[0], Some("disabled")).await?;
    stage.status(&ids[0], "accepted").await?;
    assert_eq!(stage.tally(7).await?, [("applied".to_owned(), 7)].into());
    assert_eq!(stage.delivered(&ids[0]).await?.1, 1);
    stage.worker.sigterm().await?;

    let back = ["setup", "--migrate-from", "mongodb", "--output", "json"];
    let back = in_nats.cli(&back).await?;
    assert_eq!(back.code, Some(1), "a record there is another one");
    let back: Value = serde_json::from_str(&back.stdout)?;
    let integrations = json!({"copied": 0, "there": 1, "different": 0});
    let expected = json!({
        "copied": 0, "there": 4, "different": 1, "left_out": 0, "integrations": integrations
    });
    assert_eq!(back["migrated"], expected, "it is not set back");
    let same = in_nats.cli(&migrate).await?;
    assert_eq!(same.code, Some(2), "{}", same.stderr);
    stage.dir.passed();
    Ok(())
}
