//! `dlq list|show|replay`: dead letters, for operators.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jetstream::{DeadLetters, Letter, Replayed};
use lifecycle::{DeviceId, TenantId};
use serde_json::{Value, json};

use crate::cli::{Dlq, Output, Replay};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// Letters read at once.
const PAGE: usize = 500;

pub(crate) async fn run(config: &Config, what: Dlq, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    let letters = DeadLetters::open(&session.context, &session.names).await?;
    match what {
        Dlq::List {
            tenant,
            device,
            limit,
        } => list(&letters, tenant.as_ref(), device.as_ref(), limit, output).await,
        Dlq::Show { sequence } => show(&letters, sequence, output).await,
        Dlq::Replay(args) => replay(&letters, args, output).await,
        Dlq::Purge {
            tenant,
            device,
            yes,
        } => purge(&letters, tenant.as_ref(), device.as_ref(), yes, output).await,
    }
}

/// All letters that the filters leave, oldest first.
async fn all(
    letters: &DeadLetters,
    tenant: Option<&TenantId>,
    device: Option<&DeviceId>,
) -> anyhow::Result<Vec<Letter>> {
    let (tenant, device) = (tenant.map(TenantId::as_str), device.map(DeviceId::as_str));
    let mut found = Vec::new();
    let mut from = None;
    loop {
        let page = letters.list(tenant, device, from, PAGE).await?;
        found.extend(page.letters);
        from = page.next;
        if from.is_none() {
            return Ok(found);
        }
    }
}

async fn list(
    letters: &DeadLetters,
    tenant: Option<&TenantId>,
    device: Option<&DeviceId>,
    limit: usize,
    output: Output,
) -> anyhow::Result<()> {
    let mut found = all(letters, tenant, device).await?;
    let total = found.len();
    found.reverse();
    found.truncate(limit);
    let shown: Vec<_> = found.iter().map(brief).collect();
    print::result(output, &shown, |_| {
        if found.is_empty() {
            return "no dead letters".to_owned();
        }
        let rows = found.iter().map(|letter| {
            [
                letter.sequence.to_string(),
                print::time(letter.stored_at),
                format!("{:?}", letter.tenant.as_deref().unwrap_or_default()),
                letter.device.clone().unwrap_or_else(|| "?".to_owned()),
                letter.class.clone(),
                letter.reason.clone(),
            ]
        });
        let head = ["NUMBER", "SINCE", "TENANT", "DEVICE", "CLASS", "REASON"];
        let text = print::harmless(print::table(head, rows));
        match total.saturating_sub(limit) {
            0 => text,
            older => format!("{text}\n{older} older ones are not shown: --limit"),
        }
    })
}

fn brief(letter: &Letter) -> Value {
    json!({
        "sequence": letter.sequence,
        "stored_at": print::time(letter.stored_at),
        "event_id": letter.event_id,
        "tenant": letter.tenant,
        "device": letter.device,
        "class": letter.class,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "replay": letter.replay,
    })
}

async fn show(letters: &DeadLetters, sequence: u64, output: Output) -> anyhow::Result<()> {
    let letter = letters
        .get(sequence)
        .await?
        .with_context(|| gone(sequence))?;
    let mut shown = brief(&letter);
    shown["subject"] = json!(letter.subject);
    shown["headers"] = json!(letter.headers);
    shown["truncated"] = json!(letter.truncated);
    shown["body_base64"] = json!(STANDARD.encode(&letter.body));
    shown["body"] = json!(String::from_utf8(letter.body.clone()).ok());
    print::result(output, &shown, |_| {
        let headers: Vec<_> = letter
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let mut text = print::facts([
            ("number", letter.sequence.to_string()),
            ("since", print::time(letter.stored_at)),
            ("event", letter.event_id.0.clone()),
            (
                "tenant",
                format!("{:?}", letter.tenant.as_deref().unwrap_or_default()),
            ),
            (
                "device",
                letter
                    .device
                    .clone()
                    .unwrap_or_else(|| "not known".to_owned()),
            ),
            ("class", letter.class.clone()),
            ("reason", letter.reason.clone()),
            ("attempts", letter.attempts.to_string()),
            ("replayed", replayed(&letter)),
            ("received on", letter.subject.clone()),
            ("headers", headers.join("; ")),
            (
                "size",
                format!("{} bytes", letter.truncated.unwrap_or(letter.body.len())),
            ),
        ]);
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&letter.body));
        print::harmless(text)
    })
}

fn replayed(letter: &Letter) -> String {
    match letter.replay {
        0 => "never".to_owned(),
        of => format!("from letter {of}"),
    }
}

fn gone(sequence: u64) -> String {
    format!("no dead letter {sequence}; `mender-iothub dlq list` shows those there are")
}

async fn replay(letters: &DeadLetters, args: Replay, output: Output) -> anyhow::Result<()> {
    let sequences: Vec<u64> = if args.all {
        let found = all(letters, args.tenant.as_ref(), args.device.as_ref()).await?;
        found.iter().map(|letter| letter.sequence).collect()
    } else {
        args.sequences
    };
    if sequences.len() > 1 && !args.yes {
        let plan = json!({"would_replay": sequences});
        return print::result(output, &plan, |_| {
            format!(
                "would replay {} dead letters; do it with --yes",
                sequences.len()
            )
        });
    }
    let mut results = Vec::new();
    for sequence in sequences {
        let result = letters.replay(sequence).await?;
        results.push((sequence, result));
    }
    let shown: Vec<_> = results
        .iter()
        .map(|(sequence, result)| came_of(*sequence, result))
        .collect();
    print::result(output, &shown, |_| {
        if results.is_empty() {
            return "no dead letters".to_owned();
        }
        results
            .iter()
            .fold(String::new(), |text, (sequence, result)| {
                format!("{text}{sequence}: {}\n", print::harmless(in_words(result)))
            })
    })?;
    let kept = results
        .iter()
        .filter(|(_, result)| !matches!(result, Replayed::Published(_)))
        .count();
    if kept > 0 {
        bail!("{kept} of {} could not be replayed", results.len());
    }
    Ok(())
}

fn came_of(sequence: u64, result: &Replayed) -> Value {
    match result {
        Replayed::Published(events) => {
            json!({"sequence": sequence, "result": "published", "events": events})
        }
        Replayed::Malformed { reason, published } => {
            json!({"sequence": sequence, "result": "malformed", "reason": reason, "events": published})
        }
        Replayed::Gone => json!({"sequence": sequence, "result": "gone"}),
    }
}

fn in_words(result: &Replayed) -> String {
    match result {
        Replayed::Published(1) => "published again".to_owned(),
        Replayed::Published(events) => format!("published again, {events} events"),
        Replayed::Malformed { reason, .. } => format!("kept: still not understood: {reason}"),
        Replayed::Gone => "gone: replayed or removed by somebody else".to_owned(),
    }
}

async fn purge(
    letters: &DeadLetters,
    tenant: Option<&TenantId>,
    device: Option<&DeviceId>,
    yes: bool,
    output: Output,
) -> anyhow::Result<()> {
    if !yes {
        let count = all(letters, tenant, device).await?.len();
        return print::result(output, &json!({"would_remove": count}), |_| {
            format!("would remove {count} dead letters for good; do it with --yes")
        });
    }
    let (tenant, device) = (tenant.map(TenantId::as_str), device.map(DeviceId::as_str));
    let count = letters.purge(tenant, device).await?;
    print::result(output, &json!({"removed": count}), |_| {
        format!("removed {count} dead letters")
    })
}
