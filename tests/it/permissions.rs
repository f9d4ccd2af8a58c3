//! The users of `deploy/nats`: what each may do, and that it may do nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use async_nats::{Client, Event, HeaderMap, jetstream};
use black_box::secured::{self, USERS};
use black_box::{Emulator, Installation, SecuredNats, Simulator, TestDir, until, workspace};
use serde_json::{Value, json};

use crate::stage::{SOON, config};

/// A subject that nobody may use: its refusal shows that all before it were judged.
const LAST: &str = "nobody.may";
const NOBODY: &[&str] = &[];
const WEBHOOK_SECRET: &str = "whsec_d2ViaG9vay1zZWNyZXQtb2YtMzItYnl0ZXMhISEhISE=";

/// Subjects, and the users who may publish on them. Among them is what would be the end of somebody
/// else's secrets, devices or streams.
const PUBLISH: &[(&str, &[&str])] = &[
    // Events and what follows from them.
    ("WORKFLOWS.lifecycle.device.status", &["mender"]),
    ("WORKFLOWS.default", &["mender"]),
    ("iothub.event.=.d", &["worker", "operator"]),
    ("iothub.event.other.d", &["worker", "operator"]),
    ("iothub.event.=.d.e", NOBODY),
    ("iothub.retry.=.d", &["worker", "operator"]),
    ("iothub.outcome.=.d", &["worker"]),
    ("iothub.audit.=.d", &["worker"]),
    ("iothub.dlq.=.d.e", &["worker"]),
    ("iothub.ops.status", &["operator"]),
    // Twins.
    ("iothub.twin.get.=.d", &["reader", "editor", "operator"]),
    ("iothub.twin.get.=.d.m", &["reader", "editor", "operator"]),
    ("iothub.twin.query.=", &["reader", "editor"]),
    ("iothub.twin.job-get.=", &["reader", "editor"]),
    ("iothub.twin.set.=.d", &["editor"]),
    ("iothub.twin.set.=.d.m", &["editor"]),
    ("iothub.twin.patch.=.d", &["editor"]),
    ("iothub.twin.method.=.d", &["editor"]),
    ("iothub.twin.job-create.=", &["editor"]),
    ("iothub.twin.job-cancel.=", &["editor"]),
    // Of other tenants.
    ("iothub.twin.get.other.d", &["operator"]),
    ("iothub.twin.query.other", NOBODY),
    ("iothub.twin.job-get.other", NOBODY),
    ("iothub.twin.set.other.d", NOBODY),
    ("iothub.twin.set.=2A.d", NOBODY),
    ("iothub.twin.patch.other.d", NOBODY),
    ("iothub.twin.method.other.d", NOBODY),
    ("iothub.twin.job-create.other", NOBODY),
    ("iothub.twin.job-cancel.other", NOBODY),
    // Records and credentials.
    ("$KV.iothub_devices.=.d", &["worker", "operator"]),
    ("$KV.iothub_integrations.=", &["worker", "setup"]),
    (
        "$JS.API.STREAM.MSG.GET.KV_iothub_integrations",
        &["worker", "setup", "operator"],
    ),
    ("$JS.API.STREAM.MSG.DELETE.KV_iothub_integrations", NOBODY),
    ("$JS.API.DIRECT.GET.KV_iothub_integrations", NOBODY),
    // Webhooks.
    ("$KV.iothub_webhooks.=", &["setup"]),
    (
        "$JS.API.STREAM.MSG.GET.KV_iothub_webhooks",
        &["worker", "setup", "operator"],
    ),
    ("$JS.API.STREAM.MSG.DELETE.KV_iothub_webhooks", NOBODY),
    ("$JS.API.DIRECT.GET.KV_iothub_webhooks", NOBODY),
    (
        "$JS.API.CONSUMER.CREATE.IOTHUB_OUTCOMES.iothub-webhook-=.iothub.outcome.=.*",
        &["worker", "setup", "operator"],
    ),
    (
        "$JS.API.CONSUMER.MSG.NEXT.IOTHUB_OUTCOMES.iothub-webhook-=",
        &["worker", "operator"],
    ),
    (
        "$JS.ACK.IOTHUB_OUTCOMES.iothub-webhook-=.1.1.1.1.0",
        &["worker"],
    ),
    // Dead letters. The worker replays them for those who may ask it to.
    ("iothub.ops.dlq.replay", &["operator"]),
    ("iothub.ops.dlq.purge", NOBODY),
    ("$JS.API.DIRECT.GET.IOTHUB_DLQ", &["worker", "operator"]),
    (
        "$JS.API.STREAM.MSG.DELETE.IOTHUB_DLQ",
        &["worker", "operator"],
    ),
    ("$JS.API.STREAM.PURGE.IOTHUB_DLQ", &["operator"]),
    (
        "$JS.API.CONSUMER.CREATE.IOTHUB_DLQ.a.iothub.dlq.*.*.*",
        &["worker", "operator"],
    ),
    (
        "$JS.API.CONSUMER.CREATE.IOTHUB_OUTCOMES.a.iothub.outcome.*.*",
        &["worker", "setup", "operator"],
    ),
    // Streams and consumers.
    ("$JS.API.STREAM.CREATE.WORKFLOWS", &["mender"]),
    ("$JS.API.STREAM.UPDATE.WORKFLOWS", NOBODY),
    ("$JS.API.STREAM.CREATE.IOTHUB_EVENTS", &["setup"]),
    ("$JS.API.STREAM.UPDATE.IOTHUB_EVENTS", &["setup"]),
    ("$JS.API.STREAM.CREATE.EVIL", NOBODY),
    ("$JS.API.STREAM.DELETE.IOTHUB_EVENTS", NOBODY),
    ("$JS.API.STREAM.DELETE.IOTHUB_OUTCOMES", NOBODY),
    ("$JS.API.STREAM.DELETE.KV_iothub_devices", NOBODY),
    ("$JS.API.STREAM.DELETE.WORKFLOWS", NOBODY),
    ("$JS.API.STREAM.PURGE.IOTHUB_EVENTS", NOBODY),
    ("$JS.API.STREAM.PURGE.IOTHUB_OUTCOMES", NOBODY),
    ("$JS.API.STREAM.PURGE.KV_iothub_devices", NOBODY),
    ("$JS.API.STREAM.RESTORE.IOTHUB_EVENTS", NOBODY),
    ("$JS.API.STREAM.SNAPSHOT.KV_iothub_integrations", NOBODY),
    ("$JS.API.STREAM.MSG.DELETE.IOTHUB_OUTCOMES", NOBODY),
    ("$JS.API.STREAM.MSG.DELETE.IOTHUB_EVENTS", &["worker"]),
    ("$JS.API.STREAM.MSG.DELETE.WORKFLOWS", &["worker"]),
    ("$JS.API.STREAM.MSG.GET.IOTHUB_EVENTS", &["worker"]),
    ("$JS.API.DIRECT.GET.IOTHUB_EVENTS", &["operator"]),
    ("$JS.API.INFO", &["mender", "operator"]),
    (
        "$JS.API.CONSUMER.LIST.WORKFLOWS",
        &["worker", "setup", "operator"],
    ),
    ("$JS.API.STREAM.LIST", NOBODY),
    ("$JS.API.STREAM.NAMES", NOBODY),
    ("$JS.API.STREAM.PEER.REMOVE.IOTHUB_EVENTS", NOBODY),
    ("$JS.API.STREAM.LEADER.STEPDOWN.IOTHUB_EVENTS", NOBODY),
    (
        "$JS.API.CONSUMER.MSG.NEXT.IOTHUB_EVENTS.iothub-worker",
        &["worker"],
    ),
    ("$JS.ACK.IOTHUB_EVENTS.iothub-worker.1.1.1.1.0", &["worker"]),
    ("$JS.API.CONSUMER.CREATE.IOTHUB_EVENTS.evil", NOBODY),
    (
        "$JS.API.CONSUMER.CREATE.WORKFLOWS.evil.WORKFLOWS.lifecycle.>",
        NOBODY,
    ),
    (
        "$JS.API.CONSUMER.DELETE.IOTHUB_EVENTS.iothub-worker",
        NOBODY,
    ),
    ("$JS.API.CONSUMER.DELETE.WORKFLOWS.iothub-ingest", NOBODY),
    (
        "$JS.API.CONSUMER.MSG.NEXT.WORKFLOWS.iothub-ingest",
        &["worker"],
    ),
    (
        "$JS.API.CONSUMER.MSG.NEXT.WORKFLOWS.workflows-worker",
        &["mender"],
    ),
    ("$JS.API.CONSUMER.PAUSE.IOTHUB_EVENTS.iothub-worker", NOBODY),
    ("$JS.API.ACCOUNT.PURGE.IOTHUB", NOBODY),
    ("$JS.API.META.LEADER.STEPDOWN", NOBODY),
    ("$SYS.REQ.SERVER.PING", NOBODY),
    ("$SYS.REQ.ACCOUNT.IOTHUB.CONNZ", NOBODY),
    // Into the replies of others.
    ("_INBOX.x.y", NOBODY),
    ("_INBOX_worker.x.y", NOBODY),
    ("_INBOX_reader.x.y", NOBODY),
    ("_INBOX_editor.x.y", NOBODY),
];

