//! `dlq list`: a page of dead letters, newest first.

use std::collections::VecDeque;

use jetstream::{DeadLetters, LetterHead};

use super::{brief, filter};
use crate::cli::{DlqList, Output};
use crate::print;

pub(super) async fn run(
    letters: &DeadLetters,
    args: &DlqList,
    output: Output,
) -> anyhow::Result<()> {
    let filter = filter(letters, &args.letters).await?;
    let mut scan = letters.scan(&filter).await?;
    // The server tells them oldest first; only the page is kept.
    let mut page = VecDeque::new();
    let mut older = 0_u64;
    while let Some(head) = scan.next().await? {
        if args.before.is_some_and(|before| before <= head.sequence) {
            break;
        }
        page.push_front(head);
        if page.len() > args.limit {
            page.pop_back();
            older += 1;
        }
    }
    let shown: Vec<_> = page.iter().map(brief).collect();
    print::result(output, &shown, |_| in_words(&page, older))
}

fn in_words(page: &VecDeque<LetterHead>, older: u64) -> String {
    let text = match page.len() {
        0 => "no dead letters".to_owned(),
        _ => table(page),
    };
    match (older, page.back()) {
        (0, _) => text,
        (_, None) => format!("{older} are not shown: --limit"),
        (_, Some(last)) => format!(
            "{text}\n{older} older ones are not shown: --limit, or --before {}",
            last.sequence
        ),
    }
}

fn table(page: &VecDeque<LetterHead>) -> String {
    let rows = page.iter().map(|head| {
        [
            head.sequence.to_string(),
            print::time(head.stored_at),
            format!("{:?}", head.tenant.as_deref().unwrap_or_default()),
            head.device.clone().unwrap_or_else(|| "?".to_owned()),
            head.class.clone(),
            head.reason.clone(),
        ]
    });
    let names = ["NUMBER", "SINCE", "TENANT", "DEVICE", "CLASS", "REASON"];
    print::harmless(print::table(names, rows))
}
