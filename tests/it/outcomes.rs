//! The event log as operators read it: its past, its filters, and what comes while they look.

use std::io::BufRead as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use async_nats::HeaderMap;
use black_box::{Installation, NatsServer, TestDir, until};
use serde_json::{Value, json};

use crate::stage::SOON;

/// A server with our streams, and nobody who writes to them but the test.
async fn log(name: &str) -> Result<(TestDir, NatsServer, Installation)> {
    let dir = TestDir::new(name)?;
    let nats = NatsServer::start(dir.path()).await?;
    let config = format!("[nats]\nurl = \"{}\"\n", nats.url());
    let installation = Installation::new(dir.path(), &config).await?;
    let done = installation.cli(&["setup"]).await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    Ok((dir, nats, installation))
}

/// Writes the end of an event of device `dN`, as the worker does.
async fn write(nats: &NatsServer, tenant: &str, n: usize, how: &str, why: &str) -> Result<()> {
    let outcome = json!({
        "event_id": format!("E-{n}"), "tenant_id": tenant, "device_id": format!("d{n}"),
        "status": "accepted", "revision": n, "created_ts": null, "outcome": how, "reason": why,
        "replay": 0,
    });
    let mut headers = HeaderMap::new();
    headers.insert("Iothub-Outcome", how);
    let token = if tenant.is_empty() { "=" } else { tenant };
    let subject = format!("iothub.outcome.{token}.d{n}");
    let body = outcome.to_string().into();
    let context = nats.jetstream().await?;
    context
        .publish_with_headers(subject, headers, body)
        .await?
        .await?;
    Ok(())
}

fn devices(lines: &str) -> Result<Vec<String>> {
    let device = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        let device = line["device_id"].as_str();
        Ok(device.with_context(|| line.to_string())?.to_owned())
    };
    lines.lines().map(device).collect()
}

#[tokio::test]
async fn the_log_is_followed_over_a_restart_of_the_server_without_a_gap() -> Result<()> {
    let (dir, mut nats, installation) = log("outcomes-follow").await?;
    for n in 0..30 {
        write(&nats, "", n, "applied", "").await?;
    }
    let arguments = ["outcomes", "tail", "-n", "5", "--output", "json"];
    let mut tail = installation.start_command("tail", &arguments)?;
    let mut end = 30;
    for restart in [None, Some(false), Some(true)] {
        if restart == Some(true) {
            nats.restart().await?;
        }
        let begin = end;
        end += restart.map_or(0, |_| 10);
        for n in begin..end {
            write(&nats, "", n, "applied", "").await?;
        }
        let expected: Vec<_> = (25..end).map(|n| format!("d{n}")).collect();
        let lines = format!("{} lines", expected.len());
        let seen = until(SOON, &lines, async || {
            tail.must_run()?;
            let seen = devices(&tail.stdout()?)?;
            Ok((seen.len() >= expected.len()).then_some(seen))
        });
        assert_eq!(seen.await?, expected);
    }
    let ended = tail.interrupt(SOON).await?;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_to_string(tail.log())?, "");
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn filters_and_limits_leave_what_they_say_and_nothing_hostile_is_printed() -> Result<()> {
    let (dir, nats, installation) = log("outcomes-past").await?;
    let show = async |more: &[&str]| {
        let all = [
            &["outcomes", "tail", "--no-follow", "--output", "json"],
            more,
        ]
        .concat();
        let done = installation.cli(&all).await?;
        ensure!(done.code == Some(0), "{more:?}: {}", done.stderr);
        devices(&done.stdout)
    };
    assert!(show(&[]).await?.is_empty(), "an empty log");
    for n in 0..12 {
        let how = if n % 4 == 0 { "dead" } else { "applied" };
        let tenant = if n < 6 { "" } else { "t1" };
        write(&nats, tenant, n, how, "\u{1b}[2J\u{9b}2Jof\nit").await?;
    }
    let numbers = |range: &[u32]| range.iter().map(|n| format!("d{n}")).collect::<Vec<_>>();
    for (arguments, expected) in [
        (&[][..], &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11][..]),
        (&["--lines", "2"], &[10, 11]),
        (&["--limit", "0"], &[]),
        (&["--tenant", "", "-n", "2"], &[4, 5]),
        (&["--device", "d7"], &[7]),
        (&["--outcome", "dead"], &[0, 4, 8]),
        (&["--outcome", "dead", "-n", "1"], &[8]),
        (&["--outcome", "dead,ignored", "--tenant", "t1"], &[8]),
        (&["--since", "1h", "-n", "1"], &[11]),
        (&["--since", "1h"], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (&["--since", "2099-01-01T00:00:00Z"], &[]),
    ] {
        assert_eq!(show(arguments).await?, numbers(expected), "{arguments:?}");
    }
    let text = installation
        .cli(&["outcomes", "tail", "--no-follow"])
        .await?;
    assert_eq!(text.stdout.lines().count(), 10, "{}", text.stdout);
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(!text.stdout.contains(strange), "{:?}", text.stdout);
    assert!(
        text.stdout.contains("d11 of tenant \"t1\""),
        "{}",
        text.stdout
    );

    // Whoever reads only the first line, as `head` does, is not told of a broken pipe.
    let mut command = installation.command(&["outcomes", "tail"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut output = std::io::BufReader::new(child.stdout.take().context("a pipe")?);
    output.read_line(&mut String::new())?;
    drop(output);
    let status = until(SOON, "the reader's end to be noticed", async || {
        write(&nats, "", 99, "applied", "").await?;
        Ok(child.try_wait()?)
    })
    .await?;
    let said = std::io::read_to_string(child.stderr.take().context("a pipe")?)?;
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    dir.passed();
    Ok(())
}
