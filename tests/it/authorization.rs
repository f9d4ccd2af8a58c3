//! Who may see and edit twins: the modes with tokens, through the real worker.

use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, HeaderMap, Request};
use black_box::{Installation, TestDir, Worker, until};
use serde_json::{Value, json};

use crate::stage::{Parts, SOON, config, messages_of};

/// A value that must show up nowhere but in the twin.
const CANARY: &str = "canary-5d1f";
const SET: &str = r#"{"desired":{"interval":"canary-5d1f","a/b":{"c":1}}}"#;

/// A worker that decides by tokens, and the device `d1` in its hub.
struct Guarded {
    worker: Worker,
    client: Client,
    parts: Parts,
}

/// What came back: nothing, or code and text of an error.
type Answer = std::result::Result<Value, (String, String)>;

impl Guarded {
    /// `mode` is the section `[twin]`.
    async fn start(name: &str, mode: &str) -> Result<Self> {
        let (parts, _) = Parts::start(name).await?;
        let keys: Value = parts.mender.control().get("/simulator/keys").await?;
        let pem = keys["1"].as_str().context("a key")?;
        let file = parts.dir.path().join("useradm.pem");
        std::fs::write(&file, pem)?;
        let mender = parts.mender.listen();
        let text = config(parts.nats.url(), &parts.hub, mender).replace(
            "[mender]",
            &format!(
                "[mender]\nuseradm_url = \"http://{mender}\"\ninventory_url = \"http://{mender}\""
            ),
        );
        let mode = mode.replace("KEYS", &format!("[\"1={}\"]", file.display()));
        let text = format!("{text}\n[twin]\n{mode}\n");
        let installation = Installation::new(parts.dir.path(), &text).await?;
        for arguments in [
            &["setup"][..],
            &["integration", "set", "--tier", "unlimited"],
        ] {
            let done = installation
                .cli_with_input(arguments, parts.hub.connection_string())
                .await?;
            ensure!(done.code == Some(0), "{arguments:?}: {}", done.stderr);
        }
        let worker = installation.start().await?;
        let control = parts.mender.control();
        let pending = json!({"devices": [{"id": "d1"}, {"id": "d2"}]});
        control
            .post::<Value>("/simulator/devices", &pending)
            .await?;
        let changes = ["d1", "d2"].map(|id| json!({"id": id, "status": "accepted"}));
        let accepted = json!({"changes": changes});
        control
            .post::<Value>("/simulator/devices/status", &accepted)
            .await?;
        until(SOON, "both devices to be done", async || {
            let ended = messages_of(&parts.nats, "IOTHUB_OUTCOMES").await?;
            Ok((ended.len() == 2).then_some(()))
        })
        .await?;
        let client = parts.nats.client().await?;
        Ok(Self {
            worker,
            client,
            parts,
        })
    }

    async fn token(&self, user: &str, claims: Value) -> Result<String> {
        let order = json!({"user": user, "claims": claims});
        let issued: Value = self
            .parts
            .mender
            .control()
            .post("/simulator/tokens", &order)
            .await?;
        Ok(issued["token"].as_str().context("a token")?.to_owned())
    }

