//! The commands for people.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use black_box::binaries::Binary;
use black_box::{Installation, until};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

use super::BackEnd;
use crate::stage::{SOON, Stage, config};

/// A script that stands in for an editor; its argument is the file.
fn editor(dir: &Path, name: &str, script: &str) -> Result<String> {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

async fn with_editor(stage: &Stage, editor: &str) -> Result<Installation> {
    let text = config(stage.nats.url(), &stage.hub, stage.mender.listen());
    let installation = Installation::new(stage.dir.path(), &text).await?;
    let temp = stage.dir.path().display().to_string();
    Ok(installation
        .variable("VISUAL", "")
        .variable("EDITOR", editor)
        .variable("TMPDIR", &temp))
}

#[tokio::test]
async fn an_edit_in_an_editor_is_set_unless_somebody_else_was_faster() -> Result<()> {
    let stage = Stage::with_devices("twin-editor", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    back_end
        .done("set.=.d1", r#"{"desired":{"rate":1.10,"a":1}}"#)
        .await?;
    let dir = stage.dir.path();
    let change = editor(dir, "change", r#"sed -i 's/"a": 1/"a": 2/' "$1""#)?;
    let installation = with_editor(&stage, &change).await?;
    let done = installation
        .cli(&["twin", "edit", "d1", "--output", "json"])
        .await?;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("1.10"),
        "digits are kept: {}",
        done.stdout
    );
    assert_eq!(done.json()?["desired"]["a"], json!(2));

    let quit = with_editor(&stage, "true").await?;
    let before = back_end.done("get.=.d1", "").await?;
    let done = quit.cli(&["twin", "edit", "d1"]).await?;
    assert!(
        done.stderr.contains("nothing was changed"),
        "{}",
        done.stderr
    );
    assert_eq!(back_end.done("get.=.d1", "").await?, before);

    // While the editor is open, somebody else edits.
    let other = r#"{"desired":{"rate":5,"a":2}}"#;
    let worker = stage.worker.cli(&["twin", "get", "d1"]).await?;
    assert!(!worker.stdout.contains('\u{1b}'), "no colours in a pipe");
    let flag = dir.join("go").display().to_string();
    let script = format!(
        "echo '{{\"mine\":true}}' > \"$1\"; touch {flag}.open; while [ ! -e {flag} ]; do sleep 0.05; done"
    );
    let slow = with_editor(&stage, &editor(dir, "slow", &script)?).await?;
    let editing = tokio::spawn(async move { slow.cli(&["twin", "edit", "d1"]).await });
    until(SOON, "the editor to open", async || {
        Ok(Path::new(&format!("{flag}.open")).exists().then_some(()))
    })
    .await?;
    back_end.done("set.=.d1", other).await?;
    std::fs::write(&flag, "")?;
    let lost = editing.await??;
    assert_eq!(lost.code, Some(1), "{}", lost.stdout);
    assert!(
        lost.stderr.contains("~ desired.rate  1.10 -> 5"),
        "{}",
        lost.stderr
    );
    assert!(lost.stderr.contains("409"), "{}", lost.stderr);
    let kept = lost.stderr.split("kept in ").nth(1).context("not kept")?;
    let kept = kept.split(':').next().unwrap_or_default().trim();
    assert!(std::fs::read_to_string(kept)?.contains("mine"), "{kept}");
    let now = back_end.done("get.=.d1", "").await?;
    assert_eq!(now["desired"], json!({"rate": 5, "a": 2}));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn twins_are_patched_listed_and_called_by_command() -> Result<()> {
    let stage = Stage::with_devices("twin-commands", &["d1", "d2"]).await?;
    let tags = stage.dir.path().join("tags.json");
    std::fs::write(&tags, r#"{"site":"north"}"#)?;
    let tags = tags.display().to_string();
    let run = async |arguments: &[&str]| stage.worker.cli(arguments).await;
    let done = run(&["twin", "patch", "d1", "--tags", &tags]).await?;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("site    \"north\""),
        "aligned: {}",
        done.stdout
    );
    let north = "SELECT * FROM devices WHERE tags.site = 'north'";
    let found = run(&["twin", "query", north, "--output", "json"])
        .await?
        .json()?;
    assert_eq!(found[0]["device"], json!("d1"));
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let some = run(&["twin", "query", "--limit", "1"]).await?;
    assert!(some.stderr.contains("--limit"), "{}", some.stderr);
    let wrong = run(&["twin", "query", "SELECT COUNT() FROM devices"]).await?;
    assert_eq!(wrong.code, Some(1));

    let script = json!({"methods": {"reboot": {"status": 200, "payload": "bye"}}});
    let control = stage.hub.control();
    control
        .put::<Value>("/devices/d1/behaviour", &script)
        .await?;
    let called = run(&["twin", "method", "d1", "reboot"]).await?;
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    assert!(called.stdout.contains("bye"), "{}", called.stdout);
    let offline = run(&["twin", "method", "d2", "reboot"]).await?;
    assert_eq!(offline.code, Some(1), "{}", offline.stdout);
    let job = [
        "twin", "job", "create", "note", "--tags", &tags, "--output", "json",
    ];
    assert_eq!(run(&job).await?.json()?["id"], json!("note"));
    until(SOON, "the job to complete", async || {
        let job = run(&["twin", "job", "get", "note", "--output", "json"]).await?;
        Ok((job.json()?["status"] == json!("completed")).then_some(()))
    })
    .await?;
    let late = run(&["twin", "job", "cancel", "note"]).await?;
    assert!(late.stderr.contains("409"), "{}", late.stderr);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn watching_a_twin_shows_what_changes() -> Result<()> {
    let stage = Stage::with_devices("twin-watch", &["d1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    back_end.done("set.=.d1", r#"{"desired":{"a":1}}"#).await?;
    let installation = with_editor(&stage, "false").await?;
    let binary = Binary::MenderIothub.path().await?;
    let mut command = tokio::process::Command::new(binary);
    command.args([
        "twin",
        "get",
        "d1",
        "--watch",
        "--every-s",
        "1",
        "--output",
        "json",
    ]);
    command.arg("--config").arg(installation.config());
    command.stdout(Stdio::piped()).kill_on_drop(true);
    let mut watch = command.spawn()?;
    let stdout = watch.stdout.take().context("no output")?;
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    let mut next = async || -> Result<Value> {
        let line = tokio::time::timeout(SOON, lines.next_line()).await??;
        Ok(serde_json::from_str(&line.context("it ended")?)?)
    };
    assert_eq!(next().await?["desired"], json!({"a": 1}));
    back_end
        .done("patch.=.d1", r#"{"desired":{"a":2}}"#)
        .await?;
    assert_eq!(next().await?["desired"], json!({"a": 2}));
    watch.kill().await?;
    stage.dir.passed();
    Ok(())
}
