//! What operators see and do: configuration, start-up, commands, graceful stop, twins.

use std::time::Duration;

use anyhow::Result;
use black_box::{Installation, NatsServer, TestDir, until};
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, Stage, config, messages_of};

/// In which a worker that was told to stop has ended.
const TO_STOP: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_wrong_configuration_is_one_line_with_key_and_file_and_exit_code_2() -> Result<()> {
    let dir = TestDir::new("wrong-config")?;
    for (text, key) in [
        ("[hub]\nrequest_timeot_ms = 1\n", "hub.request_timeot_ms"),
        (
            "[hub]\nrequest_timeout_ms = \"soon\"\n",
            "request_timeout_ms",
        ),
        ("[secrets]\nkey = \"short\"\n", "secrets.key"),
        ("", "secrets.key"),
        (
            "[hub]\nrequest_timeout_ms = 10\nlease_ms = 11\n",
            "hub.lease_ms",
        ),
        ("not toml", "mender-iothub.toml"),
    ] {
        let done = Installation::new(dir.path(), text)
            .await?
            .cli(&["run"])
            .await?;
        assert_eq!(done.code, Some(2), "{text}: {}", done.stderr);
        assert!(done.stderr.contains(key), "{text}: {}", done.stderr);
        assert_eq!(
            done.stderr.trim().lines().count(),
            1,
            "{text}: {}",
            done.stderr
        );
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_worker_without_nats_waits_unready_and_stops_when_told() -> Result<()> {
    let (parts, _) = Parts::start("no-nats").await?;
    let text = config("nats://127.0.0.1:1", &parts.hub, parts.mender.listen());
    let mut worker = Installation::new(parts.dir.path(), &text)
        .await?
        .start_unready()
        .await?;
    let (status, body) = worker.http().ask("/readyz").await?;
    assert_eq!(status.as_u16(), 503, "{body}");
    assert!(body.contains("NATS"), "{body}");
    assert_eq!(worker.http().ask("/healthz").await?.0.as_u16(), 204);
    worker.sigterm().await?;
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_worker_starts_by_itself_once_everything_is_there() -> Result<()> {
    let (parts, installation) = Parts::start("late").await?;
    let mut worker = installation.start_unready().await?;
    assert_eq!(worker.http().ask("/readyz").await?.0.as_u16(), 503);
    for arguments in [&["setup"][..], &["integration", "set"]] {
        let done = installation
            .cli_with_input(arguments, parts.hub.connection_string())
            .await?;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    worker.ready(SOON).await?;
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_the_worker_in_time_with_work_in_flight() -> Result<()> {
    let mut stage = Stage::new("sigterm").await?;
    let slow = json!({"rules": [{"name": "slow", "path": "/devices/*", "delay_ms": 1500}]});
    stage.hub.faults(&slow).await?;
    for n in 0..50 {
        stage
            .publish(&format!("=.d{n}"), r#"{"status":"accepted","revision":1}"#)
            .await?;
    }
    until(SOON, "a request in flight", async || {
        Ok((!stage.hub.journal().await?.is_empty()).then_some(()))
    })
    .await?;
    let begun = std::time::Instant::now();
    stage.worker.sigterm().await?;
    let took = begun.elapsed();
    println!("the worker ended within {took:?}, its work with it");
    assert!(took < TO_STOP, "{took:?}");
    stage.hub.faults(&json!({"rules": []})).await?;
    stage.worker.start_again().await?;
    assert_eq!(stage.tally(50).await?, [("applied".to_owned(), 50)].into());
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn sigterm_gives_back_in_time_what_cannot_end() -> Result<()> {
    let (parts, installation) = Parts::start("sigterm-hung").await?;
    // Requests that outlive the worker's time to stop by far.
    let installation = installation
        .variable("MENDER_IOTHUB__HUB__REQUEST_TIMEOUT_MS", "60000")
        .variable("MENDER_IOTHUB__HUB__LEASE_MS", "130000");
    installation.cli(&["setup"]).await?;
    let set = ["integration", "set", "--tier", "unlimited"];
    let hub = parts.hub.connection_string();
    installation.cli_with_input(&set, hub).await?;
    let mut stage = parts.with(installation.start().await?);
    let hung = json!({"rules": [{"path": "/devices/*", "delay_ms": 60_000}]});
    stage.hub.faults(&hung).await?;
    for n in 0..10 {
        let accepted = r#"{"status":"accepted","revision":1}"#;
        stage.publish(&format!("=.d{n}"), accepted).await?;
    }
    until(SOON, "ten records with an open request", async || {
        let records = messages_of(&stage.nats, "KV_iothub_devices").await?;
        Ok((records.len() == 10).then_some(()))
    })
    .await?;
    let begun = std::time::Instant::now();
    stage.worker.sigterm().await?;
    let took = begun.elapsed();
    println!("the worker ended within {took:?}, its work left undone");
    assert!(took < TO_STOP, "{took:?}");
    let context = stage.nats.jetstream().await?;
    let mut events = context.get_stream("IOTHUB_EVENTS").await?;
    let left = events.info().await?.state.messages;
    assert_eq!(left, 10, "none is acknowledged");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn commands_tell_in_json_what_the_worker_did() -> Result<()> {
    let stage = Stage::new("commands").await?;
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":7}"#)
        .await?;
    stage.tally(1).await?;
    let shown = stage
        .worker
        .cli(&["device", "show", "d1", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(
        (&shown["wanted"], &shown["settled"]),
        (&json!("enabled"), &json!(true))
    );
    let text = stage.worker.cli(&["device", "show", "d1"]).await?;
    assert!(
        text.stdout.contains("accepted (revision 7)"),
        "{}",
        text.stdout
    );
    let status = stage
        .worker
        .cli(&["status", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(status["outcomes"]["applied"], json!(1), "{status}");
    let integration = stage
        .worker
        .cli(&["integration", "show", "--output", "json"])
        .await?;
    let key = stage
        .hub
        .connection_string()
        .rsplit_once("SharedAccessKey=")
        .unwrap()
        .1;
    assert!(!integration.stdout.contains(key));
    assert_eq!(integration.json()?[0]["hub"], json!(stage.hub.hub()));
    let nobody = stage.worker.cli(&["device", "show", "nobody"]).await?;
    assert_eq!(nobody.code, Some(1));
    let again = stage
        .worker
        .cli(&["setup", "--output", "json"])
        .await?
        .json()?;
    let changes = again.as_array().unwrap();
    assert!(
        changes.iter().all(|change| change["action"] == "unchanged"),
        "{again}"
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_refused_credential_is_told_at_once_and_not_stored() -> Result<()> {
    let (parts, installation) = Parts::start("refused").await?;
    installation.cli(&["setup"]).await?;
    let (front, _) = parts
        .hub
        .connection_string()
        .rsplit_once("SharedAccessKey=")
        .unwrap();
    let wrong = format!("{front}SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3");
    let done = installation
        .cli_with_input(&["integration", "set"], &wrong)
        .await?;
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("refuses the credential"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("MDEyMzQ1"), "{}", done.stderr);
    let shown = installation
        .cli(&["integration", "show", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(shown, json!([]));
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn twins_are_read_and_set_over_request_and_reply() -> Result<()> {
    let stage = Stage::new("twins").await?;
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.tally(1).await?;
    let desired = stage.dir.path().join("desired.json");
    std::fs::write(
        &desired,
        r#"{"big":9007199254740993,"deep":{"a":[1,2.50]}}"#,
    )?;
    let path = desired.display().to_string();
    // 9007199254740993 is above what a hub takes, so it must be refused by the hub, not rounded.
    let refused = stage
        .worker
        .cli(&["twin", "set", "d1", "--desired", &path])
        .await?;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    std::fs::write(
        &desired,
        r#"{"big":4503599627370495,"deep":{"a":[1,2.50]}}"#,
    )?;
    let set = ["twin", "set", "d1", "--desired", &path, "--output", "json"];
    let twin = stage.worker.cli(&set).await?.json()?;
    let got = stage
        .worker
        .cli(&["twin", "get", "d1", "--output", "json"])
        .await?;
    assert!(got.stdout.contains("4503599627370495"), "{}", got.stdout);
    assert!(!got.stdout.contains("$metadata") && !got.stdout.contains("$version"));
    let got: Value = got.json()?;
    assert_eq!(got["etag"], twin["etag"]);
    assert_eq!(
        got["tags"],
        json!({"mender": true}),
        "set leaves tags alone"
    );
    let outdated = [
        "twin",
        "set",
        "d1",
        "--desired",
        &path,
        "--etag",
        "AAAAAAAAAAE=",
    ];
    let conflict = stage.worker.cli(&outdated).await?;
    assert!(conflict.stderr.contains("409"), "{}", conflict.stderr);
    let missing = stage.worker.cli(&["twin", "get", "d2"]).await?;
    assert!(missing.stderr.contains("404"), "{}", missing.stderr);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn commands_without_nats_say_where_they_looked() -> Result<()> {
    let dir = TestDir::new("nats-away")?;
    let mut nats = NatsServer::start(dir.path()).await?;
    let text = format!("[nats]\nurl = \"{}\"\n", nats.url());
    nats.process().kill9()?;
    let done = Installation::new(dir.path(), &text)
        .await?
        .cli(&["status"])
        .await?;
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("nats.url"), "{}", done.stderr);
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_integration_is_tested_and_not_removed_while_identities_are_left() -> Result<()> {
    let stage = Stage::new("remove").await?;
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.tally(1).await?;
    let tested = stage
        .worker
        .cli(&["integration", "test", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(tested["ok"], json!(true));
    let refused = stage.worker.cli(&["integration", "remove"]).await?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("1 identities"),
        "{}",
        refused.stderr
    );
    stage
        .publish("=.d1", r#"{"status":"decommissioned"}"#)
        .await?;
    stage.hub_shows("d1", None).await?;
    stage.tally(2).await?;
    let removed = stage
        .worker
        .cli(&["integration", "remove", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(removed["left_behind"], json!(0));
    stage
        .publish("=.d2", r#"{"status":"accepted","revision":1}"#)
        .await?;
    assert_eq!(stage.tally(3).await?.get("ignored"), Some(&1));
    let gone = stage.worker.cli(&["integration", "test"]).await?;
    assert!(gone.stderr.contains("no integration"), "{}", gone.stderr);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn devices_are_listed_in_pages_and_dead_letters_purged_when_meant() -> Result<()> {
    let stage = Stage::new("lists").await?;
    for n in 0..5 {
        stage
            .publish(&format!("=.d{n}"), r#"{"status":"pending","revision":1}"#)
            .await?;
    }
    stage.publish("=.d5", "{").await?;
    stage.tally(6).await?;
    let mut seen = Vec::new();
    let mut after = None::<String>;
    loop {
        let mut list = vec!["device", "list", "--limit", "2", "--output", "json"];
        list.extend(after.iter().flat_map(|place| ["--after", place]));
        let page = stage.worker.cli(&list).await?.json()?;
        let devices = page["devices"].as_array().unwrap();
        assert!(devices.len() <= 2, "{page}");
        seen.extend(
            devices
                .iter()
                .map(|device| device["device"].as_str().unwrap().to_owned()),
        );
        after = page["next"].as_str().map(ToOwned::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["d0", "d1", "d2", "d3", "d4"]);
    let parked = ["device", "list", "--state", "parked", "--output", "json"];
    assert_eq!(
        stage.worker.cli(&parked).await?.json()?["devices"],
        json!([])
    );
    let counted = stage
        .worker
        .cli(&["dlq", "purge", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(counted, json!({"would_remove": 1}));
    let purged = stage
        .worker
        .cli(&["dlq", "purge", "--yes", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(purged, json!({"removed": 1}));
    stage.dir.passed();
    Ok(())
}
