//! `outcomes tail`: the event log, as it is written.

use std::io::{ErrorKind, Write as _};

use jetstream::{Logged, Tail, Wanted};
use lifecycle::Outcome;
use messages::OutcomeMessage;
use serde_json::{Map, Value, json};

use crate::cli::{self, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// How many are shown of the past if nobody says it.
const LINES: u32 = 10;

pub(crate) async fn run(
    config: &Config,
    what: cli::Outcomes,
    output: Output,
) -> anyhow::Result<()> {
    let cli::Outcomes::Tail(args) = what;
    end_at_once_on_ctrl_c();
    let session = Session::for_command(config).await?;
    let log = jetstream::Outcomes::open(&session.context, &session.names).await?;
    let wanted = Wanted {
        tenant: args.tenant,
        device: args.device,
        outcomes: args.outcome.into_iter().map(Outcome::from).collect(),
    };
    let lines = args.lines.or(args.since.is_none().then_some(LINES));
    let last = lines.and_then(|lines| usize::try_from(lines).ok());
    let since = args.since.map(|moment| moment.from(print::now()));
    let mut tail = log.tail(wanted, since, last).await?;
    while let Some(logged) = next(&mut tail, !args.no_follow).await? {
        if !put(&logged, output)? {
            break;
        }
    }
    Ok(())
}

async fn next(tail: &mut Tail, follow: bool) -> Result<Option<Logged>, jetstream::Error> {
    if follow {
        return tail.next().await.map(Some);
    }
    tail.next_past().await
}

/// In a task of its own: whoever has stopped reading what is printed may still press Ctrl-C.
fn end_at_once_on_ctrl_c() {
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(0);
        }
    });
}

/// Prints one; false once nobody reads it any more.
fn put(logged: &Logged, output: Output) -> anyhow::Result<bool> {
    let line = match output {
        Output::Json => print::json_line(&in_json(logged)),
        Output::Text => print::line(in_words(logged)),
    };
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The outcome as it is stored, its number, and when it was stored.
fn in_json(logged: &Logged) -> Value {
    let mut shown = Map::new();
    shown.insert("sequence".to_owned(), json!(logged.sequence));
    shown.insert("at".to_owned(), json!(print::time(logged.at)));
    match &logged.outcome {
        Ok(outcome) => {
            if let Ok(Value::Object(fields)) = serde_json::to_value(outcome) {
                shown.extend(fields);
            }
        }
        Err(malformed) => {
            shown.insert("not_understood".to_owned(), json!(malformed.to_string()));
        }
    }
    Value::Object(shown)
}

fn in_words(logged: &Logged) -> String {
    let at = print::time(logged.at);
    match &logged.outcome {
        Ok(outcome) => format!("{at}  {}", ended(outcome)),
        Err(malformed) => format!(
            "{at}  number {} is not understood: {malformed}",
            logged.sequence
        ),
    }
}

fn ended(outcome: &OutcomeMessage) -> String {
    let how = format!("{:?}", outcome.outcome).to_lowercase();
    let device = outcome.device_id.as_deref().unwrap_or("?");
    let tenant = outcome.tenant_id.as_deref().filter(|it| !it.is_empty());
    let parts = [
        tenant.map(|tenant| format!(" of tenant {tenant:?}")),
        outcome.status.map(|status| format!("  {status}")),
        outcome
            .revision
            .map(|number| format!(" (revision {number})")),
        Some(format!("  event {}", outcome.event_id)),
        (outcome.replay > 0).then(|| ", replayed".to_owned()),
        outcome.reason.as_ref().map(|reason| format!(": {reason}")),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    format!("{how:<10}  {device}{parts}")
}

#[cfg(test)]
mod tests {
    use lifecycle::Timestamp;

    use super::*;

    fn logged(reason: &str) -> Logged {
        let body = json!({
            "event_id": "IOTHUB_EVENTS-17", "tenant_id": "t1", "device_id": "dev-1",
            "status": "rejected", "revision": 7, "created_ts": null, "outcome": "dead",
            "reason": reason, "replay": 0,
        });
        Logged {
            sequence: 3,
            at: Timestamp::from_micros(1_787_220_672_000_000),
            outcome: OutcomeMessage::parse(body.to_string().as_bytes()),
        }
    }

    #[test]
    fn a_line_tells_when_how_which_and_why() {
        assert_eq!(
            in_words(&logged("no such thing")),
            "2026-08-20T10:11:12Z  dead        dev-1 of tenant \"t1\"  rejected (revision 7)  event \
             IOTHUB_EVENTS-17: no such thing"
        );
    }

    #[test]
    fn whatever_an_outcome_says_it_is_one_line_without_control_characters() {
        let hostile = logged("a\u{1b}[2J\u{9b}31m\u{7f}\r\nforged  applied");
        for line in [
            print::line(in_words(&hostile)),
            print::json_line(&in_json(&hostile)),
        ] {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        let json: Value = serde_json::from_str(&print::json_line(&in_json(&hostile))).unwrap();
        assert_eq!(json["reason"], in_json(&hostile)["reason"]);
    }
}
