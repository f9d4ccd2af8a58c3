//! Every kind of token, role, device, verb and tenant, in each mode.
//!
//! What is expected is written down by hand as rows of text, not computed as the code does.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use messages::{DeviceId, TenantId};

use super::*;
use crate::token::tests::{NOW, changed, trust};

/// `d1` is in group `a`, `d2` in group `b`, `d3` in none, `nobody` does not exist.
const DEVICES: [&str; 4] = ["d1", "d2", "d3", "nobody"];

fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Authorization", format!("Bearer {token}").as_str());
    // What gateways say to services; from a caller it says nothing.
    headers.insert("X-MEN-RBAC-Inventory-Groups", "a,b");
    headers.insert("Nats-Request-Info", r#"{"acc":"admin"}"#);
    headers
}

async fn ask(
    access: &impl Access,
    token: Option<&str>,
    verb: Verb,
    tenant: &str,
    device: &str,
) -> Result<Caller, Denied> {
    let (tenant, device): (TenantId, DeviceId) = (tenant.parse().unwrap(), device.parse().unwrap());
    let headers = token.map(headers);
    access
        .check(Asked {
            verb,
            tenant: &tenant,
            device: verb.of_device().then_some(&device),
            module: None,
            headers: headers.as_ref(),
        })
        .await
}

/// One letter a verb, in the order of [`Verb::ALL`]: `+` allowed, `-` forbidden, `?` not
/// authenticated, `!` undecided.
async fn row(access: &impl Access, token: Option<&str>, tenant: &str, device: &str) -> String {
    let mut row = String::new();
    for verb in Verb::ALL {
        row.push(
            match ask(access, token, verb, tenant, device)
                .await
                .map_err(|denied| denied.error)
            {
                Ok(_) => '+',
                Err(TwinError::Forbidden) => '-',
                Err(TwinError::Unauthenticated) => '?',
                Err(TwinError::Undecided) => '!',
                Err(other) => panic!("{other}"),
            },
        );
    }
    row
}

/// All kinds of token that are not those of a user of tenant `t`, with what is answered.
fn strangers() -> Vec<(Option<String>, &'static str)> {
    let refused = "????????";
    vec![
        (None, refused),
        (Some("nonsense".to_owned()), refused),
        (Some(changed("mender.user", "")), refused),
        (Some(changed("mender.device", "true")), refused),
        (Some(changed("exp", "1799999000")), refused),
        (Some(changed("exp", "")), refused),
        (Some(changed("iss", "\"Mender\"")), refused),
        (
            Some(changed("scp", "\"mender.user.initial.create\"")),
            refused,
        ),
        (Some(changed("mender.tenant", "\"other\"")), "--------"),
        (Some(changed("mender.tenant", "")), "--------"),
        (Some(changed("mender.tenant", "\"T\"")), "--------"),
    ]
}

fn by_token(roles: Roles) -> ByToken {
    ByToken::at(trust(), roles, || NOW)
}

fn from_claim() -> Roles {
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    Roles::Claim(RoleClaim {
        pointer: "/mender.roles".to_owned(),
        read: set(&["observer"]),
        admin: set(&["admin"]),
    })
}

#[tokio::test]
async fn in_mode_subject_whoever_nats_lets_through_may() {
    for (token, _) in strangers() {
        assert_eq!(
            row(&BySubject, token.as_deref(), "t", "d1").await,
            "++++++++"
        );
    }
}

