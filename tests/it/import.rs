//! `import iot-manager`: out of a database as iot-manager leaves it, into a product that goes on
//! from there.

mod rows;

use anyhow::{Context as _, Result, ensure};
use black_box::{Emulator, Installation, MongoServer, TestDir, until};
use serde_json::{Value, json};

use self::rows::{Old, POLICY_KEY, SEALED, SEALING_KEY};
use crate::stage::{Parts, SOON, Stage};

/// Devices of an import that is killed.
const FLEET: u64 = 120;

/// The product, a hub with one policy, and an old database.
struct Scene {
    installation: Installation,
    parts: Parts,
    old: Old,
    // Ends last: it is in the folder of the test.
    _mongo: MongoServer,
}

impl Scene {
    /// `None` where there is no MongoDB.
    async fn new(name: &str, test: &str) -> Result<Option<Self>> {
        let dir = TestDir::new(name)?;
        let Some(mongo) = MongoServer::start_or_skip(dir.path(), test).await? else {
            dir.passed();
            return Ok(None);
        };
        let permissions = "RegistryRead,RegistryWrite,ServiceConnect";
        let policy = format!("mender={POLICY_KEY}:{permissions}");
        let hub = Emulator::start(dir.path(), &["--policy", &policy]).await?;
        let (parts, installation) = Parts::around(dir, hub).await?;
        let database = parts.dir.path().file_name().context("a name")?;
        let old = Old::new(mongo.uri(), &database.to_string_lossy()).await?;
        let installation = installation
            .variable("MENDER_IOTHUB__IOT_MANAGER__TIER", "unlimited")
            .variable("MENDER_IOTHUB__SWEEP__ENABLED", "false")
            .variable("MENDER_IOTHUB__SWEEP__GRACE_S", "1")
            .variable("IOT_MANAGER_MONGO_URL", mongo.uri());
        let done = installation.cli(&["setup"]).await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
        Ok(Some(Self {
            installation,
            parts,
            old,
            _mongo: mongo,
        }))
    }

    /// Devices that Mender has, in this status, and of which no message tells.
    async fn in_mender(&self, tenant: &str, status: &str, ids: &[&str]) -> Result<()> {
        let control = self.parts.mender.control();
        let devices: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        let order = json!({"tenant": tenant, "devices": devices, "publish": false});
        control.post::<Value>("/simulator/devices", &order).await?;
        let change = |id: &&str| json!({"id": id, "status": status});
        let changes: Vec<_> = ids.iter().map(change).collect();
        let order = json!({"tenant": tenant, "changes": changes, "lose": true});
        let path = "/simulator/devices/status";
        control.post::<Value>(path, &order).await.map(drop)
    }

    /// Identities as iot-manager leaves them.
    async fn in_hub(&self, status: &str, ids: &[&str]) -> Result<()> {
        for id in ids {
            let identity = json!({"status": status, "tags": {"mender": true, "site": "north"}});
            self.parts.hub.put_device(id, &identity).await?;
        }
        Ok(())
    }

    /// Runs the import; its exit code, its report, and everything it printed.
    async fn import(&self, arguments: &[&str]) -> Result<(Option<i32>, Value, String)> {
        let first = ["import", "iot-manager", "--database", self.old.database()];
        let arguments = [&first[..], &["--output", "json"], arguments].concat();
        let done = self.installation.cli(&arguments).await?;
        let report = serde_json::from_str(&done.stdout).unwrap_or(Value::Null);
        let printed = done.stdout + &done.stderr;
        for secret in [POLICY_KEY, SEALING_KEY, "SharedAccessKey"] {
            ensure!(!printed.contains(secret), "a secret was printed: {printed}");
        }
        Ok((done.code, report, printed))
    }

    async fn imported(&self, arguments: &[&str]) -> Result<Value> {
        let (code, report, printed) = self.import(arguments).await?;
        ensure!(code == Some(0), "{printed}");
        Ok(report)
    }

