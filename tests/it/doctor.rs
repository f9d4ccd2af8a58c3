//! `doctor` finds what was set up wrong, and nothing where all is well.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::kv;
use black_box::worker::Finished;
use black_box::{Installation, NatsServer, TestDir, workspace};
use serde_json::{Value, json};

use crate::stage::{Parts, Stage, config};

/// What was found, whatever the exit code.
fn findings(done: &Finished) -> Result<Vec<Value>> {
    let said: Value = serde_json::from_str(&done.stdout)
        .with_context(|| format!("{}{}", done.stdout, done.stderr))?;
    let found = said["findings"].as_array().context("findings")?.clone();
    let problems = found
        .iter()
        .filter(|it| it["severity"] == "problem")
        .count();
    let expected = i32::from(problems > 0);
    ensure!(
        done.code == Some(expected),
        "{:?} with {problems} problems",
        done.code
    );
    for it in &found {
        let advised = it["severity"] == "ok" || it["do"].is_string();
        ensure!(
            advised || it["severity"] == "not_checked",
            "nothing to do about {it}"
        );
    }
    Ok(found)
}

/// A problem whose text contains all of these.
#[track_caller]
fn has(found: &[Value], parts: &[&str]) {
    let is = |it: &&Value| {
        let text = it["what"].as_str().unwrap_or_default();
        it["severity"] == "problem" && parts.iter().all(|part| text.contains(part))
    };
    assert!(found.iter().any(|it| is(&it)), "no {parts:?} in {found:#?}");
}

const JSON: [&str; 3] = ["doctor", "--output", "json"];

#[tokio::test]
async fn where_all_is_well_nothing_must_be_done_and_each_fault_is_found() -> Result<()> {
    let stage = Stage::new("doctor").await?;
    let definitions = workspace::root().join("deploy/mender");
    let definitions = definitions.display().to_string();
    let well = [&JSON[..], &["--definitions", &definitions]].concat();
    let done = stage.worker.cli(&well).await?;
    let found = findings(&done)?;
    assert_eq!(done.code, Some(0), "{found:#?}");
    let checked: Vec<_> = found.iter().filter_map(|it| it["check"].as_str()).collect();
    for check in [
        "streams",
        "workers",
        "hubs",
        "clock",
        "records",
        "Mender",
        "sealing keys",
    ] {
        assert!(
            checked.contains(&check),
            "{check} was not checked: {found:#?}"
        );
    }

    // A stream that somebody has changed, a record of the future, definitions that were replaced,
    // writes that are not synced, and a hub that refuses one permission.
    let context = stage.nats.jetstream().await?;
    let stream = context.get_stream("IOTHUB_EVENTS").await?;
    let mut settings = stream.cached_info().config.clone();
    settings.max_messages = 1_000;
    context.update_stream(settings).await?;
    let bucket: kv::Store = context.get_key_value("iothub_devices").await?;
    bucket.put("=.future", r#"{"v":99}"#.into()).await?;
    let folder = stage.dir.path().join("definitions");
    fs::create_dir(&folder)?;
    let built_in = json!({"name": "provision_device", "version": 9, "tasks": []});
    fs::write(folder.join("provision_device.json"), built_in.to_string())?;
    let refuses = json!({"rules": [{"name": "twins", "path": "/twins/*", "status": 403}]});
    stage.hub.faults(&refuses).await?;
    let folder = folder.display().to_string();
    let monitoring = stage.nats.monitoring_url();
    let broken = [
        &JSON[..],
        &[
            "--definitions",
            &folder,
            "--nats-monitoring-url",
            monitoring,
        ],
    ]
    .concat();
    let found = findings(&stage.worker.cli(&broken).await?)?;
    has(&found, &["IOTHUB_EVENTS", "max_msgs"]);
    has(&found, &["future", "version 99"]);
    has(&found, &["no definition update_device_status"]);
    has(&found, &["version 9 of provision_device publishes nothing"]);
    has(&found, &["syncs to disk only every 2 min"]);
    has(&found, &["Service Connect"]);
    let listed = stage.worker.cli(&["device", "list"]).await?.stdout;
    assert!(
        listed.contains("future") && listed.contains("not understood"),
        "{listed}"
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_doctor_who_finds_half_of_it_down_looks_at_the_rest() -> Result<()> {
    let (parts, installation) = Parts::start("half-down").await?;
    // Before `setup` and without a worker.
    let found = findings(&installation.cli(&JSON).await?)?;
    has(&found, &["IOTHUB_EVENTS is missing"]);
    has(&found, &["no worker runs"]);

    for arguments in [&["setup"][..], &["integration", "set"]] {
        let done = installation
            .cli_with_input(arguments, parts.hub.connection_string())
            .await?;
        ensure!(done.code == Some(0), "{}", done.stderr);
    }
    // Another key, and a deviceconfig and a deviceauth that are not there.
    let text = config(parts.nats.url(), &parts.hub, "127.0.0.1:1");
    let other = "bm90IHRoZSBrZXkgdGhhdCBzZWFsZWQgaXQgYmVmb3I=";
    let text = text.replace("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", other);
    let wrong = Installation::new(parts.dir.path(), &text).await?;
    let found = findings(&wrong.cli(&JSON).await?)?;
    has(&found, &["does not open"]);
    has(&found, &["deviceauth unavailable"]);
    has(&found, &["deviceconfig unavailable"]);
    has(&found, &["no worker runs"]);

    // Not even NATS: what needs it is not checked, the rest is.
    let nowhere = config("nats://127.0.0.1:1", &parts.hub, "127.0.0.1:1");
    let nowhere = Installation::new(parts.dir.path(), &nowhere).await?;
    let done = nowhere.cli(&JSON).await?;
    let found = findings(&done)?;
    has(&found, &["NATS is not available"]);
    has(&found, &["deviceauth unavailable"]);
    assert!(done.stderr.contains("must be put right"), "{}", done.stderr);
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_user_who_may_not_look_is_told_what_is_missing() -> Result<()> {
    let dir = TestDir::new("doctor-refused")?;
    let users = dir.path().join("users.conf");
    let rules = r#"
        authorization { users: [
          { user: admin, password: admin }
          { user: nobody, password: nobody, permissions {
              publish { allow: [ "$JS.API.STREAM.INFO.*" ] }, subscribe { allow: [ "_INBOX.>" ] } } }
        ] }
        no_auth_user: admin
    "#;
    fs::write(&users, rules)?;
    let nats = NatsServer::start_with(dir.path(), &["-c", &users.display().to_string()]).await?;
    let text = format!("[nats]\nurl = \"{}\"\n", nats.url());
    let installation = Installation::new(dir.path(), &text)
        .await?
        .variable("MENDER_IOTHUB__NATS__USER", "nobody")
        .variable("MENDER_IOTHUB__NATS__PASSWORD", "nobody");
    let found = findings(&installation.cli(&JSON).await?)?;
    has(
        &found,
        &["does not let user nobody publish to \"$JS.API.INFO\""],
    );
    // Other commands say so as well.
    let done = installation.cli(&["status"]).await?;
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("does not let this user publish to"),
        "{}",
        done.stderr
    );
    dir.passed();
    Ok(())
}
