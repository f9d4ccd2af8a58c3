//! The sealing keys: where they come from, what starts without them, and their rotation.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use black_box::{Installation, until};
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, Stage, config};

const OLD: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NEW: &str = "bmV3IGtleSwgbmV3IGtleSwgbmV3IGtleSwgbmV3ISE=";
const TENANTS: [&str; 6] = ["t1", "t2", "t3", "t4", "t5", "t6"];

/// The stage's configuration with the keys from elsewhere (a line of TOML).
async fn keys_from(parts: &Parts, line: &str) -> Result<Installation> {
    let text = config(parts.nats.url(), &parts.hub, parts.mender.listen());
    let text = text.replace(&format!(r#"key = "{OLD}""#), line);
    ensure!(text.contains(line), "the configuration has another form");
    Installation::new(parts.dir.path(), &text).await
}

fn file(path: &Path) -> String {
    format!(r#"key_file = "{}""#, path.display())
}

async fn set(installation: &Installation, parts: &Parts, tenant: &str) -> Result<()> {
    let set = [
        "integration",
        "set",
        "--no-test",
        "--tier",
        "unlimited",
        "--tenant",
        tenant,
    ];
    let done = installation
        .cli_with_input(&set, parts.hub.connection_string())
        .await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    Ok(())
}

#[tokio::test]
async fn keys_come_from_a_command_and_a_wrong_or_missing_one_does_not_start() -> Result<()> {
    let (parts, _) = Parts::start("sealing-keys").await?;
    let place = parts.dir.path().join("sealing.key");
    std::fs::write(&place, OLD)?;
    let command = format!(r#"key_command = ["cat", "{}"]"#, place.display());
    let installation = keys_from(&parts, &command).await?;
    installation.cli(&["setup"]).await?;
    set(&installation, &parts, "").await?;
    let tested = installation.cli(&["integration", "test"]).await?;
    assert_eq!(tested.code, Some(0), "{}", tested.stderr);
    for (line, code, told) in [
        (format!(r#"key = "{NEW}""#), 1, "wrong sealing key"),
        (
            r#"key_command = ["false"]"#.to_owned(),
            1,
            "secrets.key_command",
        ),
        (
            r#"key_command = ["no-such-program"]"#.to_owned(),
            1,
            "secrets.key_command",
        ),
        (
            r#"key_command = ["echo", "short"]"#.to_owned(),
            2,
            "secrets.key_command",
        ),
        (r#"key_command = ["true"]"#.to_owned(), 2, "holds no key"),
        (r#"key = "c2hvcnQ=""#.to_owned(), 2, "secrets.key"),
        (format!("key = \"{OLD}\"\n{command}"), 2, "keep one"),
        (
            r#"key_file = "/does/not/exist""#.to_owned(),
            2,
            "secrets.key_file",
        ),
        (String::new(), 2, "is missing"),
    ] {
        let done = keys_from(&parts, &line).await?.cli(&["run"]).await?;
        assert_eq!(done.code, Some(code), "{line}: {}", done.stderr);
        let ends: Vec<_> = done
            .stderr
            .lines()
            .filter(|line| line.starts_with("mender-iothub: "))
            .collect();
        assert!(
            matches!(&ends[..], [end] if end.contains(told)),
            "{line}: {ends:?}"
        );
        for key in [OLD, NEW, "c2hvcnQ"] {
            assert!(!done.stderr.contains(key), "{}", done.stderr);
        }
    }
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn keys_are_rotated_while_the_worker_works() -> Result<()> {
    let (parts, _) = Parts::start("rotation").await?;
    let place = parts.dir.path().join("sealing.key");
    std::fs::write(&place, OLD)?;
    let installation = keys_from(&parts, &file(&place)).await?;
    installation.cli(&["setup"]).await?;
    let setting = TENANTS.map(|tenant| set(&installation, &parts, tenant));
    futures::future::try_join_all(setting).await?;
    let worker = installation.start().await?;
    let stage = Stage {
        worker,
        mender: parts.mender,
        hub: parts.hub,
        nats: parts.nats,
        dir: parts.dir,
    };
    let rotating = async {
        let dry = ["secrets", "rotate", "--dry-run", "--output", "json"];
        let before = installation.cli(&dry).await?.json()?;
        assert_eq!(
            (&before["left"], before["by_key"].as_object().unwrap().len()),
            (&json!(0), 1)
        );
        let old = before["current_key"].as_str().unwrap().to_owned();
        // The workers read this when they meet the new key, and not before.
        std::fs::write(&place, format!("{NEW}\n{OLD}\n"))?;
        let looked = installation.cli(&dry).await?;
        assert_eq!(looked.code, Some(1), "{}", looked.stdout);
        let looked: Value = serde_json::from_str(&looked.stdout)?;
        assert_eq!(
            (&looked["by_key"], &looked["left"]),
            (&json!({old: 6}), &json!(6))
        );
        // Two at once, as after an interruption: together they do each record once.
        let rotate = ["secrets", "rotate", "--output", "json"];
        let (one, other) = tokio::try_join!(installation.cli(&rotate), installation.cli(&rotate))?;
        let (one, other) = (one.json()?, other.json()?);
        let rotated = |it: &Value| it["rotated"].as_u64().unwrap();
        assert_eq!(rotated(&one) + rotated(&other), 6, "{one} {other}");
        let current = one["current_key"].as_str().unwrap();
        assert_eq!(one["by_key"], json!({current: 6}), "{one}");
        anyhow::Ok(())
    };
    let working = async {
        for n in 0..120 {
            let tenant = TENANTS[n % TENANTS.len()];
            let event = r#"{"status":"accepted","revision":1}"#;
            stage.publish(&format!("{tenant}.d{n}"), event).await?;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    };
    tokio::try_join!(rotating, working)?;
    assert_eq!(
        stage.tally(120).await?,
        [("applied".to_owned(), 120)].into()
    );
    let shown = ["integration", "show", "--tenant", "t1", "--output", "json"];
    let shown = installation.cli(&shown).await?.json()?;
    assert_eq!(
        shown[0]["generation"],
        json!(1),
        "a rotation changes no integration"
    );

    // Without the old key all is well; without the new one nothing is.
    std::fs::write(&place, NEW)?;
    let rotated = installation.cli(&["secrets", "rotate"]).await?;
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    std::fs::write(&place, OLD)?;
    let left = installation
        .cli(&["secrets", "rotate", "--output", "json"])
        .await?;
    assert_eq!(left.code, Some(1));
    let left: Value = serde_json::from_str(&left.stdout)?;
    assert_eq!(left["failed"].as_object().unwrap().len(), 6, "{left}");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_is_ended_by_the_next_one() -> Result<()> {
    let (parts, _) = Parts::start("half-rotated").await?;
    let place = parts.dir.path().join("sealing.key");
    std::fs::write(&place, OLD)?;
    let installation = keys_from(&parts, &file(&place)).await?;
    installation.cli(&["setup"]).await?;
    let setting = TENANTS.map(|tenant| set(&installation, &parts, tenant));
    futures::future::try_join_all(setting).await?;
    std::fs::write(&place, format!("{NEW} {OLD}"))?;
    // As a rotation leaves it that did two of six.
    let setting = [TENANTS[0], TENANTS[3]].map(|tenant| set(&installation, &parts, tenant));
    futures::future::try_join_all(setting).await?;
    let rotated = installation
        .cli(&["secrets", "rotate", "--output", "json"])
        .await?;
    assert_eq!(rotated.json()?["rotated"], json!(4));
    let again = installation
        .cli(&["secrets", "rotate", "--output", "json"])
        .await?;
    assert_eq!(again.json()?["rotated"], json!(0));
    parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_record_that_somebody_changed_stops_its_tenant_and_no_other() -> Result<()> {
    let stage = Stage::new("tampered").await?;
    let set = [
        "integration",
        "set",
        "--tier",
        "unlimited",
        "--tenant",
        "t1",
    ];
    let stdin = stage.dir.path().join("connection-string");
    std::fs::write(&stdin, stage.hub.connection_string())?;
    let path = stdin.display().to_string();
    let done = stage
        .worker
        .cli(&[&set[..], &["--credential-file", &path]].concat())
        .await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let bucket = stage
        .nats
        .jetstream()
        .await?
        .get_key_value("iothub_integrations")
        .await?;
    let stored = bucket.get("t1").await?.expect("stored above");
    let led = String::from_utf8(stored.to_vec())?.replace("localhost", "127.0.0.1");
    ensure!(led.as_bytes() != stored, "nothing was changed");
    bucket.put("t1", led.into()).await?;
    let tested = stage
        .worker
        .cli(&["integration", "test", "--tenant", "t1"])
        .await?;
    assert_eq!(tested.code, Some(1));
    assert!(
        tested.stderr.contains("damaged, changed, or moved"),
        "{}",
        tested.stderr
    );
    let event = r#"{"status":"accepted","revision":1}"#;
    stage.publish("t1.d1", event).await?;
    stage.publish("=.d2", event).await?;
    stage.hub_shows("d2", Some("enabled")).await?;
    until(SOON, "the log to tell", async || {
        let log = std::fs::read_to_string(stage.dir.path().join("mender-iothub.log"))?;
        Ok(log.contains("damaged, changed, or moved").then_some(()))
    })
    .await?;
    assert_eq!(stage.identity("d1").await?, None);
    stage.dir.passed();
    Ok(())
}
