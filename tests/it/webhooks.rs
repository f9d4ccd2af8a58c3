//! Webhooks: what a tenant's own server is sent, whatever happens to it and to the worker, and which
//! servers nothing is sent to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use black_box::worker::Finished;
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir, Worker, until};
use ring::hmac;
use serde_json::{Value, json};

use crate::stage::{SOON, config, messages_of};

const SECRET: &str = "whsec_d2ViaG9vay1zZWNyZXQtb2YtMzItYnl0ZXMhISEhISE=";
const NEXT_SECRET: &str = "whsec_YW5vdGhlci1zZWNyZXQtb2YtMzItYnl0ZXMhISEhISE=";
/// A status that is none: the receiver keeps the request and does not answer.
const SILENCE: u16 = 0;

/// A request that the receiver got.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    id: String,
    time: String,
    signatures: Vec<String>,
    body: Bytes,
    /// Whether the answer said that it was taken.
    taken: bool,
}

impl Request {
    /// Computed here once more, with nothing of the product's.
    fn signed_with(&self, secret: &str) -> String {
        let key = STANDARD
            .decode(secret.trim_start_matches("whsec_"))
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [
            self.id.as_bytes(),
            b".",
            self.time.as_bytes(),
            b".",
            &self.body,
        ]
        .concat();
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
    }

    fn event(&self) -> Result<String> {
        let body: Value = serde_json::from_slice(&self.body)?;
        let event = body["data"]["event_id"].as_str();
        Ok(event.with_context(|| body.to_string())?.to_owned())
    }
}

/// Somebody's server.
#[derive(Clone, Default)]
struct Receiver {
    /// What it answers.
    answer: Arc<AtomicU16>,
    requests: Arc<Mutex<Vec<Request>>>,
    origin: String,
}

impl Receiver {
    async fn start(answer: u16) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let this = Self {
            answer: Arc::new(AtomicU16::new(answer)),
            origin: format!("http://{}", listener.local_addr()?),
            ..Self::default()
        };
        let routes = axum::Router::new()
            .fallback(receive)
            .with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(this)
    }

    fn answers(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn taken(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.taken);
        requests
    }

    /// Waits until so many events were taken, and returns those requests.
    async fn has_taken(&self, events: usize) -> Result<Vec<Request>> {
        until(SOON, &format!("{events} events to be taken"), async || {
            let taken = self.taken();
            let different: BTreeSet<_> = taken.iter().map(|request| &request.id).collect();
            Ok((different.len() >= events).then_some(taken))
        })
        .await
    }

    /// Waits until it has been asked so often.
    async fn was_asked(&self, times: usize) -> Result<()> {
        until(SOON, &format!("{times} requests"), async || {
            Ok((self.requests().len() >= times).then_some(()))
        })
        .await
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let answer = receiver.answer.load(Ordering::SeqCst);
    let request = Request {
        path: uri.path().to_owned(),
        id: text("webhook-id"),
        time: text("webhook-timestamp"),
        signatures: text("webhook-signature")
            .split(' ')
            .map(str::to_owned)
            .collect(),
        body,
        taken: (200..300).contains(&answer),
    };
    receiver
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    match StatusCode::from_u16(answer) {
        Ok(status) if status.is_redirection() => {
            (status, [(header::LOCATION, "/elsewhere")]).into_response()
        }
        Ok(status) => status.into_response(),
        Err(_) => std::future::pending().await,
    }
}

/// A worker of tenants without a hub: every event ends at once, as `ignored`.
struct Scene {
    worker: Worker,
    installation: Installation,
    _mender: Simulator,
    nats: NatsServer,
    dir: TestDir,
}

impl Scene {
    async fn new(name: &str, allowed: &[&str]) -> Result<Self> {
        let dir = TestDir::new(name)?;
        let nats = NatsServer::start(dir.path()).await?;
        let hub = Emulator::start(dir.path(), &[]).await?;
        let mender = Simulator::start(dir.path(), nats.url(), &[]).await?;
        let text = config(nats.url(), &hub, mender.listen());
        let webhook = format!(
            "request_timeout_ms = 2000\nallowed_hosts = {}",
            json!(allowed)
        );
        let text = format!("{text}\n[webhook]\n{webhook}\n");
        let installation = Installation::new(dir.path(), &text).await?;
        run(&installation, &["setup"], "").await?;
        let worker = installation.start().await?;
        Ok(Self {
            worker,
            installation,
            _mender: mender,
            nats,
            dir,
        })
    }

    /// Ends so many events of a tenant.
    async fn events(&self, tenant: &str, from: usize, to: usize) -> Result<()> {
        let context = self.nats.jetstream().await?;
        for n in from..to {
            let body = r#"{"status":"accepted","revision":1}"#;
            let subject = format!("iothub.event.{tenant}.d{n}");
            context.publish(subject, body.into()).await?.await?;
        }
        Ok(())
    }

