//! The NATS server, the account, and what this user may do there.

use async_nats::ServerInfo;
use jetstream::Account;

use super::finding::Finding;
use super::{Findings, Scene};
use crate::config::Config;

const CHECK: &str = "NATS";
const ACCOUNT: &str = "NATS account";
/// Works, but 2.14 has fixes that matter (see `deploy/nats`).
const BETTER: (u32, u32) = (2, 14);
/// The largest body that is taken in, and the server's own default.
const USUAL_PAYLOAD: usize = 1024 * 1024;
/// Twin requests take up to 160 KiB, and dead letters have headers besides.
const LEAST_PAYLOAD: usize = 256 * 1024;
/// What our consumers ask for; see `jetstream`'s assets.
const ACK_PENDING: i64 = 5_000;
/// A disk that is so full (percent) will soon refuse events.
const FULL: u64 = 80;

/// The finding if there is no server that will do.
pub(super) fn not_there(error: &jetstream::Error) -> Finding {
    let advice = match error {
        jetstream::Error::Server { .. } => "upgrade nats-server, best to 2.14 or later",
        _ => {
            "is it running, is `nats.url` right, and are user and password? The log of nats-server says \
             whom it refuses. What needs NATS was not checked"
        }
    };
    Finding::problem(CHECK, error.to_string()).with_advice(advice)
}

/// The finding for something that the server does not let this user do.
pub(super) fn refused(config: &Config, what: &str) -> Finding {
    let user = config.nats.user.as_deref().unwrap_or("without a name");
    let advice = if what.starts_with("subscribe to \"_INBOX") {
        "set `nats.inbox_prefix` to the prefix that the user has in deploy/nats/users.conf, such as \
         _INBOX_operator"
    } else {
        "give the permission in deploy/nats/users.conf and reload nats-server, or run this as the user \
         `operator`; what failed above may be due to this alone"
    };
    Finding::problem(
        "permissions",
        format!("NATS does not let user {user} {what}"),
    )
    .with_advice(advice)
}

pub(super) fn check(scene: &Scene<'_>) -> Vec<Finding> {
    let client = &scene.session.client;
    of_server(&client.server_info(), &scene.config.nats.url)
}

fn of_server(info: &ServerInfo, url: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let version = &info.version;
    let mut parts = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < BETTER {
        found.push(
            Finding::advice(CHECK, format!("nats-server is version {version}"))
                .with_advice("upgrade to 2.14 or later: it mends stalls and losses of work queues"),
        );
    }
    let size = info.max_payload;
    if size < LEAST_PAYLOAD {
        found.push(
            Finding::problem(
                CHECK,
                format!(
                    "`max_payload` is {size} bytes: large requests and dead letters do not fit"
                ),
            )
            .with_advice("set `max_payload: 1MB` in the configuration of nats-server"),
        );
    } else if size < USUAL_PAYLOAD {
        found.push(
            Finding::advice(
                CHECK,
                format!("`max_payload` is {size} bytes: events of up to 1 MiB do not fit"),
            )
            .with_advice("set `max_payload: 1MB` in the configuration of nats-server"),
        );
    }
    if !info.auth_required {
        let what = "whoever reaches NATS may read all records, edit twins and delete streams: it asks \
                    nobody for a password";
        let here = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|host| url.contains(host));
        let finding = if here {
            Finding::advice(CHECK, what)
        } else {
            Finding::problem(CHECK, what)
        };
        found.push(finding.with_advice("use the users of deploy/nats/users.conf"));
    }
    if found.is_empty() {
        let name = &info.server_name;
        found.push(Finding::ok(
            CHECK,
            format!("server {name}, version {version}"),
        ));
    }
    found
}

pub(super) async fn account(scene: &Scene<'_>) -> Findings {
    let account = jetstream::account(&scene.session.context).await?;
    Ok(of_account(&account))
}

