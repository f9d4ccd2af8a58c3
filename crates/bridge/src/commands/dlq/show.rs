//! `dlq show`: one dead letter.

use std::io::Write as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jetstream::{DeadLetters, Letter, LetterHead};
use serde_json::json;

use super::brief;
use crate::cli::{DlqShow, Output};
use crate::print;

pub(super) async fn run(
    letters: &DeadLetters,
    args: &DlqShow,
    output: Output,
) -> anyhow::Result<()> {
    let sequence = args.sequence;
    let letter = letters.get(sequence).await?.with_context(|| {
        format!("no dead letter {sequence}; `mender-iothub dlq list` shows those there are")
    })?;
    if args.raw {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&letter.body)?;
        return Ok(stdout.flush()?);
    }
    let mut shown = brief(&letter.head);
    shown["subject"] = json!(letter.subject);
    shown["headers"] = json!(letter.headers);
    shown["truncated"] = json!(letter.truncated);
    shown["body_base64"] = json!(STANDARD.encode(&letter.body));
    shown["body"] = json!(std::str::from_utf8(&letter.body).ok());
    print::result(output, &shown, |_| in_words(&letter))
}

fn in_words(letter: &Letter) -> String {
    let head = &letter.head;
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    let mut facts = vec![
        ("number", head.sequence.to_string()),
        ("since", print::time(head.stored_at)),
        ("event", head.event_id.0.clone()),
        ("tenant", format!("{:?}", or(&head.tenant, ""))),
        ("device", or(&head.device, "not known")),
        ("class", head.class.clone()),
        ("reason", head.reason.clone()),
        ("attempts", head.attempts.to_string()),
        ("replayed", replayed(head)),
        ("received on", letter.subject.clone()),
        ("size", size(letter)),
    ];
    let headers = letter.headers.iter();
    facts.extend(headers.map(|(name, value)| ("header", format!("{name}: {value}"))));
    let mut text = print::facts(facts);
    text.push('\n');
    if let Ok(body) = std::str::from_utf8(&letter.body) {
        text.push_str(body);
    } else {
        text.push_str("not text; in base64 (--raw prints the bytes):\n");
        text.push_str(&STANDARD.encode(&letter.body));
    }
    print::harmless(text)
}

fn replayed(head: &LetterHead) -> String {
    match head.replay {
        0 => "never".to_owned(),
        of => format!("from letter {of}"),
    }
}

fn size(letter: &Letter) -> String {
    let kept = letter.body.len();
    match letter.truncated {
        None => format!("{kept} bytes"),
        Some(all) => format!("{all} bytes, of which the first {kept} were kept"),
    }
}