/// Subjects, perhaps with a queue, and the users who may subscribe to them.
const SUBSCRIBE: &[(&str, Option<&str>, &[&str])] = &[
    (">", None, NOBODY),
    ("*", None, NOBODY),
    (">", Some("iothub-twin"), NOBODY),
    ("_INBOX.>", None, &["mender"]),
    ("_INBOX_worker.>", None, &["worker"]),
    ("_INBOX_setup.>", None, &["setup"]),
    ("_INBOX_operator.>", None, &["operator"]),
    ("_INBOX_reader.>", None, &["reader"]),
    ("_INBOX_editor.>", None, &["editor"]),
    ("_INBOX_reader.>", Some("q"), &["reader"]),
    ("iothub.>", None, NOBODY),
    ("iothub.event.>", None, NOBODY),
    ("iothub.outcome.>", None, NOBODY),
    ("iothub.audit.>", None, NOBODY),
    ("iothub.twin.>", None, NOBODY),
    ("iothub.twin.set.*.*", None, NOBODY),
    ("iothub.twin.set.*.*", Some("q"), NOBODY),
    ("iothub.twin.set.*.*", Some("iothub-twin"), &["worker"]),
    ("iothub.ops.status", None, &["worker"]),
    ("iothub.ops.>", None, NOBODY),
    ("iothub.ops.dlq.replay", Some("q"), NOBODY),
    ("iothub.ops.dlq.replay", Some("iothub-ops"), &["worker"]),
    ("WORKFLOWS.>", None, NOBODY),
    ("$KV.>", None, NOBODY),
    ("$JS.>", None, NOBODY),
    ("$JS.API.>", None, NOBODY),
    ("$JS.EVENT.>", None, NOBODY),
    ("$SYS.>", None, NOBODY),
    ("$SRV.>", None, NOBODY),
];

