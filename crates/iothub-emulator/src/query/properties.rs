//! No text makes the language panic, whatever it is made of.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rows::{Datum, Row};
use super::*;

/// A row that has something of every type under names the generator uses.
struct Anything(Value);

impl Row for Anything {
    fn get(&self, path: &[String]) -> Datum<'_> {
        self.0.get(path.last()?).map(Cow::Borrowed)
    }
}

fn run(text: &str) {
    let row = Anything(json!({"a": 1.5, "b": "text", "tags": [1, null], "deviceId": {"x": true}}));
    if let Ok((_, filter)) = parse_condition(text, Dialect::AllFunctions) {
        is_true(filter.as_ref(), &row);
    }
    let Ok(query) = parse(text, Dialect::AllFunctions) else {
        return;
    };
    is_true(query.filter.as_ref(), &row);
    if let ast::Select::Columns(columns) = &query.select {
        let text = select::project(columns, &row);
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
    let mut groups = select::Groups::default();
    groups.add(&query, &row);
    groups.finish(&query);
}

/// Pieces of queries, right ones and wrong ones.
const PIECES: [&str; 58] = [
    "SELECT",
    "TOP",
    "*",
    "FROM",
    "devices",
    "devices.modules",
    "devices.jobs",
    "WHERE",
    "GROUP BY",
    "AND",
    "OR",
    "NOT",
    "IN",
    "NIN",
    "AS",
    "(",
    ")",
    "[",
    "]",
    "[[",
    "]]",
    ",",
    ".",
    "=",
    "!=",
    "<>",
    "<",
    ">=",
    "+",
    "-",
    "/",
    "%",
    "a",
    "b",
    "tags",
    "deviceId",
    "$version",
    "1",
    "0x1F",
    ".5",
    "1e308",
    "9007199254740993",
    "'text'",
    "'\\u00fc'",
    "\"x\"",
    "'",
    "true",
    "null",
    "undefined",
    "COUNT()",
    "AVG(",
    "IS_DEFINED(",
    "SUBSTRING(",
    "POWER(",
    "CONCAT('a', 'b')",
    ";",
    "ü",
    "\\",
];

proptest! {
    #[test]
    fn any_text_is_a_query_or_is_none(text in ".{0,200}") {
        run(&text);
    }

    #[test]
    fn any_mix_of_pieces_is_a_query_or_is_none(
        picks in prop::collection::vec(0..PIECES.len(), 0..60),
        selects in any::<bool>(),
    ) {
        let words: Vec<&str> = picks.into_iter().map(|at| PIECES[at]).collect();
        let start = if selects { "SELECT * FROM devices WHERE " } else { "" };
        run(&format!("{start}{}", words.join(" ")));
    }

    #[test]
    fn any_text_is_a_token_or_is_none(text in "[A-Za-z0-9_-]{0,80}") {
        prop_assert!(token::read("q", &text).is_none());
    }
}