fn of_account(account: &Account) -> Vec<Finding> {
    let mut found = Vec::new();
    let limits = &account.limits;
    if let Ok(most) = u64::try_from(limits.max_storage)
        && account.storage.saturating_mul(100) >= most.saturating_mul(FULL)
    {
        let used = account.storage;
        found.push(
            Finding::problem(
                ACCOUNT,
                format!("JetStream's storage is nearly full: {used} of {most} bytes; then nothing can be stored"),
            )
            .with_advice("raise `max_file_store` or the account's limit, or see which stream grows: `nats stream ls`"),
        );
    }
    if limits.max_ack_pending > 0 && limits.max_ack_pending < ACK_PENDING {
        let most = limits.max_ack_pending;
        found.push(
            Finding::problem(
                ACCOUNT,
                format!("the account lets a consumer have {most} messages in work, and ours need {ACK_PENDING}"),
            )
            .with_advice("raise `max_ack_pending` of the account"),
        );
    }
    if limits.max_bytes_required {
        found.push(
            Finding::problem(
                ACCOUNT,
                "the account demands a limit of bytes for each stream, and ours have none",
            )
            .with_advice("unset `max_bytes_required`: a full work queue would lose events"),
        );
    }
    if found.is_empty() {
        let used = account.storage / 1024 / 1024;
        found.push(Finding::ok(
            ACCOUNT,
            format!("{used} MiB used, within all limits"),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use jetstream::AccountLimits;

    use super::super::finding::Severity;
    use super::*;

    fn server() -> ServerInfo {
        ServerInfo {
            version: "2.15.1".to_owned(),
            max_payload: USUAL_PAYLOAD,
            auth_required: true,
            ..ServerInfo::default()
        }
    }

    #[track_caller]
    fn check(found: &[Finding], severity: Severity, text: &str) {
        assert_eq!(found[0].severity, severity, "{found:?}");
        assert!(found[0].what.contains(text), "{found:?}");
    }

    #[test]
    fn each_fault_of_a_server_is_found() {
        let url = "nats://nats:4222";
        check(&of_server(&server(), url), Severity::Ok, "2.15.1");
        let mut old = server();
        old.version = "2.12.3".to_owned();
        check(&of_server(&old, url), Severity::Advice, "2.12.3");
        let mut small = server();
        small.max_payload = 65_536;
        check(&of_server(&small, url), Severity::Problem, "max_payload");
        small.max_payload = 600_000;
        check(&of_server(&small, url), Severity::Advice, "max_payload");
        let mut open = server();
        open.auth_required = false;
        check(&of_server(&open, url), Severity::Problem, "password");
        check(
            &of_server(&open, "nats://127.0.0.1:1"),
            Severity::Advice,
            "password",
        );
    }

    #[test]
    fn each_limit_of_an_account_is_found() {
        let with = |limits| Account {
            storage: 85,
            streams: 1,
            limits,
        };
        let free = AccountLimits {
            max_storage: -1,
            max_streams: -1,
            max_ack_pending: -1,
            max_bytes_required: false,
        };
        check(&of_account(&with(free.clone())), Severity::Ok, "within");
        let full = AccountLimits {
            max_storage: 100,
            ..free.clone()
        };
        check(&of_account(&with(full)), Severity::Problem, "nearly full");
        let few = AccountLimits {
            max_ack_pending: 1_000,
            ..free.clone()
        };
        check(&of_account(&with(few)), Severity::Problem, "1000 messages");
        let bytes = AccountLimits {
            max_bytes_required: true,
            ..free
        };
        check(&of_account(&with(bytes)), Severity::Problem, "demands");
    }

    #[test]
    fn a_refused_inbox_is_told_apart() {
        let config = Config::default();
        let inbox = refused(&config, "subscribe to \"_INBOX.abc.*\"");
        assert!(inbox.advice.unwrap().contains("nats.inbox_prefix"));
        let other = refused(&config, "publish to \"$JS.API.INFO\"");
        assert!(other.advice.unwrap().contains("users.conf"));
    }
}
