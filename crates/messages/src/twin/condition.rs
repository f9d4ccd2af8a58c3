//! The one form of query that callers may send, and why nothing else.
//!
//! A hub may hold the devices of several tenants, and its query language sees all of them. So the
//! service writes the query itself, `… WHERE deviceId IN [<the tenant's>] AND (<condition>)`, and
//! takes only the condition from the caller. Whatever stands in the parentheses must stay in them:
//! brackets are balanced, texts end, and the characters are few. Readers of SQL disagree about
//! backslashes in texts, so those are refused. Aggregates and projections do not say whose devices
//! they are made of; they are refused too.

use std::str::FromStr;

use super::{BadRequest, invalid};

/// The longest condition, in characters: the hub takes 8192 for the whole, and the devices' ids
/// need most of it.
const MAX_CONDITION: usize = 2000;
const WHERE_TO_PUT: &str = "a query is `SELECT * FROM devices`, or `FROM devices.modules`, with \
                            or without WHERE; rows are whole twins";
/// Words that begin another clause.
const CLAUSES: [&str; 10] = [
    "select", "from", "where", "group", "order", "having", "join", "union", "limit", "top",
];

/// What is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Twins of devices.
    Devices,
    /// Twins of modules.
    Modules,
}

impl Source {
    /// The collection's name in the query language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Modules => "devices.modules",
        }
    }
}

/// Which twins are looked for: `SELECT * FROM <source> [WHERE <filter>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is looked through.
    pub source: Source,
    /// What follows `WHERE`; it cannot reach beyond parentheses around it.
    filter: Option<String>,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            source: Source::Devices,
            filter: None,
        }
    }
}

impl Condition {
    /// What follows `WHERE`, safe inside parentheses.
    #[must_use]
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// The query as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let source = self.source.as_str();
        match &self.filter {
            Some(filter) => format!("SELECT * FROM {source} WHERE {filter}"),
            None => format!("SELECT * FROM {source}"),
        }
    }
}

impl FromStr for Condition {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let mut rest = text;
        for expected in ["select", "*", "from"] {
            let (word, after) = next_word(rest);
            if !word.eq_ignore_ascii_case(expected) {
                return Err(invalid(WHERE_TO_PUT));
            }
            rest = after;
        }
        let (word, after) = next_word(rest);
        let source = match word.to_ascii_lowercase().as_str() {
            "devices" => Source::Devices,
            "devices.modules" => Source::Modules,
            _ => return Err(invalid(WHERE_TO_PUT)),
        };
        let (word, after) = next_word(after);
        let filter = match word.to_ascii_lowercase().as_str() {
            "" if after.trim_ascii().is_empty() => None,
            "where" => Some(after.trim_ascii()),
            _ => return Err(invalid(WHERE_TO_PUT)),
        };
        filter.map_or(Ok(()), enclosed)?;
        Ok(Self {
            source,
            filter: filter.map(str::to_owned),
        })
    }
}

/// The next word and what follows it; `*` is one by itself.
fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    let end = match text.bytes().next() {
        Some(b'*') => 1,
        _ => text
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
            .unwrap_or(text.len()),
    };
    text.split_at(end)
}

/// Checks that a condition stays what it is inside parentheses.
fn enclosed(filter: &str) -> Result<(), BadRequest> {
    if filter.is_empty() || filter.chars().count() > MAX_CONDITION {
        return Err(invalid("a condition has 1 to 2000 characters"));
    }
    let mut open = Vec::new();
    let (mut rest, mut before) = (filter, ' ');
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\'' | '"' => after_text(rest, c)?,
            'A'..='Z' | 'a'..='z' | '_' | '$' => {
                // A word after a dot or in brackets is a name, whatever it is.
                after_word(rest, before == '.' || open.contains(&'['))?
            }
            _ => {
                bracket(c, &mut open)?;
                after_sign(rest, c)?
            }
        };
        before = c;
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(unmatched())
    }
}

/// Keeps account of what was opened.
fn bracket(c: char, open: &mut Vec<char>) -> Result<(), BadRequest> {
    match c {
        '(' | '[' => open.push(c),
        ')' if open.pop() != Some('(') => return Err(unmatched()),
        ']' if open.pop() != Some('[') => return Err(unmatched()),
        _ => {}
    }
    Ok(())
}

/// What follows the sign that `rest` begins with. What some readers take for a comment is none.
fn after_sign(rest: &str, sign: char) -> Result<&str, BadRequest> {
    let known =
        sign.is_ascii_digit() || sign.is_ascii_whitespace() || "()[].,=!<>+-*/%".contains(sign);
    if !known || rest.starts_with("--") || rest.starts_with("/*") {
        return Err(odd());
    }
    Ok(&rest[sign.len_utf8()..])
}

/// What follows the word that `rest` begins with, which begins no clause unless it is a name.
fn after_word(rest: &str, is_name: bool) -> Result<&str, BadRequest> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_$".contains(c)));
    let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
    if !is_name && CLAUSES.contains(&word.to_ascii_lowercase().as_str()) {
        return Err(invalid("a condition has no further clauses"));
    }
    Ok(after)
}