#[tokio::test]
async fn in_mode_jwt_each_role_reaches_as_far_as_it_says() {
    let access = by_token(from_claim());
    // The verbs: get, set, patch, query, method, job-create, job-get, job-cancel.
    let (all, none, read) = ("++++++++", "--------", "+--+--+-");
    let (edits_one, reads_one) = ("+++-+---", "+-------");
    for (roles, rows) in [
        (r#""admin""#, [all; 4]),
        (r#"["admin"]"#, [all; 4]),
        (r#"["other","admin"]"#, [all; 4]),
        (r#"["observer"]"#, [read; 4]),
        (r#"["observer","admin"]"#, [all; 4]),
        (
            r#"[{"role":"admin","devices":["d1"]}]"#,
            [edits_one, none, none, none],
        ),
        (
            r#"{"role":"observer","devices":["d1"]}"#,
            [reads_one, none, none, none],
        ),
        (
            r#"[{"role":"observer","devices":["d1"]},{"role":"admin","devices":["d2"]}]"#,
            [reads_one, edits_one, none, none],
        ),
        (
            r#"["observer",{"role":"admin","devices":["d2"]}]"#,
            [read, "+++++-+-", read, read],
        ),
        // Nothing that is not understood allows anything.
        ("[]", [none; 4]),
        ("null", [none; 4]),
        ("true", [none; 4]),
        ("7", [none; 4]),
        (r#""""#, [none; 4]),
        (r#""Admin""#, [none; 4]),
        (r#""admin ""#, [none; 4]),
        (r#"["other"]"#, [none; 4]),
        (r#"[["admin"]]"#, [none; 4]),
        (r#"[{"role":"admin"}]"#, [none; 4]),
        (r#"[{"role":"admin","devices":null}]"#, [none; 4]),
        (r#"[{"role":"admin","devices":[]}]"#, [none; 4]),
        (r#"[{"role":"admin","devices":[null]}]"#, [none; 4]),
        (r#"[{"role":"admin","devices":"d1"}]"#, [none; 4]),
        (r#"[{"role":["admin"],"devices":["d1"]}]"#, [none; 4]),
        (r#"[{"role":"admin","groups":["a"]}]"#, [none; 4]),
        (
            r#"[{"role":"admin","devices":["d1"],"until":1}]"#,
            [none; 4],
        ),
        (r#"{"admin":true}"#, [none; 4]),
    ] {
        let token = changed("mender.roles", roles);
        for (device, expected) in DEVICES.iter().zip(rows) {
            assert_eq!(
                row(&access, Some(&token), "t", device).await,
                expected,
                "{roles} {device}"
            );
        }
        // Whatever the role: not in another tenant.
        assert_eq!(
            row(&access, Some(&token), "other", "d1").await,
            none,
            "{roles}"
        );
        assert_eq!(row(&access, Some(&token), "", "d1").await, none, "{roles}");
    }
    assert_eq!(
        row(&access, Some(&changed("x", "1")), "t", "d1").await,
        none
    );
}

#[tokio::test]
async fn without_roles_each_user_of_the_tenant_may_and_nobody_else() {
    let access = by_token(Roles::Everything);
    for device in DEVICES {
        assert_eq!(
            row(&access, Some(&changed("x", "1")), "t", device).await,
            "++++++++"
        );
        assert_eq!(
            row(&access, Some(&changed("x", "1")), "u", device).await,
            "--------"
        );
    }
}

#[tokio::test]
async fn in_mode_jwt_strangers_are_refused_whatever_the_roles() {
    for (token, expected) in strangers() {
        for roles in [Roles::Everything, from_claim()] {
            let access = by_token(roles);
            for device in DEVICES {
                let answers = row(&access, token.as_deref(), "t", device).await;
                assert_eq!(answers, expected, "{token:?}");
            }
        }
    }
}

/// Plays useradm and inventory: what each user, by `sub`, may do.
#[derive(Default)]
struct Useradm {
    asked: AtomicUsize,
    questions: Mutex<Vec<String>>,
}

impl Rbac for Useradm {
    async fn ask(&self, token: &str, question: &Question) -> Result<Verdict, Unknown> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Question { method, uri } = question;
        self.questions
            .lock()
            .unwrap()
            .push(format!("{method} {uri}"));
        let claims = crate::token::read_unverified(token).unwrap();
        let within = |groups: &[&str]| {
            Ok(Verdict::Within(
                groups.iter().map(ToString::to_string).collect(),
            ))
        };
        let sees = *method == "GET" || uri.ends_with("/search");
        let edits = *method == "PUT";
        match claims.subject.as_str() {
            "admin" => Ok(Verdict::Allowed),
            "reader" if sees => Ok(Verdict::Allowed),
            "reader-a" if sees => within(&["a"]),
            "editor-a" if sees || edits => within(&["a"]),
            "reader-a-editor-b" if sees => within(&["a", "b"]),
            "reader-a-editor-b" if edits => within(&["b"]),
            "of-no-group" => within(&[]),
            "revoked" => Ok(Verdict::Unauthenticated),
            "broken" => Err(Unknown),
            "hung" => std::future::pending().await,
            _ => Ok(Verdict::Forbidden),
        }
    }

    async fn groups_of(&self, _: &TenantId, device: &DeviceId) -> Result<Vec<String>, Unknown> {
        match device.as_str() {
            "d1" => Ok(vec!["a".to_owned()]),
            "d2" => Ok(vec!["b".to_owned()]),
            _ => Ok(Vec::new()),
        }
    }
}

fn of(user: &str) -> String {
    changed("sub", &format!("\"{user}\""))
}

#[tokio::test(start_paused = true)]
async fn in_mode_mender_its_roles_decide_for_each_device_and_each_verb() {
    let (all, none, read) = ("++++++++", "--------", "+--+--+-");
    let (edits_one, reads_one) = ("+++-+---", "+-------");
    for (user, rows) in [
        ("admin", [all; 4]),
        ("reader", [read; 4]),
        ("reader-a", [reads_one, none, none, none]),
        ("editor-a", [edits_one, none, none, none]),
        ("reader-a-editor-b", [reads_one, edits_one, none, none]),
        ("of-no-group", [none; 4]),
        ("nobody-special", [none; 4]),
        ("revoked", ["????????"; 4]),
        ("broken", ["!!!!!!!!"; 4]),
        ("hung", ["!!!!!!!!"; 4]),
    ] {
        // Remembered answers must not leak from device to device or from verb to verb.
        for remember in [0, 5] {
            let access = ByMender::new(Useradm::default(), Duration::from_secs(remember));
            for _ in 0..2 {
                for (device, expected) in DEVICES.iter().zip(rows) {
                    let answers = row(&access, Some(&of(user)), "t", device).await;
                    assert_eq!(answers, expected, "{user} {device} {remember}");
                }
            }
            let asked = access.rbac().asked.load(Ordering::Relaxed);
            assert_eq!(row(&access, Some(&of(user)), "other", "d1").await, none);
            assert_eq!(access.rbac().asked.load(Ordering::Relaxed), asked, "{user}");
        }
    }
}

#[tokio::test]
async fn mender_is_not_asked_about_those_who_are_not_its_users() {
    let access = ByMender::new(Useradm::default(), Duration::ZERO);
    for (token, _) in strangers() {
        // When it ends, and whose it is, useradm knows.
        let judged_there = ["exp", "iss"].iter().any(|claim| {
            let tokens = [
                changed(claim, ""),
                changed(claim, "1799999000"),
                changed(claim, "\"Mender\""),
            ];
            token.as_ref().is_some_and(|token| tokens.contains(token))
        });
        if !judged_there {
            let answers = row(&access, token.as_deref(), "t", "d1").await;
            assert!(!answers.contains(['+', '!']), "{token:?}: {answers}");
        }
    }
    assert_eq!(access.rbac().asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_are_remembered_for_their_time_and_doubt_is_not() {
    let access = ByMender::new(Useradm::default(), Duration::from_secs(5));
    let asked = || access.rbac().asked.load(Ordering::Relaxed);
    for _ in 0..3 {
        ask(&access, Some(&of("admin")), Verb::Get, "t", "d1")
            .await
            .unwrap();
    }
    assert_eq!(asked(), 1);
    tokio::time::advance(Duration::from_secs(5)).await;
    ask(&access, Some(&of("admin")), Verb::Get, "t", "d1")
        .await
        .unwrap();
    assert_eq!(asked(), 2);
    for _ in 0..3 {
        ask(&access, Some(&of("broken")), Verb::Get, "t", "d1")
            .await
            .unwrap_err();
    }
    assert_eq!(asked(), 5);
}

#[tokio::test]
async fn useradm_is_asked_about_the_requests_of_menders_own_api() {
    let access = ByMender::new(Useradm::default(), Duration::ZERO);
    for verb in Verb::ALL {
        let _ = ask(&access, Some(&of("admin")), verb, "t", "d%2F?1").await;
    }
    let state = "/api/management/v1/iot-manager/devices/d%252F%3F1/state";
    let put = format!("PUT {state}/00000000-0000-0000-0000-000000000000");
    let search = "POST /api/management/v2/inventory/filters/search".to_owned();
    let integrations = "POST /api/management/v1/iot-manager/integrations".to_owned();
    assert_eq!(
        *access.rbac().questions.lock().unwrap(),
        [
            format!("GET {state}"),
            put.clone(),
            put.clone(),
            search.clone(),
            put,
            integrations.clone(),
            search,
            integrations
        ]
    );
}

#[tokio::test]
async fn who_was_refused_is_known_once_it_is_proved() {
    let access = by_token(from_claim());
    let denied = ask(&access, Some(&changed("x", "1")), Verb::Set, "t", "d1").await;
    let caller = denied.unwrap_err().caller.unwrap();
    assert_eq!(
        (caller.by, caller.subject.as_deref()),
        (Proof::Token, Some("u"))
    );
    let denied = ask(&access, Some("a.b.c"), Verb::Set, "t", "d1").await;
    assert_eq!(denied.unwrap_err().caller, None);
}