    async fn ask(&self, token: Option<&str>, subject: &str, body: &str) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert("Authorization", format!("Bearer {token}").as_str());
        }
        headers.insert("X-MEN-RBAC-Inventory-Groups", "a,b");
        let request = Request::new()
            .payload(body.to_owned().into())
            .headers(headers)
            .timeout(Some(SOON));
        let subject = format!("iothub.twin.{subject}");
        let reply = self.client.send_request(subject, request).await?;
        let header = |name: &str| Some(reply.headers.as_ref()?.get(name)?.to_string());
        Ok(match header("Nats-Service-Error-Code") {
            Some(code) => Err((code, header("Nats-Service-Error").unwrap_or_default())),
            None => Ok(serde_json::from_slice(&reply.payload)?),
        })
    }

    async fn code(&self, token: Option<&str>, subject: &str, body: &str) -> Result<String> {
        let answer = self.ask(token, subject, body).await?;
        Ok(answer.map_or_else(|(code, _)| code, |_| "ok".to_owned()))
    }

    /// Requests about twins that the hub has received.
    async fn twin_calls(&self) -> Result<usize> {
        let journal = self.parts.hub.journal().await?;
        Ok(journal
            .iter()
            .filter(|entry| entry.path.contains("/twins/"))
            .count())
    }

    async fn audit(&self) -> Result<Vec<Value>> {
        let messages = messages_of(&self.parts.nats, "IOTHUB_OUTCOMES").await?;
        let records = messages
            .iter()
            .filter(|message| message.subject.starts_with("iothub.audit."));
        records
            .map(|message| Ok(serde_json::from_slice(&message.payload)?))
            .collect()
    }
}

const JWT: &str = r#"
authorization = "jwt"
jwt_keys = KEYS
roles_claim = "/mender.roles"
read_roles = ["observer"]
admin_roles = ["admin"]"#;

const MENDER: &str = "authorization = \"mender\"\nremember_s = 1";

#[tokio::test]
async fn strangers_learn_nothing_and_the_hub_hears_nothing() -> Result<()> {
    for (name, mode) in [("jwt", JWT), ("mender", MENDER)] {
        let mut guarded = Guarded::start(&format!("strangers-{name}"), mode).await?;
        let users =
            json!({"users": [{"id": "reader", "roles": [{"may": "read"}]}, {"id": "nothing"}]});
        guarded
            .parts
            .mender
            .control()
            .put::<Value>("/simulator/rbac", &users)
            .await?;
        let observer = json!({"mender.roles": ["observer"]});
        let strangers = [
            (None, "get", "401"),
            (Some("a.b.c".to_owned()), "get", "401"),
            (
                Some(guarded.token("reader", json!({"exp": 1})).await?),
                "get",
                "401",
            ),
            (
                Some(
                    guarded
                        .token(
                            "reader",
                            json!({"mender.user": null, "mender.device": true}),
                        )
                        .await?,
                ),
                "get",
                "401",
            ),
            (
                Some(
                    guarded
                        .token("reader", json!({"mender.tenant": "other"}))
                        .await?,
                ),
                "get",
                "403",
            ),
            (
                Some(guarded.token("nothing", json!({})).await?),
                "get",
                "403",
            ),
            (
                Some(guarded.token("reader", observer.clone()).await?),
                "set",
                "403",
            ),
        ];
        let before = guarded.twin_calls().await?;
        // The hub cannot even answer: a refusal does not depend on it.
        guarded.parts.hub.process().freeze()?;
        for (token, verb, code) in &strangers {
            let mut answers = Vec::new();
            for device in ["d1", "nobody"] {
                let subject = format!("{verb}.=.{device}");
                answers.push(guarded.ask(token.as_deref(), &subject, SET).await?);
            }
            assert_eq!(answers[0], answers[1], "{name} {verb}");
            let refused = answers[0].as_ref().expect_err("a refusal");
            assert_eq!(refused.0, *code, "{name} {verb} {token:?}");
        }
        guarded.parts.hub.process().thaw()?;
        assert_eq!(guarded.twin_calls().await?, before, "{name}");
        // And whoever may is let through.
        let reader = guarded.token("reader", observer).await?;
        assert_eq!(
            guarded.code(Some(&reader), "get.=.d1", "").await?,
            "ok",
            "{name}"
        );
        assert_eq!(
            guarded.code(Some(&reader), "get.=.nobody", "").await?,
            "404",
            "{name}"
        );
        assert!(guarded.twin_calls().await? > before, "{name}");
        guarded.worker.sigterm().await?;
        guarded.parts.dir.passed();
    }
    Ok(())
}

