//! `device show`: everything that is known of one device.

use anyhow::bail;
use jetstream::LetterHead;
use lifecycle::DeviceRef;
use reconciler::InHub;
use reconciler::ports::{DeviceStore as _, Stored};
use reconciler::sweep::is_given_up;
use serde_json::{Value, json};

use super::history::{History, of_letter};
use super::words::{delivered, hub, state, wanted};
use crate::adapters::RecordStore;
use crate::cli::{OneDevice, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// Outcomes that are shown.
const LAST: usize = 5;
/// What takes given-up work up again.
const AFTER_GIVING_UP: &str =
    "with its next event, a replay of its dead letter, or `mender-iothub device retry`";

pub(super) async fn run(config: &Config, one: OneDevice, output: Output) -> anyhow::Result<()> {
    let about = DeviceRef {
        tenant: one.of.tenant,
        device: one.device,
    };
    let session = Session::for_command(config).await?;
    let store = RecordStore::from_config(config)?.open(&session).await?;
    let stored = store.load(&about).await;
    store.close().await;
    let (stored, history) = (stored?, History::read(&session, &about, LAST).await?);
    if stored.is_none() && history.is_empty() {
        bail!(
            "nothing is known of device {} of tenant {:?}: no event about it has been worked on. \
             Is the id right, and the tenant? Does `mender-iothub status` show a backlog?",
            about.device,
            about.tenant.as_str()
        );
    }
    print::result(output, &shown(&about, stored.as_ref(), &history), |_| {
        print::harmless(in_words(&about, stored.as_ref(), &history))
    })
}

fn shown(about: &DeviceRef, stored: Option<&Stored>, history: &History) -> Value {
    let mut shown = json!({
        "tenant": about.tenant,
        "device": about.device,
        "outcomes": history.outcomes(),
        "dead_letters": history.letters.iter().map(of_letter).collect::<Vec<_>>(),
    });
    let Some(stored) = stored else {
        return shown;
    };
    let record = &stored.record;
    let of_record = json!({
        "wanted": record.wanted(),
        "hub": InHub::of(record),
        "state": reconciler::Progress::of(record),
        "settled": record.is_settled(),
        "next_try": record.retry.not_before.filter(|_| !record.is_settled()).map(print::time),
        "record": record,
        "version": stored.version,
        "written_us": stored.written_at,
    });
    if let (Value::Object(shown), Value::Object(of_record)) = (&mut shown, of_record) {
        shown.extend(of_record);
    }
    shown
}

fn in_words(about: &DeviceRef, stored: Option<&Stored>, history: &History) -> String {
    let mut facts = vec![
        ("device", about.device.to_string()),
        ("tenant", format!("{:?}", about.tenant.as_str())),
    ];
    match stored {
        Some(stored) => facts.extend(of_record(stored)),
        None => facts.push((
            "record",
            "none: no event about it could be understood".to_owned(),
        )),
    }
    let mut text = print::facts(facts);
    if !history.outcomes.is_empty() {
        text.push_str("\nlast events\n");
        text.push_str(&history.outcome_table());
        text.push('\n');
    }
    for letter in &history.letters {
        text.push_str(&of_dead(letter));
    }
    text
}

fn of_record(stored: &Stored) -> Vec<(&'static str, String)> {
    let record = &stored.record;
    let now = print::now();
    let revision = record.key.revision;
    let revision = revision.map_or("none".to_owned(), |number| number.to_string());
    let mut facts = vec![
        (
            "Mender says",
            format!("{} (revision {revision})", record.status),
        ),
        ("wanted", wanted(record).to_owned()),
        (
            "hub",
            format!("{}: {}", record.integration.hub, hub(record)),
        ),
        ("delivered", delivered(record).to_owned()),
        ("state", state(record)),
    ];
    if is_given_up(record) {
        facts.push(("next try", AFTER_GIVING_UP.to_owned()));
    }
    if record.parked.is_none() && !record.is_settled() {
        if let Some(working) = &record.working {
            facts.push(("works for", working.event.id.0.clone()));
        }
        if let Some(next) = record.retry.not_before {
            facts.push(("next try", print::time_from(now, next)));
        }
    }
    if let Some(error) = &record.retry.last_error {
        let attempt = record.retry.attempt;
        facts.push(("last error", format!("{error} (attempt {attempt})")));
    }
    if let Some(done) = &record.done {
        let reason = done.reason.as_ref();
        let reason = reason.map(|why| format!(": {why}")).unwrap_or_default();
        let outcome = format!("{:?}", done.outcome).to_lowercase();
        facts.push((
            "last event",
            format!("{} {outcome}{reason}", done.event.id.0),
        ));
    }
    facts.push(("last change", print::time_from(now, stored.written_at)));
    facts
}

fn of_dead(letter: &LetterHead) -> String {
    let number = letter.sequence;
    format!(
        "\ndead letter {number} of {}: {}, {}\n  look closer with `mender-iothub dlq show {number}`, \
         try again with `mender-iothub dlq replay {number}`\n",
        print::time(letter.stored_at),
        letter.class,
        letter.reason
    )
}
