//! `dlq list --counts`: how many dead letters there are, by class and reason.

use std::collections::BTreeMap;

use jetstream::{DeadLetters, Error, LetterHead};
use messages::ops::LetterFilter;
use serde_json::{Value, json};

use super::filter;
use crate::cli::{Letters, Output};
use crate::print;

/// More reasons than this are counted as others.
const REASONS: usize = 1_000;
const OTHERS: &str = "(other reasons)";
/// So many hexadecimal digits in a row are an id.
const ID: usize = 16;

/// Letters of one class and reason.
#[derive(Debug)]
struct Count {
    letters: u64,
    /// The number of the newest one, to look at.
    newest: u64,
    since: lifecycle::Timestamp,
}

type Counts = BTreeMap<(String, String), Count>;

pub(super) async fn run(letters: &DeadLetters, of: &Letters, output: Output) -> anyhow::Result<()> {
    let filter = filter(letters, of).await?;
    let mut counts: Vec<_> = count_all(letters, &filter).await?.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(count.letters));
    let total: u64 = counts.iter().map(|(_, count)| count.letters).sum();
    let by_reason: Vec<Value> = counts.iter().map(in_json).collect();
    let shown = json!({"total": total, "by_reason": by_reason});
    print::result(output, &shown, |_| match total {
        0 => "no dead letters".to_owned(),
        _ => table(&counts),
    })
}

/// How many dead letters there are, by `class: reason`.
pub(crate) async fn by_reason(letters: &DeadLetters) -> Result<BTreeMap<String, u64>, Error> {
    let counts = count_all(letters, &LetterFilter::default()).await?;
    let named = counts.into_iter().map(|((class, reason), count)| {
        let name = format!("{class}: {reason}");
        (name, count.letters)
    });
    Ok(named.collect())
}

async fn count_all(letters: &DeadLetters, filter: &LetterFilter) -> Result<Counts, Error> {
    let mut scan = letters.scan(filter).await?;
    let mut counts = Counts::new();
    while let Some(head) = scan.next().await? {
        count(&mut counts, head);
    }
    Ok(counts)
}

/// The reason without what is different in each letter: ids that whoever refused gave to the
/// request.
fn common(reason: &str) -> String {
    let is_of_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut text = String::with_capacity(reason.len());
    let mut rest = reason;
    while !rest.is_empty() {
        let id = rest.find(|c| !is_of_id(c)).unwrap_or(rest.len());
        text.push_str(if id >= ID { "*" } else { &rest[..id] });
        let other = rest[id..].find(is_of_id).map_or(rest.len(), |at| id + at);
        text.push_str(&rest[id..other]);
        rest = &rest[other..];
    }
    text
}

/// The scan is oldest first: the first one of a reason is the oldest, the last one the newest.
fn count(counts: &mut Counts, head: LetterHead) {
    let mut key = (head.class, common(&head.reason));
    if counts.len() >= REASONS && !counts.contains_key(&key) {
        OTHERS.clone_into(&mut key.1);
    }
    let count = counts.entry(key).or_insert(Count {
        letters: 0,
        newest: 0,
        since: head.stored_at,
    });
    count.letters += 1;
    count.newest = head.sequence;
}

fn in_json(((class, reason), count): &((String, String), Count)) -> Value {
    json!({
        "class": class,
        "reason": reason,
        "count": count.letters,
        "oldest": print::time(count.since),
        "newest_sequence": count.newest,
    })
}

fn table(counts: &[((String, String), Count)]) -> String {
    let rows = counts.iter().map(|((class, reason), count)| {
        [
            count.letters.to_string(),
            class.clone(),
            print::time(count.since),
            count.newest.to_string(),
            reason.clone(),
        ]
    });
    let head = ["LETTERS", "CLASS", "SINCE", "NEWEST", "REASON"];
    print::harmless(print::table(head, rows))
}

#[cfg(test)]
mod tests {
    use lifecycle::{EventId, Timestamp};

    use super::*;

    #[test]
    fn letters_that_differ_only_in_an_id_have_one_reason() {
        let reason = "refused (status 400, tracking id 6934d9dc70464ef3bcaa96ac5a9381fc)";
        assert_eq!(common(reason), "refused (status 400, tracking id *)");
        assert_eq!(
            common("n\u{e4}ch 123e4567-e89b-12d3-a456-426614174000"),
            "n\u{e4}ch *"
        );
        assert_eq!(common(""), "");
    }

    #[test]
    fn reasons_without_end_are_counted_in_bounded_memory() {
        let mut counts = Counts::new();
        for sequence in 1..=3_000 {
            count(
                &mut counts,
                LetterHead {
                    sequence,
                    stored_at: Timestamp::from_micros(0),
                    event_id: EventId(String::new()),
                    tenant: None,
                    device: None,
                    class: "permanent".to_owned(),
                    reason: format!("reason {sequence}x"),
                    attempts: 0,
                    replay: 0,
                },
            );
        }
        assert_eq!(counts.len(), REASONS + 1);
        assert_eq!(
            counts.values().map(|count| count.letters).sum::<u64>(),
            3_000
        );
    }
}