    /// Requests that have changed the hub, less those of the tests.
    async fn writes(&self) -> Result<Vec<String>> {
        let journal = self.parts.hub.journal().await?;
        let writes = journal
            .into_iter()
            .filter(|entry| entry.effective && entry.operation != "hand-edit");
        let said = writes.map(|it| format!("{} {}", it.operation, it.device.unwrap_or_default()));
        Ok(said.collect())
    }

    async fn deployments(&self) -> Result<u64> {
        let truth: Value = self.parts.mender.control().get("/simulator/truth").await?;
        let devices = truth["devices"].as_array().context("no devices")?;
        Ok(devices
            .iter()
            .filter_map(|device| device["deployments"].as_u64())
            .sum())
    }

    async fn records(&self) -> Result<Value> {
        let status = self
            .installation
            .cli(&["status", "--output", "json"])
            .await?;
        Ok(status.json()?["devices"].clone())
    }
}

/// A tenant's counts: imported, to be put right, there already.
fn counts(report: &Value, tenant: &str) -> [u64; 3] {
    let devices = &report["tenants"][tenant]["devices"];
    ["imported", "to_put_right", "there"].map(|name| devices[name].as_u64().unwrap_or(u64::MAX))
}

fn left_out(report: &Value, tenant: &str) -> Value {
    report["tenants"][tenant]["devices"]["left_out"].clone()
}

fn named(ids: &[&str]) -> Value {
    json!({"count": ids.len(), "devices": ids})
}

