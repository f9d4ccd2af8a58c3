//! `device history`: how the events about a device ended.

use std::collections::VecDeque;

use anyhow::bail;
use jetstream::{DeadLetters, Error, LetterHead, Outcomes};
use lifecycle::{DeviceRef, Timestamp};
use messages::OutcomeMessage;
use messages::ops::LetterFilter;
use serde_json::{Value, json};

use crate::cli::{DeviceHistory, Output};
use crate::config::Config;
use crate::print;
use crate::session::Session;

/// The most dead letters that are shown; a device rarely has more than one.
const LETTERS: usize = 100;

/// What became of the events about a device. The newest come first.
pub(super) struct History {
    pub(super) outcomes: Vec<(Timestamp, OutcomeMessage)>,
    pub(super) letters: Vec<LetterHead>,
}

pub(super) async fn run(
    config: &Config,
    args: DeviceHistory,
    output: Output,
) -> anyhow::Result<()> {
    let about = DeviceRef {
        tenant: args.device.of.tenant,
        device: args.device.device,
    };
    let session = Session::for_command(config).await?;
    let limit = usize::try_from(args.limit)?;
    let history = History::read(&session, &about, limit).await?;
    if history.is_empty() {
        bail!(
            "no event about device {} of tenant {:?} has ended within the last seven days; `mender-iothub \
             device show` tells the state of older ones",
            about.device,
            about.tenant.as_str()
        );
    }
    let shown = json!({
        "tenant": about.tenant,
        "device": about.device,
        "outcomes": history.outcomes(),
        "dead_letters": history.letters.iter().map(of_letter).collect::<Vec<_>>(),
    });
    print::result(output, &shown, |_| print::harmless(history.table()))
}

impl History {
    /// At most `limit` outcomes, and the dead letters.
    pub(super) async fn read(
        session: &Session,
        about: &DeviceRef,
        limit: usize,
    ) -> anyhow::Result<Self> {
        let (context, names) = (&session.context, &session.names);
        let mut outcomes = match Outcomes::open(context, names).await {
            Ok(log) => log.last(about, limit).await?,
            Err(Error::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        outcomes.reverse();
        let letters = match DeadLetters::open(context, names).await {
            Ok(letters) => newest(&letters, about).await?,
            Err(Error::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { outcomes, letters })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.letters.is_empty()
    }

    /// The outcomes as they are in the log, each with its time.
    pub(super) fn outcomes(&self) -> Vec<Value> {
        let shown = |(at, outcome): &(Timestamp, OutcomeMessage)| {
            let mut shown = json!(outcome);
            if let Value::Object(fields) = &mut shown {
                fields.insert("time".to_owned(), json!(print::time(*at)));
            }
            shown
        };
        self.outcomes.iter().map(shown).collect()
    }

    pub(super) fn outcome_table(&self) -> String {
        print::table(HEAD, self.outcomes.iter().map(of_outcome))
    }

    /// Outcomes and dead letters together.
    fn table(&self) -> String {
        let outcomes = self.outcomes.iter().map(|it| (it.0, of_outcome(it)));
        let letters = self.letters.iter().map(|letter| {
            let row = [
                print::time(letter.stored_at),
                format!("dead letter {}", letter.sequence),
                String::new(),
                letter.event_id.0.clone(),
                format!("{}: {}", letter.class, letter.reason),
            ];
            (letter.stored_at, row)
        });
        let mut rows: Vec<_> = outcomes.chain(letters).collect();
        rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        print::table(HEAD, rows.into_iter().map(|(_, row)| row))
    }
}

/// The newest dead letters of a device, newest first.
async fn newest(letters: &DeadLetters, about: &DeviceRef) -> Result<Vec<LetterHead>, Error> {
    let filter = LetterFilter {
        tenant: Some(about.tenant.clone()),
        device: Some(about.device.clone()),
        ..LetterFilter::default()
    };
    let mut scan = letters.scan(&filter).await?;
    let mut newest = VecDeque::new();
    while let Some(head) = scan.next().await? {
        newest.push_front(head);
        newest.truncate(LETTERS);
    }
    Ok(newest.into())
}

const HEAD: [&str; 5] = ["TIME", "OUTCOME", "MENDER SAID", "EVENT", "REASON"];

fn of_outcome((at, outcome): &(Timestamp, OutcomeMessage)) -> [String; 5] {
    let status = outcome.status.map(|status| status.to_string());
    let revision = outcome
        .revision
        .map(|number| format!("(revision {number})"));
    let said: Vec<_> = status.into_iter().chain(revision).collect();
    let again = match outcome.replay {
        0 => String::new(),
        letter => format!(" (replay of dead letter {letter})"),
    };
    [
        print::time(*at),
        format!("{:?}", outcome.outcome).to_lowercase(),
        said.join(" "),
        format!("{}{again}", outcome.event_id),
        outcome.reason.clone().unwrap_or_default(),
    ]
}

pub(super) fn of_letter(letter: &LetterHead) -> Value {
    json!({
        "sequence": letter.sequence,
        "time": print::time(letter.stored_at),
        "class": letter.class,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "event_id": letter.event_id.0,
    })
}