/// A connection that remembers what the server refused.
struct Watched {
    client: Client,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Watched {
    async fn connect(nats: &SecuredNats, user: &str) -> Result<Self> {
        let refused = Arc::new(Mutex::new(BTreeSet::new()));
        let heard = Arc::clone(&refused);
        let options = secured::options(user).event_callback(move |event| {
            if let Event::ServerError(error) = event {
                let text = error.to_string().to_lowercase();
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(text);
            }
            std::future::ready(())
        });
        let client = options.connect(nats.server.url()).await?;
        Ok(Self { client, refused })
    }

    /// Which of the subjects were refused, once the last one was.
    async fn verdicts(&self) -> Result<BTreeSet<String>> {
        self.client.publish(LAST, "".into()).await?;
        self.client.flush().await?;
        until(SOON, "the last refusal", async || {
            let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(refused
                .iter()
                .any(|text| text.contains(&format!("\"{LAST}\"")))
                .then(|| refused.clone()))
        })
        .await
    }
}

fn names(refused: &BTreeSet<String>, what: &str, subject: &str) -> bool {
    let needle = format!("{what} to \"{}\"", subject.to_lowercase());
    refused.iter().any(|text| text.contains(&needle))
}

async fn secured(name: &str) -> Result<(TestDir, SecuredNats)> {
    let dir = TestDir::new(name)?;
    let nats = SecuredNats::start(dir.path()).await?;
    Ok((dir, nats))
}

#[tokio::test]
async fn each_nats_user_may_publish_what_the_table_says_and_nothing_else() -> Result<()> {
    let (dir, nats) = secured("nats-publish").await?;
    for user in USERS {
        let watched = Watched::connect(&nats, user).await?;
        for (subject, _) in PUBLISH {
            watched.client.publish(*subject, "".into()).await?;
        }
        let refused = watched.verdicts().await?;
        for (subject, allowed) in PUBLISH {
            let may = !names(&refused, "publish", subject);
            assert_eq!(may, allowed.contains(&user), "{user} on {subject}");
        }
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn each_nats_user_reads_its_own_replies_and_nobody_elses() -> Result<()> {
    let (dir, nats) = secured("nats-subscribe").await?;
    for user in USERS {
        for (subject, queue, allowed) in SUBSCRIBE {
            // A connection for each, since a refusal does not tell the queue.
            let watched = Watched::connect(&nats, user).await?;
            let subscribed = match queue {
                Some(queue) => {
                    watched
                        .client
                        .queue_subscribe(*subject, (*queue).to_owned())
                        .await
                }
                None => watched.client.subscribe(*subject).await,
            };
            let _subscribed = subscribed?;
            let refused = watched.verdicts().await?;
            let may = !names(&refused, "subscription", subject);
            assert_eq!(
                may,
                allowed.contains(&user),
                "{user} on {subject} {queue:?}"
            );
        }
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_anonymous_connection_is_refused() -> Result<()> {
    let (dir, nats) = secured("nats-anonymous").await?;
    let url = nats.server.url();
    assert!(async_nats::connect(url).await.is_err());
    for (user, password) in [
        ("worker", "wrong"),
        ("worker", ""),
        ("", ""),
        ("sys", "sys"),
    ] {
        let options =
            async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        assert!(options.connect(url).await.is_err(), "{user}");
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_trace_goes_nowhere_its_sender_may_not_publish() -> Result<()> {
    let (dir, nats) = secured("nats-trace").await?;
    let installation = Installation::new(dir.path(), &plain_config(&nats)).await?;
    let done = nats.as_user(&installation, "setup").cli(&["setup"]).await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let kept = "iothub.outcome.=.traced";
    for (user, subject) in [
        ("reader", "iothub.twin.get.=.d"),
        ("editor", "iothub.twin.set.=.d"),
        ("operator", "iothub.event.=.d"),
        ("mender", "WORKFLOWS.default"),
        ("setup", "$KV.iothub_integrations.="),
    ] {
        let client = nats.client(user).await?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Trace-Dest", kept);
        client
            .publish_with_headers(subject, headers, "".into())
            .await?;
        client.flush().await?;
    }
    // The worker may publish there, so its trace is the proof that traces would arrive.
    let worker = nats.client("worker").await?;
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Trace-Dest", kept);
    worker
        .publish_with_headers("iothub.event.=.e", headers, "".into())
        .await?;
    let context = jetstream::new(nats.client("operator").await?);
    until(SOON, "the worker's own trace", async || {
        let stream = context.get_stream("IOTHUB_OUTCOMES").await?;
        Ok((stream.cached_info().state.messages == 1).then_some(()))
    })
    .await?;
    dir.passed();
    Ok(())
}

fn plain_config(nats: &SecuredNats) -> String {
    format!(
        "[nats]\nurl = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
        nats.server.url()
    )
}

/// Fails if the server has refused anybody anything: a permission that the product needs is
/// missing.
fn no_refusals(nats: &mut SecuredNats) -> Result<()> {
    let log = std::fs::read_to_string(nats.server.process().log())?;
    let refusals: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("Violation"))
        .collect();
    ensure!(refusals.is_empty(), "{}", refusals.join("\n"));
    Ok(())
}

#[tokio::test]
async fn the_whole_job_runs_under_the_least_permissions() -> Result<()> {
    let (dir, mut nats) = secured("nats-job").await?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let mender = Simulator::start(dir.path(), &nats.url_of("mender"), &[]).await?;
    let config = config(nats.server.url(), &hub, mender.listen());
    let config = format!(
        "{config}\n[sweep]\nevery_s = 1\ngrace_s = 0\n[webhook]\nallowed_hosts = [\"127.0.0.1:1\"]\n"
    );
    let installation = Installation::new(dir.path(), &config).await?;
    let admin = nats.as_user(&installation, "setup");
    let operator = nats.as_user(&installation, "operator");
    let run = async |who: &Installation, arguments: &[&str]| {
        let done = who
            .cli_with_input(arguments, hub.connection_string())
            .await?;
        ensure!(
            done.code == Some(0),
            "{arguments:?}: {}{}",
            done.stdout,
            done.stderr
        );
        anyhow::Ok(done)
    };
    for arguments in [
        &["setup"][..],
        &["setup"],
        &["integration", "set", "--tier", "unlimited"],
        &["integration", "show"],
        &["integration", "test"],
    ] {
        run(&admin, arguments).await?;
    }
    a_webhook_of_nobody(&admin).await?;
    let mut worker = nats.as_user(&installation, "worker").start().await?;

    // A device from Mender to the hub and back, and its end.
    let made: Value = mender
        .control()
        .post("/simulator/devices", &json!({"devices": [{"id": "d1"}]}))
        .await?;
    assert_eq!(made["ids"], json!(["d1"]));
    let status = json!({"id": "d1", "status": "accepted"});
    mender
        .control()
        .post::<Value>("/simulator/devices/status", &status)
        .await?;
    until(SOON, "the device in the hub", async || {
        Ok((hub.devices().await?.len() == 1).then_some(()))
    })
    .await?;
    until(SOON, "the delivery", async || {
        let truth: Value = mender.control().get("/simulator/truth").await?;
        Ok(truth["devices"][0]["delivered"].is_string().then_some(()))
    })
    .await?;

    let definitions = workspace::root().join("deploy/mender");
    let definitions = definitions.display().to_string();
    // Something that dies and is replayed.
    let letter = a_dead_letter(&mender, &operator).await?;
    for arguments in [
        &["status"][..],
        &["device", "show", "d1"],
        &["device", "list"],
        &["device", "history", "d1"],
        &["dlq", "show", &letter],
        &["sweep", "--dry-run"],
        &["doctor", "--definitions", &definitions],
        &["twin", "get", "d1"],
        &["outcomes", "tail", "--no-follow"],
        &["webhook", "show"],
    ] {
        run(&operator, arguments).await?;
    }
    back_ends_use_twins(&nats).await?;
    an_operator_asks_for_a_replay(&nats, &letter).await?;
    run(&operator, &["dlq", "list", "--counts", "--since", "1h"]).await?;
    let replayed = operator.cli(&["dlq", "replay", &letter]).await?;
    let said = format!("{}{}", replayed.stdout, replayed.stderr);
    assert!(said.contains("still not understood"), "{said}");
    for arguments in [
        &["device", "resync", "d1"][..],
        &["device", "retry", "d1"],
        &["dlq", "purge", "--yes"],
    ] {
        run(&operator, arguments).await?;
    }
    let end = json!({"ids": ["d1"]});
    mender
        .control()
        .post::<Value>("/simulator/devices/decommission", &end)
        .await?;
    until(SOON, "the end of the device", async || {
        Ok(hub.devices().await?.is_empty().then_some(()))
    })
    .await?;
    a_sweep(&operator).await?;
    worker.sigterm().await?;
    run(&admin, &["secrets", "rotate"]).await?;
    run(&admin, &["webhook", "remove"]).await?;
    no_refusals(&mut nats)?;
    dir.passed();
    Ok(())
}

/// Waits until `status` tells of one.
async fn a_sweep(operator: &Installation) -> Result<()> {
    until(SOON, "a sweep", async || {
        let status = operator.cli(&["status", "--output", "json"]).await?;
        let status = status.json()?;
        let sweeps = status["sweeps"].as_array();
        Ok(sweeps.is_some_and(|it| !it.is_empty()).then_some(()))
    })
    .await
}

/// Sets a receiver that is not there: what is for it is fetched, tried and given back.
async fn a_webhook_of_nobody(admin: &Installation) -> Result<()> {
    let url = ["webhook", "set", "--url", "https://127.0.0.1:1/"];
    for arguments in [&url[..], &["setup"]] {
        let done = admin.cli_with_input(arguments, WEBHOOK_SECRET).await?;
        ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    }
    Ok(())
}

/// The one reads, the other writes.
async fn back_ends_use_twins(nats: &SecuredNats) -> Result<()> {
    let body = r#"{"desired":{"a":1}}"#;
    for (user, subject, body) in [
        ("reader", "iothub.twin.get.=.d1", ""),
        ("editor", "iothub.twin.set.=.d1", body),
    ] {
        let client = nats.client(user).await?;
        let reply = client.request(subject, body.into()).await?;
        let twin: Value = serde_json::from_slice(&reply.payload)?;
        assert!(twin["etag"].is_string(), "{user}: {reply:?}");
    }
    Ok(())
}

/// By request and reply, and is told why the letter is kept; only that it would be, of several.
async fn an_operator_asks_for_a_replay(nats: &SecuredNats, letter: &str) -> Result<()> {
    let operator = nats.client("operator").await?;
    for (body, result) in [
        (format!(r#"{{"sequences":[{letter}]}}"#), "malformed"),
        (r#"{"filter":{}}"#.to_owned(), "would_replay"),
    ] {
        let reply = operator
            .request("iothub.ops.dlq.replay", body.into())
            .await?;
        let told: Value = serde_json::from_slice(&reply.payload)?;
        assert_eq!(told["entries"][0]["result"], result, "{reply:?}");
    }
    Ok(())
}

/// Makes a dead letter, and returns its number.
async fn a_dead_letter(mender: &Simulator, operator: &Installation) -> Result<String> {
    let raw = json!({"subject": "lifecycle.device.status", "body": "{ not json"});
    mender
        .control()
        .post::<Value>("/simulator/raw", &raw)
        .await?;
    let number: u64 = until(SOON, "the dead letter", async || {
        let listed = operator
            .cli(&["dlq", "list", "--output", "json"])
            .await?
            .json()?;
        let letters = listed.get("letters").unwrap_or(&listed);
        Ok(letters
            .pointer("/0/sequence")
            .or(letters.pointer("/0/number"))
            .and_then(Value::as_u64))
    })
    .await?;
    Ok(number.to_string())
}
