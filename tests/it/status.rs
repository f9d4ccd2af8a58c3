//! What operators see: `status`, its screen, and what is known of single devices.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use black_box::until;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stage::{SOON, Stage};

const ACCEPTED: &str = r#"{"status":"accepted","revision":1}"#;

async fn status(stage: &Stage) -> Result<Value> {
    stage
        .worker
        .cli(&["status", "--output", "json"])
        .await?
        .json()
}

/// How many records are so, in what `status` tells.
fn records(status: &Value, wanted: &str, hub: &str, state: &str) -> u64 {
    let rows = status["records"]["by_state"]
        .as_array()
        .into_iter()
        .flatten();
    let of = |row: &&Value| row["wanted"] == wanted && row["hub"] == hub && row["state"] == state;
    rows.filter(of)
        .filter_map(|row| row["records"].as_u64())
        .sum()
}

#[tokio::test]
async fn one_screen_tells_what_workers_and_hubs_are_doing() -> Result<()> {
    let mut stage = Stage::new("status").await?;
    stage.publish("=.d1", ACCEPTED).await?;
    stage
        .publish("=.d2", r#"{"status":"rejected","revision":1}"#)
        .await?;
    stage.publish("=.d3", "{").await?;
    stage.tally(3).await?;
    let shown = status(&stage).await?;
    let worker = &shown["workers"]["answers"][0];
    assert_eq!(worker["waiting"], json!([]), "{shown}");
    assert_eq!(shown["hubs"][0]["hub"], json!(stage.hub.hub()), "{shown}");
    assert_eq!(
        records(&shown, "enabled", "enabled", "settled"),
        1,
        "{shown}"
    );
    assert_eq!(
        records(&shown, "disabled", "absent", "settled"),
        1,
        "{shown}"
    );
    assert_eq!(
        shown["dead_letters"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    assert_eq!(shown["backlog"]["events"], json!(0));

    // The hub refuses the credential, and throttles.
    let refuses = json!({"rules": [{"name": "key", "path": "/devices/*", "status": 401}]});
    stage.hub.faults(&refuses).await?;
    stage.publish("=.d4", ACCEPTED).await?;
    let shown = until(SOON, "the suspension", async || {
        let shown = status(&stage).await?;
        Ok(shown["suspended"][0].is_object().then_some(shown))
    })
    .await?;
    let suspended = &shown["suspended"][0];
    assert_eq!(suspended["tenant"], json!(""), "{shown}");
    assert!(
        suspended["reason"]
            .as_str()
            .is_some_and(|why| why.contains("401")),
        "{shown}"
    );
    assert_eq!(
        records(&shown, "enabled", "unknown", "working"),
        1,
        "{shown}"
    );
    let text = stage.worker.cli(&["status"]).await?.stdout;
    for part in [
        "1 of 1 ready",
        "SUSPENDED TENANT",
        "DEAD LETTERS",
        "IN THE HUB",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    // Without a worker the events wait, and their age is told.
    stage.worker.sigterm().await?;
    stage.publish("=.d5", ACCEPTED).await?;
    let shown = until(SOON, "an age of the backlog", async || {
        let shown = status(&stage).await?;
        let age = shown["backlog"]["oldest_seconds"].as_u64();
        Ok(age.is_some_and(|age| age > 0).then_some(shown))
    })
    .await?;
    assert_eq!(shown["backlog"]["events"], json!(1), "{shown}");
    assert_eq!(shown["workers"], json!({"answers": [], "nobody": true}));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_watched_screen_is_redrawn_in_place_and_left_as_it_was_found() -> Result<()> {
    let stage = Stage::new("watch").await?;
    let watch = ["status", "--watch", "--every-s", "1"];
    let installation = stage.worker.installation();
    let mut terminal = installation.on_terminal(&watch, (100, 30))?;
    let shows = async |what: &str| {
        until(SOON, what, async || {
            Ok(terminal.shown().contains(what).then_some(()))
        })
        .await
    };
    shows("0 applied").await?;
    stage.publish("=.d1", ACCEPTED).await?;
    shows("1 applied").await?;
    // What does not fit is said to be missing, at once.
    terminal.resize((100, 6))?;
    terminal.signal(Signal::WINCH)?;
    shows("lines more").await?;
    terminal.signal(Signal::INT)?;
    let ended = terminal.ended().await?;
    let screen = terminal.shown();
    ensure!(ended.success(), "{ended}: {screen}");
    let (entered, left) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    assert_eq!(screen.matches(entered).count(), 1, "{screen:?}");
    assert!(screen.ends_with(left), "{screen:?}");
    assert!(
        screen.rfind("\u{1b}[?25h") > screen.rfind("\u{1b}[?25l"),
        "{screen:?}"
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_terminal_each_state_is_a_line_of_json() -> Result<()> {
    let mut stage = Stage::new("watch-json").await?;
    let watch = ["status", "--watch", "--every-s", "1", "--output", "json"];
    let mut watching = stage.worker.installation().spawn("watch", &watch)?;
    let read = || -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(stage.dir.path().join("watch.out"))?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    };
    until(SOON, "two states", async || {
        Ok((read()?.len() >= 2).then_some(()))
    })
    .await?;
    // NATS goes away and comes back: the command goes on.
    stage.nats.restart().await?;
    stage.publish("=.d1", ACCEPTED).await?;
    let last = until(SOON, "the new state", async || {
        let last = read()?.pop().context("a state")?;
        Ok((last["outcomes"]["applied"] == 1).then_some(last))
    })
    .await?;
    assert!(!last.to_string().contains('\u{1b}'));
    let ended = watching.stop(Duration::from_secs(10)).await?;
    ensure!(ended.success(), "{ended}");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_device_shows_what_happened_to_it_and_lists_are_filtered() -> Result<()> {
    let stage = Stage::new("device").await?;
    stage.publish("=.d1", ACCEPTED).await?;
    stage.tally(1).await?;
    stage
        .publish("=.d1", r#"{"status":"rejected","revision":2}"#)
        .await?;
    stage
        .publish("=.d2", r#"{"status":"pending","revision":1}"#)
        .await?;
    stage.publish("=.d3", "{").await?;
    stage.tally(4).await?;
    let run = async |arguments: &[&str]| stage.worker.cli(arguments).await;
    let json_of = async |arguments: &[&str]| {
        let all = [arguments, &["--output", "json"]].concat();
        run(&all).await?.json()
    };

    let history = json_of(&["device", "history", "d1"]).await?;
    let ended: Vec<_> = history["outcomes"]
        .as_array()
        .context("outcomes")?
        .iter()
        .collect();
    let told: Vec<_> = ended
        .iter()
        .map(|it| (&it["status"], &it["revision"]))
        .collect();
    let expected = [(json!("rejected"), json!(2)), (json!("accepted"), json!(1))];
    assert_eq!(
        told,
        expected.each_ref().map(|(a, b)| (a, b)),
        "newest first"
    );
    assert!(ended.iter().all(|it| it["time"].is_string()), "{history}");
    let text = run(&["device", "show", "d1"]).await?.stdout;
    for part in [
        "rejected (revision 2)",
        "disabled, made by us",
        "settled",
        "last events",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    // Nothing could be read of it, and yet it is not unknown.
    let text = run(&["device", "show", "d3"]).await?.stdout;
    assert!(
        text.contains("dead letter") && text.contains("dlq show"),
        "{text}"
    );
    let history = json_of(&["device", "history", "d3"]).await?;
    assert_eq!(
        history["dead_letters"][0]["class"],
        json!("malformed"),
        "{history}"
    );
    let nobody = run(&["device", "history", "nobody"]).await?;
    assert_eq!(nobody.code, Some(1), "{}", nobody.stdout);

    for (filter, expected) in [
        (&["--wanted", "disabled"][..], &["d1", "d2"][..]),
        (&["--wanted", "enabled"], &[]),
        (&["--state", "settled"], &["d1", "d2"]),
        (&["--error"], &[]),
        (&["--unchanged-for", "1d"], &[]),
    ] {
        let listed = json_of(&[&["device", "list"], filter].concat()).await?;
        let devices = listed["devices"].as_array().context("devices")?;
        let ids: Vec<_> = devices
            .iter()
            .filter_map(|it| it["device"].as_str())
            .collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    stage.dir.passed();
    Ok(())
}