    async fn set(&self, tenant: &str, url: &str, secret: &str) -> Result<Finished> {
        let arguments = ["webhook", "set", "--tenant", tenant, "--url", url];
        run(&self.installation, &arguments, secret).await
    }

    /// A counter of the worker, by what became of attempts.
    async fn attempts(&self, result: &str) -> Result<u64> {
        let text = self.worker.http().text("/metrics").await?;
        let name = format!("mender_iothub_webhook_attempts_total{{result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        Ok(line.with_context(|| text.clone())?.parse()?)
    }
}

async fn run(who: &Installation, arguments: &[&str], input: &str) -> Result<Finished> {
    let done = who.cli_with_input(arguments, input).await?;
    ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
    Ok(done)
}

/// The events of all outcomes of a tenant.
async fn ended(nats: &NatsServer, tenant: &str) -> Result<BTreeSet<String>> {
    let subject = format!("iothub.outcome.{tenant}.");
    let outcomes = messages_of(nats, "IOTHUB_OUTCOMES").await?;
    let ours = outcomes
        .iter()
        .filter(|it| it.subject.starts_with(&subject));
    let event = |message: &async_nats::Message| {
        let body: Value = serde_json::from_slice(&message.payload)?;
        Ok(body["event_id"].as_str().context("no event")?.to_owned())
    };
    ours.map(event).collect()
}

#[tokio::test]
async fn each_outcome_arrives_signed_whatever_happens_to_receiver_and_worker() -> Result<()> {
    let receiver = Receiver::start(500).await?;
    let dead = Receiver::start(SILENCE).await?;
    let allowed = [receiver.origin.as_str(), dead.origin.as_str()];
    let mut scene = Scene::new("webhook", &allowed).await?;
    scene.events("=", 1_000, 1_003).await?;
    until(SOON, "events before the webhook", async || {
        Ok((ended(&scene.nats, "=").await?.len() == 3).then_some(()))
    })
    .await?;

    // Another tenant's receiver takes nothing, and more is waiting for it than is ever sent at once.
    scene.set("t2", &dead.origin, SECRET).await?;
    scene.events("t2", 0, 300).await?;
    dead.was_asked(1).await?;

    // Our own one fails at first.
    let url = format!("{}/hooks/T0?key=1", receiver.origin);
    scene.set("", &url, SECRET).await?;
    scene.events("=", 0, 20).await?;
    receiver.was_asked(25).await?;
    receiver.answers(204);
    let taken = receiver.has_taken(20).await?;
    let told: BTreeSet<_> = taken.iter().map(Request::event).collect::<Result<_>>()?;
    let before: BTreeSet<_> = (1..=3).map(|n| format!("IOTHUB_EVENTS-{n}")).collect();
    let since: BTreeSet<_> = &ended(&scene.nats, "=").await? - &before;
    assert_eq!(told, since, "all of them since it was set, and no others");

    // A new secret signs beside the old one; the URL stays.
    run(&scene.installation, &["webhook", "set"], NEXT_SECRET).await?;
    let mut published = 20;
    let new_one = until(SOON, "a request with the new secret", async || {
        scene.events("=", published, published + 1).await?;
        published += 1;
        let requests = receiver.requests();
        Ok(requests.into_iter().find(|it| it.signatures.len() == 2))
    })
    .await?;
    let both = [NEXT_SECRET, SECRET].map(|secret| new_one.signed_with(secret));
    assert_eq!(new_one.signatures, both);

    // Killed between delivery and acknowledgement: it comes again, under the same id.
    receiver.answers(SILENCE);
    let asked = receiver.requests().len();
    scene.events("=", 500, 510).await?;
    receiver.was_asked(asked + 1).await?;
    scene.worker.kill9()?;
    receiver.answers(200);
    scene.worker.start_again().await?;
    published += 10;
    receiver.has_taken(published).await?;

    let requests = receiver.requests();
    let mut bodies: BTreeMap<&str, BTreeSet<&Bytes>> = BTreeMap::new();
    for request in &requests {
        assert_eq!(request.path, "/hooks/T0");
        assert!(request.signatures.contains(&request.signed_with(SECRET)));
        assert!(!request.id.is_empty() && !request.id.contains('.'));
        bodies.entry(&request.id).or_default().insert(&request.body);
    }
    assert!(
        bodies.values().all(|bodies| bodies.len() == 1),
        "one id, two bodies"
    );
    let (cut_off, again) = (&requests[asked], &requests[asked + 1..]);
    assert!(again.iter().any(|it| it.id == cut_off.id && it.taken));
    until(SOON, "them to be counted", async || {
        Ok((scene.attempts("sent").await? >= 10).then_some(()))
    })
    .await?;

    // A redirect is a failure.
    receiver.answers(307);
    let asked = receiver.requests().len();
    scene.events("=", 600, 601).await?;
    receiver.was_asked(asked + 2).await?;
    receiver.answers(200);
    receiver.has_taken(published + 1).await?;
    assert!(receiver.requests().iter().all(|it| it.path == "/hooks/T0"));
    assert!(scene.attempts("retried").await? >= 2);

    // A receiver that wants no more is believed.
    receiver.answers(410);
    scene.events("=", 700, 701).await?;
    until(SOON, "one to be given up", async || {
        Ok((scene.attempts("given_up").await? == 1).then_some(()))
    })
    .await?;
    assert!(dead.taken().is_empty());
    let shown = run(
        &scene.installation,
        &["webhook", "show", "--tenant", "t2", "--output", "json"],
        "",
    );
    let shown = shown.await?.json()?;
    let left = shown[0]["waiting"]
        .as_u64()
        .zip(shown[0]["in_work"].as_u64());
    assert_eq!(left.map(|(waiting, in_work)| waiting + in_work), Some(300));
    scene.worker.sigterm().await?;
    scene.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_url_that_leads_where_it_should_not_is_refused_and_nothing_secret_is_shown() -> Result<()>
{
    let dir = TestDir::new("webhook-refused")?;
    let nats = NatsServer::start(dir.path()).await?;
    let hub = Emulator::start(dir.path(), &[]).await?;
    let port = hub
        .listen()
        .rsplit(':')
        .next()
        .context("a port")?
        .to_owned();
    let near = format!("https://localhost:{port}");
    let text = config(nats.url(), &hub, "127.0.0.1:1");
    let installation = Installation::new(dir.path(), &text).await?;
    run(&installation, &["setup"], "").await?;
    let set = async |who: &Installation, url: &str, secret: &str| {
        let arguments = ["webhook", "set", "--url", url];
        who.cli_with_input(&arguments, secret).await
    };
    let (near_by, wrong) = ("webhook.allowed_hosts", "not of the form");
    for (url, why) in [
        ("http://example.org/hunter2", near_by),
        ("https://127.0.0.1/hunter2", near_by),
        ("https://2130706433/hunter2", near_by),
        ("https://169.254.169.254/latest/hunter2", near_by),
        ("https://[::ffff:10.0.0.1]/hunter2", near_by),
        ("https://user:hunter2@example.org/", wrong),
        ("file:///hunter2", wrong),
    ] {
        let done = set(&installation, url, SECRET).await?;
        assert_eq!(done.code, Some(1), "{url}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
        assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    }
    let wrong = set(&installation, "https://example.org/", "whsec_hunter2").await?;
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("openssl rand"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
    let nothing = run(&installation, &["webhook", "show"], "").await?;
    assert!(nothing.stdout.contains("no webhook"), "{}", nothing.stdout);

    // A name passes, and is looked at when connecting.
    let secret_url = format!("{near}/hunter2");
    set(&installation, &secret_url, SECRET).await?;
    let tried = installation.cli(&["webhook", "test"]).await?;
    assert_eq!(tried.code, Some(1), "{}", tried.stderr);
    assert!(tried.stderr.contains("not public"), "{}", tried.stderr);

    // Its host is allowed, its certificate is not trusted; then both are.
    let key = "MENDER_IOTHUB__WEBHOOK__ALLOWED_HOSTS";
    let allowed = installation
        .clone()
        .variable(key, &format!("localhost:{port}"));
    let tried = allowed.cli(&["webhook", "test"]).await?;
    assert!(tried.stderr.contains("certificate"), "{}", tried.stderr);
    let ca = hub.ca_file().display().to_string();
    let trusted = allowed.variable("MENDER_IOTHUB__WEBHOOK__CA_FILE", &ca);
    let tried = trusted.cli(&["webhook", "test"]).await?;
    assert!(tried.stderr.contains("answered 4"), "{}", tried.stderr);

    for output in ["text", "json"] {
        let shown = run(&installation, &["webhook", "show", "--output", output], "").await?;
        assert!(shown.stdout.contains(&near), "{}", shown.stdout);
        assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
    }
    let removed = run(&installation, &["webhook", "remove"], "").await?;
    assert!(removed.stdout.contains("removed"), "{}", removed.stdout);
    let again = installation.cli(&["webhook", "remove"]).await?;
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    let bare = installation
        .cli_with_input(&["webhook", "set"], SECRET)
        .await?;
    assert_eq!(bare.code, Some(2), "{}", bare.stderr);
    dir.passed();
    Ok(())
}
