//! What bad input gets: one dead letter with the reason and the original bytes, and no hub call.

use anyhow::Result;
use black_box::until;
use serde_json::json;

use crate::stage::{SOON, Stage};

/// The tail of each subject, and the body.
fn bad_events() -> Vec<(String, Vec<u8>)> {
    let long = "x".repeat(129);
    let good = br#"{"status":"accepted","revision":1}"#.to_vec();
    vec![
        ("=.d1".into(), b"{".to_vec()),
        ("=.d1".into(), b"".to_vec()),
        ("=.d1".into(), b"\xff\xfe{}".to_vec()),
        (
            "=.d1".into(),
            br#"{"status":"quarantined","revision":1}"#.to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","revision":-1}"#.to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","revision":1,"revision":2}"#.to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","tenant_id":"other"}"#.to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","device_id":"d2"}"#.to_vec(),
        ),
        (
            "=.a=3Bb".into(),
            br#"{"status":"accepted","revision":1}"#.to_vec(),
        ),
        (
            "=.=2E=2E".into(),
            br#"{"status":"accepted","revision":1}"#.to_vec(),
        ),
        (
            "=.a=2Fb".into(),
            br#"{"status":"accepted","revision":1}"#.to_vec(),
        ),
        (
            format!("=.{long}"),
            br#"{"status":"accepted","revision":1}"#.to_vec(),
        ),
        (
            "=.=41".into(),
            br#"{"status":"accepted","revision":1}"#.to_vec(),
        ),
        ("=.a=0Ab".into(), good.clone()),
        ("=.=3E".into(), good.clone()),
        ("=.=C3=A9".into(), good.clone()),
        ("=.a=00".into(), good),
        ("=.d1".into(), b"{\"status\":\"accepted\\u0000\"}".to_vec()),
        (
            "=.d1".into(),
            b"{\"status\":\"accepted\",\"revision\":1\0}".to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","revision":1e400}"#.to_vec(),
        ),
        (
            "=.d1".into(),
            br#"{"status":"accepted","revision":18446744073709551616}"#.to_vec(),
        ),
        ("=.d1".into(), vec![b'['; 200_000]),
        ("=.d1".into(), vec![b' '; 700_000]),
    ]
}

/// Waits until the log tells how each of so many events ended; then none of these texts is in it, and
/// nothing that a terminal would obey.
async fn nothing_raw_is_in_the_log(stage: &mut Stage, events: usize, raw: &[&str]) -> Result<()> {
    let file = stage.worker.process().log().to_owned();
    let log = until(SOON, "a line about each", async || {
        let log = std::fs::read_to_string(&file)?;
        Ok((log.matches("event ended").count() >= events).then_some(log))
    })
    .await?;
    let printable = |c: char| c == '\n' || !c.is_control();
    assert!(log.chars().all(printable), "{log:?}");
    for raw in raw {
        assert!(!log.contains(raw), "{raw:?} is in the log: {log}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_events_become_dead_letters_with_their_bytes_and_the_worker_goes_on() -> Result<()> {
    let mut stage = Stage::new("bad-events").await?;
    let bad = bad_events();
    for (tail, body) in &bad {
        stage.publish(tail, body.clone()).await?;
    }
    let letters = stage.dead_letters(bad.len()).await?;
    assert_eq!(letters.len(), bad.len());
    for ((tail, body), letter) in bad.iter().zip(&letters) {
        assert_eq!(&letter.payload[..], &body[..], "{tail}");
        let headers = letter.headers.as_ref().expect("headers");
        let class = headers.get("Iothub-Dlq-Class").map(ToString::to_string);
        assert_eq!(class.as_deref(), Some("malformed"), "{tail}");
        let reason = headers.get("Iothub-Dlq-Reason").map(ToString::to_string);
        assert!(reason.is_some_and(|reason| reason.len() > 5), "{tail}");
    }
    assert_eq!(stage.tally(bad.len()).await?.get("dead"), Some(&bad.len()));
    let raw = [
        "a\nb",
        "quarantined",
        "a;b",
        "a/b",
        "\u{e9}",
        "1e400",
        "[[[[",
        "xxxxxxxx",
    ];
    nothing_raw_is_in_the_log(&mut stage, bad.len(), &raw).await?;
    let metrics = stage.worker.http().text("/metrics").await?;
    let counted = format!(
        "mender_iothub_events_total{{outcome=\"dead\"}} {}",
        bad.len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
    assert!(
        stage
            .hub
            .journal()
            .await?
            .iter()
            .all(|call| call.device.as_deref() != Some("d1"))
    );
    stage
        .publish("=.good", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.hub_shows("good", Some("enabled")).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn bad_messages_from_mender_become_dead_letters_and_good_devices_beside_bad_ones_go_on()
-> Result<()> {
    let mut stage = Stage::new("bad-mender").await?;
    let mixed = r#"{"devices":[{"id":"good-1","revision":3},{"id":"a;b","revision":3},{"id":"good-2","revision":4}],"event":"device-status-changed","request_id":"r","status":"accepted","tenant_id":""}"#;
    for body in ["{", r#"{"event":"device-sold","tenant_id":""}"#, mixed] {
        let raw = json!({"subject": "lifecycle.device.status", "body": body});
        stage
            .mender
            .control()
            .post::<serde_json::Value>("/simulator/raw", &raw)
            .await?;
    }
    stage.hub_shows("good-1", Some("enabled")).await?;
    stage.hub_shows("good-2", Some("enabled")).await?;
    let letters = stage.dead_letters(3).await?;
    assert!(
        letters
            .iter()
            .any(|letter| letter.payload == mixed.as_bytes())
    );
    let tally = stage.tally(5).await?;
    assert_eq!(
        (tally.get("dead"), tally.get("applied")),
        (Some(&3), Some(&2))
    );
    nothing_raw_is_in_the_log(&mut stage, 5, &["a;b", "device-sold"]).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_can_be_seen_explained_and_replayed() -> Result<()> {
    let stage = Stage::new("replay").await?;
    let refuse = json!({"rules": [{"name": "refuse", "method": "PUT", "path": "/devices/*",
        "effect": "before", "status": 400, "error": "ArgumentInvalid"}]});
    stage.hub.faults(&refuse).await?;
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.dead_letters(1).await?;
    let listed = stage
        .worker
        .cli(&["dlq", "list", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(listed[0]["class"], "permanent", "{listed}");
    let number = listed[0]["sequence"].to_string();
    let shown = stage.worker.cli(&["dlq", "show", &number]).await?;
    assert!(shown.stdout.contains(r#""revision":1"#), "{}", shown.stdout);
    stage.hub.faults(&json!({"rules": []})).await?;
    let replayed = stage
        .worker
        .cli(&["dlq", "replay", &number, "--output", "json"])
        .await?;
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    stage.hub_shows("d1", Some("enabled")).await?;
    let ended = stage.outcomes(1).await?;
    assert_eq!(ended.len(), 1, "the replay is the same event: {ended:?}");
    until(SOON, "the event to be applied", async || {
        let ended = stage.outcomes(1).await?;
        Ok(ended
            .values()
            .all(|outcome| outcome["outcome"] == "applied")
            .then_some(()))
    })
    .await?;
    let listed = stage
        .worker
        .cli(&["dlq", "list", "--output", "json"])
        .await?
        .json()?;
    assert_eq!(listed, json!([]));
    stage.dir.passed();
    Ok(())
}