fn unmatched() -> BadRequest {
    invalid("the brackets of the condition do not match")
}

fn odd() -> BadRequest {
    invalid("a condition has letters, digits, operators, brackets, and texts in quotes")
}

/// What follows the text that `rest` begins with.
fn after_text(rest: &str, quote: char) -> Result<&str, BadRequest> {
    let body = &rest[1..];
    let end = body
        .find(quote)
        .ok_or(invalid("a text in the condition does not end"))?;
    if body[..end].contains(|c: char| c == '\\' || c.is_control()) {
        return Err(invalid(
            "a text in the condition has a backslash or a control character; for a quote inside \
             a text use the other kind of quotes around it",
        ));
    }
    Ok(&body[end + 1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn filter(text: &str) -> Option<String> {
        let condition: Condition = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        condition.filter
    }

    #[test]
    fn whole_twins_of_devices_or_modules_can_be_asked_for() {
        assert_eq!(filter("SELECT * FROM devices"), None);
        assert_eq!(filter(" select*from Devices "), None);
        let modules: Condition = "SELECT * FROM devices.modules WHERE moduleId = 'm'"
            .parse()
            .unwrap();
        assert_eq!(modules.source, Source::Modules);
        assert_eq!(modules.filter(), Some("moduleId = 'm'"));
        assert_eq!(modules.to_text().parse(), Ok(modules));
    }

    #[test]
    fn conditions_of_the_query_language_are_taken() {
        for good in [
            "tags.site = 'north' AND NOT (properties.reported.rate >= 1.5)",
            "tags.owner = \"O'Hare\"",
            "devices.tags.from = 'x' AND tags.select.top = 1",
            "is_defined(tags.a) OR tags.b IN ['a)', \"b]\"]",
            "configurations.[[my-id]].status = 'Applied'",
            "properties.reported.$metadata.a.$lastUpdated > '2026-01-01T00:00:00Z'",
            "tags.ключ = 1",
        ] {
            let text = format!("SELECT * FROM devices WHERE {good}");
            let taken = text.parse::<Condition>().is_ok();
            assert_eq!(taken, good.is_ascii(), "{good}");
        }
    }

    #[test]
    fn hostile_queries_are_refused() {
        for hostile in [
            "",
            "SELECT COUNT() AS n FROM devices",
            "SELECT deviceId FROM devices",
            "SELECT *, tags FROM devices",
            "SELECT TOP 5 * FROM devices",
            "SELECT * FROM devices.jobs",
            "SELECT * FROM devices d WHERE 1 = 1",
            "SELECT * FROM devices GROUP BY tags.x",
            "SELECT * FROM devices WHERE",
            "SELECT * FROM devices WHERE 1 = 1 GROUP BY tags.x",
            "SELECT * FROM devices WHERE 1 = 1) OR (1 = 1",
            "SELECT * FROM devices WHERE ) OR ( 1 = 1 ) OR (",
            "SELECT * FROM devices WHERE (1 = 1",
            "SELECT * FROM devices WHERE tags.a IN ['x')]",
            "SELECT * FROM devices WHERE tags.a = 'x",
            r"SELECT * FROM devices WHERE tags.a = 'x\') OR (1 = 1 OR tags.b = \''",
            r"SELECT * FROM devices WHERE tags.a = 'x\u0027'",
            "SELECT * FROM devices WHERE 1 = 1 -- AND",
            "SELECT * FROM devices WHERE 1 = 1 /* x */",
            "SELECT * FROM devices WHERE 1 = 1; SELECT * FROM devices",
            "SELECT * FROM devices WHERE 1 = 1\0",
            "SELECT * FROM devices WHERE tags.a = \u{2019}x\u{2019}",
            "SELECT * FROM devices; DROP",
        ] {
            assert!(hostile.parse::<Condition>().is_err(), "{hostile}");
        }
        let long = format!("SELECT * FROM devices WHERE {}", "1".repeat(2001));
        assert!(long.parse::<Condition>().is_err());
    }

    /// Where the first closing bracket is that closes nothing, read naively.
    fn leaves(filter: &str) -> bool {
        let (mut depth, mut quote) = (0_i32, None);
        for c in filter.chars() {
            match quote {
                Some(q) if c == q => quote = None,
                None if "'\"".contains(c) => quote = Some(c),
                None => depth += i32::from(c == '(') - i32::from(c == ')'),
                Some(_) => {}
            }
            if depth < 0 {
                return true;
            }
        }
        depth != 0 || quote.is_some()
    }

    proptest! {
        #[test]
        fn no_condition_leaves_its_parentheses(filter in r#"[()'"\\\[\] a=1.]{0,24}"#) {
            let text = format!("SELECT * FROM devices WHERE {filter}");
            if let Ok(condition) = text.parse::<Condition>() {
                prop_assert!(!leaves(condition.filter().unwrap()), "{filter}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Condition>();
            let _ = format!("SELECT * FROM devices WHERE {text}").parse::<Condition>();
        }
    }
}