#[tokio::test]
async fn menders_roles_and_groups_decide_and_doubt_is_a_refusal() -> Result<()> {
    let guarded = Guarded::start("mender-roles", MENDER).await?;
    let control = guarded.parts.mender.control();
    for tell_groups in [false, true] {
        let rbac = json!({
            "users": [
                {"id": "admin", "roles": [{"may": "admin"}]},
                {"id": "mixed", "roles": [{"may": "read", "groups": ["a"]}, {"may": "admin", "groups": ["b"]}]},
            ],
            "groups": {"d1": "a", "d2": "b"},
            "tell_groups": tell_groups,
        });
        control.put::<Value>("/simulator/rbac", &rbac).await?;
        for (user, subject, expected) in [
            ("admin", "set.=.d1", "ok"),
            ("mixed", "get.=.d1", "ok"),
            ("mixed", "set.=.d1", "403"),
            ("mixed", "get.=.d2", "ok"),
            ("mixed", "set.=.d2", "ok"),
            ("mixed", "get.=.nobody", "403"),
        ] {
            // A fresh token has no remembered answer.
            let token = guarded.token(user, json!({})).await?;
            let body = if subject.starts_with("get") { "" } else { SET };
            let code = guarded.code(Some(&token), subject, body).await?;
            assert_eq!(code, expected, "{user} {subject} {tell_groups}");
        }
    }
    let admin = guarded.token("admin", json!({})).await?;
    assert_eq!(guarded.code(Some(&admin), "get.=.d1", "").await?, "ok");
    // The user is removed: for a moment it is remembered, then it counts.
    control.put::<Value>("/simulator/rbac", &json!({})).await?;
    until(SOON, "the revocation to count", async || {
        Ok((guarded.code(Some(&admin), "get.=.d1", "").await? == "401").then_some(()))
    })
    .await?;
    let calls = guarded.twin_calls().await?;
    for fault in [
        json!({"down": true}),
        json!({"status": 500}),
        json!({"delay_ms": 60_000}),
    ] {
        control
            .put::<Value>("/simulator/faults", &json!({"useradm": fault}))
            .await?;
        let token = guarded.token("admin", json!({})).await?;
        assert_eq!(
            guarded.code(Some(&token), "get.=.d1", "").await?,
            "503",
            "{fault}"
        );
    }
    assert_eq!(guarded.twin_calls().await?, calls);
    guarded.parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn every_edit_is_recorded_and_nothing_secret_is() -> Result<()> {
    let guarded = Guarded::start("audit", JWT).await?;
    let admin = guarded
        .token("u-admin", json!({"mender.roles": ["admin"], "jti": "j-1"}))
        .await?;
    let reader = guarded
        .token("u-reader", json!({"mender.roles": "observer"}))
        .await?;
    let foreign = json!({"mender.roles": ["admin"], "mender.tenant": "other"});
    let foreign = guarded.token("u-foreign", foreign).await?;
    let twin = guarded
        .ask(Some(&admin), "set.=.d1", SET)
        .await?
        .expect("an edit");
    for (token, subject, body, code) in [
        (&reader, "get.=.d1", "", "ok"),
        (&reader, "set.=.d1", SET, "403"),
        (&foreign, "set.=.d1", SET, "403"),
        (&admin, "set.=.d1", "not json", "400"),
        (&admin, "set.=.nobody", SET, "404"),
    ] {
        assert_eq!(
            guarded.code(Some(token), subject, body).await?,
            code,
            "{subject}"
        );
    }
    let nobody = guarded.code(Some("a.b.c"), "set.=.d1", SET).await?;
    assert_eq!(nobody, "401");
    let records = until(SOON, "the records", async || {
        let records = guarded.audit().await?;
        Ok((records.len() >= 7).then_some(records))
    })
    .await?;
    let short = |record: &Value| {
        format!(
            "{} {} {} {} {} {}",
            record["verb"].as_str().unwrap_or_default(),
            record["device_id"].as_str().unwrap_or_default(),
            record["caller"]["subject"].as_str().unwrap_or_default(),
            record["outcome"].as_str().unwrap_or_default(),
            record["code"],
            record["edit"]["paths"]
        )
    };
    let paths = r#"["/desired/a~1b/c","/desired/interval"]"#;
    assert_eq!(
        records.iter().map(short).collect::<Vec<_>>(),
        [
            format!("set d1 u-admin begun null {paths}"),
            format!("set d1 u-admin applied null {paths}"),
            "set d1 u-reader refused 403 []".to_owned(),
            "set d1 u-foreign refused 403 []".to_owned(),
            "set d1 u-admin refused 400 []".to_owned(),
            format!("set nobody u-admin begun null {paths}"),
            format!("set nobody u-admin failed 404 {paths}"),
        ]
    );
    assert_eq!(records[0]["request_id"], records[1]["request_id"]);
    assert_eq!(records[1]["etag"], twin["etag"]);
    assert_eq!(records[1]["caller"]["token_id"], json!("j-1"));
    assert_eq!(records[3]["caller"]["tenant_id"], json!("other"));
    let all = serde_json::to_string(&records)?;
    for secret in [
        CANARY,
        admin.as_str(),
        admin.rsplit('.').next().unwrap_or_default(),
    ] {
        assert!(!all.contains(secret));
    }
    // Whoever counts outcomes does not count these.
    let status = guarded
        .worker
        .cli(&["status", "--output", "json"])
        .await?
        .json()?;
    let outcomes = status["outcomes"].as_object().context("outcomes")?;
    let counted: u64 = outcomes.values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, 2, "{status}");
    guarded.parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() -> Result<()> {
    let guarded = Guarded::start("no-audit", JWT).await?;
    let admin = guarded
        .token("u-admin", json!({"mender.roles": ["admin"]}))
        .await?;
    let context = guarded.parts.nats.jetstream().await?;
    context.delete_stream("IOTHUB_OUTCOMES").await?;
    let before = guarded.twin_calls().await?;
    assert_eq!(guarded.code(Some(&admin), "set.=.d1", SET).await?, "503");
    assert_eq!(guarded.twin_calls().await?, before);
    assert_eq!(guarded.code(Some(&admin), "get.=.d1", "").await?, "ok");
    guarded.parts.dir.passed();
    Ok(())
}

#[tokio::test]
async fn an_authorization_that_makes_no_sense_does_not_start() -> Result<()> {
    let dir = TestDir::new("authorization-config")?;
    let key = "key = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"";
    let pem = dir.path().join("no.pem");
    std::fs::write(&pem, "no key")?;
    let pem = pem.display();
    for (twin, says) in [
        ("authorization = \"nobody\"".to_owned(), "nobody"),
        (
            "authorization = \"jwt\"".to_owned(),
            "`twin.jwt_keys` is empty",
        ),
        (
            "authorization = \"jwt\"\njwt_keys = [\"x\"]".to_owned(),
            "KID=FILE",
        ),
        (
            format!("authorization = \"jwt\"\njwt_keys = [\"a={pem}\"]"),
            "whole number",
        ),
        (
            format!("authorization = \"jwt\"\njwt_keys = [\"1={pem}\"]"),
            "BEGIN PUBLIC KEY",
        ),
        (
            "authorization = \"jwt\"\njwt_keys = [\"1=/none\"]".to_owned(),
            "/none",
        ),
        (
            "authorization = \"mender\"\nremember_s = 61".to_owned(),
            "twin.remember_s",
        ),
    ] {
        let text = format!("[secrets]\n{key}\n[twin]\n{twin}\n");
        let done = Installation::new(dir.path(), &text)
            .await?
            .cli(&["run"])
            .await?;
        assert_eq!(done.code, Some(2), "{twin}: {}", done.stderr);
        assert!(done.stderr.contains(says), "{twin}: {}", done.stderr);
        assert_eq!(done.stderr.trim().lines().count(), 1, "{}", done.stderr);
    }
    dir.passed();
    Ok(())
}