/// A database, a hub and a Mender server in every state that iot-manager leaves them in, and worse.
async fn leave(scene: &Scene) -> Result<()> {
    let host = scene.parts.hub.hub().to_owned();
    scene
        .old
        .integration("", 1, &host, rows::sealed(SEALED))
        .await?;
    scene.old.integration("t2", 2, &host, rows::clear()).await?;
    scene.old.webhook("t3", 3).await?;
    scene
        .in_mender(
            "",
            "accepted",
            &[
                "accepted-1",
                "accepted-2",
                "asleep",
                "gone-in-hub",
                "untagged",
                "twice",
            ],
        )
        .await?;
    scene.in_mender("", "rejected", &["rejected"]).await?;
    scene.in_mender("t2", "accepted", &["of-t2"]).await?;
    scene
        .in_hub(
            "enabled",
            &[
                "accepted-1",
                "accepted-2",
                "not-in-mender",
                "twice",
                "rowless",
                "of-t2",
            ],
        )
        .await?;
    scene.in_hub("disabled", &["rejected", "asleep"]).await?;
    for id in ["untagged", "foreign"] {
        scene.parts.hub.put_device(id, &json!({})).await?;
    }
    for id in [
        "accepted-1",
        "accepted-2",
        "rejected",
        "asleep",
        "gone-in-hub",
        "untagged",
        "not-in-mender",
    ] {
        scene.old.row(id, "", &[1]).await?;
    }
    scene.old.row("twice", "", &[1, 9]).await?;
    scene.old.row("a;b", "", &[1]).await?;
    scene.old.row("of-t2", "t2", &[2]).await?;
    scene.old.row("hooked", "t3", &[]).await?;
    scene.old.hostile().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_iot_manager_has_made_becomes_ours_and_nothing_else_changes() -> Result<()> {
    let test = "what_iot_manager_has_made_becomes_ours_and_nothing_else_changes";
    let Some(mut scene) = Scene::new("import", test).await? else {
        return Ok(());
    };
    scene.installation = scene
        .installation
        .variable("IOT_MANAGER_AES_ENCRYPTION_KEY", SEALING_KEY);
    leave(&scene).await?;
    let before = (
        scene.old.everything().await?,
        scene.parts.hub.devices().await?,
    );

    let dry = scene.imported(&["--dry-run"]).await?;
    assert_eq!(scene.records().await?, 0, "a dry run stores nothing");
    let shown = scene
        .installation
        .cli(&["integration", "show", "--output", "json"])
        .await?;
    assert_eq!(shown.json()?, json!([]));
    let report = scene.imported(&[]).await?;
    for (report, integration) in [(&dry, "would be imported"), (&report, "imported")] {
        assert_eq!(counts(report, ""), [4, 1, 0], "{report}");
        assert_eq!(counts(report, "t2"), [1, 0, 0], "{report}");
        assert_eq!(report["tenants"][""]["integration"], integration);
        assert_eq!(report["tenants"][""]["credential"], "sealed");
        assert_eq!(report["tenants"]["t2"]["credential"], "in clear");
        let expected = json!({
            "not_understood": named(&["a;b", "nul\0"]),
            "several_integrations": named(&["twice"]),
            "not_in_hub": named(&["gone-in-hub"]),
            "not_tagged": named(&["untagged"]),
            "not_in_mender": named(&["not-in-mender"]),
        });
        assert_eq!(left_out(report, ""), expected);
        // The hub of both tenants is the same one here.
        let adoptable = report["tenants"][""]["adoptable"]["devices"]
            .as_array()
            .context("none")?;
        assert!(adoptable.contains(&json!("rowless")) && !adoptable.contains(&json!("foreign")));
        let webhook = &report["integrations_left_out"][0];
        assert_eq!(webhook["tenant"], "t3");
        assert_eq!(
            report["other_devices"]["no_integration"]["devices"],
            json!(["hooked"])
        );
    }
    let again = scene.imported(&[]).await?;
    assert_eq!(counts(&again, ""), [0, 0, 4], "{again}");
    assert_eq!(again["tenants"][""]["integration"], "there already");

    let after = (
        scene.old.everything().await?,
        scene.parts.hub.devices().await?,
    );
    assert_eq!(
        before, after,
        "neither the database nor the hub has changed"
    );
    assert_eq!(scene.writes().await?, [""; 0]);
    goes_on(scene, ["accepted-1", "accepted-2"]).await
}

/// The worker takes it from there: only what is not in step is changed, once, and nothing is
/// delivered.
async fn goes_on(scene: Scene, alike: [&str; 2]) -> Result<()> {
    let worker = scene.installation.start().await?;
    let hub_shows = async |id: &str, status: Option<&str>| {
        until(SOON, &format!("{id}: {status:?}"), async || {
            let devices = scene.parts.hub.devices().await?;
            let found = devices
                .iter()
                .find(|device| device["deviceId"] == json!(id));
            let shown = found.map(|device| device["status"].clone());
            Ok((shown == status.map(|status| json!(status))).then_some(()))
        })
        .await
    };
    hub_shows("asleep", Some("enabled")).await?;
    let control = scene.parts.mender.control();
    // The event that made iot-manager provision them comes once more, as either workflow has it.
    let context = scene.parts.nats.jetstream().await?;
    for (id, body) in [
        (alike[0], r#"{"status":"accepted","revision":3}"#),
        (alike[1], r#"{"status":"accepted"}"#),
    ] {
        let subject = format!("iothub.event.=.{id}");
        context.publish(subject, body.into()).await?.await?;
    }
    until(SOON, "three outcomes", async || {
        let mut outcomes = context.get_stream("IOTHUB_OUTCOMES").await?;
        Ok((outcomes.info().await?.state.messages >= 3).then_some(()))
    })
    .await?;
    let swept = worker.cli(&["sweep", "--output", "json"]).await?.json()?;
    let swept = &swept[""]["findings"];
    let expected = ["before_integration"];
    let found: Vec<_> = swept.as_object().context("findings")?.keys().collect();
    assert_eq!(found, expected, "only what was left out: {swept}");
    assert_eq!(scene.writes().await?, ["update asleep"]);
    assert_eq!(scene.deployments().await?, 0);

    let reject = json!({"id": alike[0], "status": "rejected"});
    control
        .post::<Value>("/simulator/devices/status", &reject)
        .await?;
    hub_shows(alike[0], Some("disabled")).await?;
    let gone = json!({"tenant": "", "ids": [alike[1]]});
    control
        .post::<Value>("/simulator/devices/decommission", &gone)
        .await?;
    hub_shows(alike[1], None).await?;
    assert_eq!(scene.deployments().await?, 0);
    let devices = scene.parts.hub.devices().await?;
    let kept = devices
        .iter()
        .find(|device| device["deviceId"] == json!(alike[0]));
    assert_eq!(kept.context("gone")?["twin"]["tags"]["site"], "north");
    let Scene { parts, _mongo, .. } = scene;
    let stage: Stage = parts.with(worker);
    stage.dir.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_beside_a_worker_that_took_the_devices_for_foreign()
-> Result<()> {
    let test =
        "an_import_that_was_killed_goes_on_beside_a_worker_that_took_the_devices_for_foreign";
    let Some(mut scene) = Scene::new("import-killed", test).await? else {
        return Ok(());
    };
    let host = scene.parts.hub.hub().to_owned();
    let key = rows::sealed(SEALED);
    scene.old.integration("", 1, &host, key).await?;
    let ids: Vec<String> = (0..FLEET)
        .map(|number| format!("device-{number}"))
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    scene.in_mender("", "accepted", &ids).await?;
    scene.in_hub("enabled", &ids).await?;
    for id in &ids {
        scene.old.row(id, "", &[1]).await?;
    }
    let (code, report, printed) = scene.import(&[]).await?;
    assert_eq!(code, Some(1), "{printed}");
    let reason = &report["integrations_left_out"][0]["reason"];
    assert_eq!(reason, "the credential is sealed, and no key was given");

    // A worker that was started before the import meets the identity, and leaves it alone.
    let set = ["integration", "set", "--tier", "unlimited"];
    let string = scene.parts.hub.connection_string();
    let done = scene.installation.cli_with_input(&set, string).await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let worker = scene.installation.start().await?;
    let said =
        |status: &str, revision: u64| format!(r#"{{"status":"{status}","revision":{revision}}}"#);
    let context = scene.parts.nats.jetstream().await?;
    let subject = format!("iothub.event.=.{}", ids[0]);
    context
        .publish(subject.clone(), said("accepted", 3).into())
        .await?
        .await?;
    let ignored = async || {
        let list = ["device", "list", "--output", "json"];
        let listed = worker.cli(&list).await?.json()?;
        Ok((listed["devices"][0]["hub"] == "foreign").then_some(()))
    };
    until(SOON, "a foreign identity", ignored).await?;

    scene.installation = scene
        .installation
        .variable("IOT_MANAGER_AES_ENCRYPTION_KEY", &"x".repeat(32))
        .variable("IOT_MANAGER_AES_ENCRYPTION_FALLBACK_KEY", SEALING_KEY);
    let slow = json!({"rules": [{"operation": "read", "delay_ms": 40}]});
    scene.parts.hub.faults(&slow).await?;
    let arguments = ["import", "iot-manager", "--database", scene.old.database()];
    let mut killed = scene.installation.spawn("import", &arguments)?;
    until(SOON, "some of the devices", async || {
        let mut records = context.get_stream("KV_iothub_devices").await?;
        Ok((records.info().await?.state.messages > 10).then_some(()))
    })
    .await?;
    killed.kill9()?;
    killed.exit(SOON).await?;
    scene.parts.hub.faults(&json!({"rules": []})).await?;

    let report = scene.imported(&[]).await?;
    let [imported, to_put_right, there] = counts(&report, "");
    assert!(there > 10 && imported > 0, "killed in the middle: {report}");
    assert_eq!((imported + there, to_put_right), (FLEET, 0), "{report}");
    let of = &report["tenants"][""];
    assert_eq!(of["integration"], "there already");
    assert_eq!(of["credential"], "sealed with the fallback key");
    assert_eq!(scene.writes().await?, [""; 0]);
    context
        .publish(subject, said("rejected", 4).into())
        .await?
        .await?;
    until(SOON, "the imported device to follow Mender", async || {
        Ok((scene.writes().await? == [format!("update {}", ids[0])]).then_some(()))
    })
    .await?;
    assert_eq!(scene.deployments().await?, 0);
    let stage: Stage = scene.parts.with(worker);
    stage.dir.passed();
    Ok(())
}
