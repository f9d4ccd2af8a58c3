//! Printing results: a table for people, JSON for programs.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::Output;

/// Prints `value` as JSON, or as what `text` makes of it.
pub(crate) fn result<T: Serialize>(
    output: Output,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(value)?,
        Output::Text => text(value),
    };
    put(text.trim_end())?;
    Ok(())
}

/// Writes a line or several to standard output. False if nobody reads any more, such as `head`,
/// which has seen enough.
pub(crate) fn put(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// A bar on standard error for work that takes long; nothing where that is no terminal.
pub(crate) fn progress(what: &'static str, of: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {human_pos} of {human_len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(of).with_prefix(what).with_style(style)
}

/// A length of time in its two largest units: `4 s`, `2 h 5 min`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = units[first..].iter().take(2).filter(|(n, _)| *n > 0);
    let words: Vec<_> = shown.map(|(n, unit)| format!("{n} {unit}")).collect();
    if words.is_empty() {
        return "0 s".to_owned();
    }
    words.join(" ")
}

/// The present by this machine's clock.
pub(crate) fn now() -> lifecycle::Timestamp {
    lifecycle::Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// A time, and how long ago that is or when it will be.
pub(crate) fn time_from(now: lifecycle::Timestamp, then: lifecycle::Timestamp) -> String {
    let shown = time(then);
    if then > now {
        return format!("{shown} (in {})", span(then.since(now)));
    }
    format!("{shown} ({} ago)", span(now.since(then)))
}

/// A table without lines, as wide as it needs to be.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Names and values, one a line, the values aligned.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let facts: Vec<_> = facts.into_iter().collect();
    let width = facts
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    facts.iter().fold(String::new(), |text, (name, value)| {
        format!("{text}{name:width$}  {value}\n")
    })
}

/// A time as RFC 3339, in UTC.
pub(crate) fn time(time: lifecycle::Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.as_micros())
        .map_or_else(|_| "?".to_owned(), |time| format!("{time:.0}"))
}

/// Text from outside, safe to show on a terminal: control characters are escaped.
pub(crate) fn harmless(text: impl Display) -> String {
    let text = text.to_string();
    let escape = |c: char| {
        if c.is_control() && c != '\n' {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// Text from outside as one line, safe to show on a terminal.
pub(crate) fn line(text: impl Display) -> String {
    harmless(text).replace('\n', "\\n")
}

/// JSON on one line, safe to show on a terminal: what serde leaves as it is, DEL and the controls
/// from U+0080 on, is written as escapes, which mean the same.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    let escape = |c: char| {
        if c.is_control() {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// Colours, or none of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    pub(crate) const PLAIN: Self = Self { on: false };

    /// Colours if standard output is a terminal, unless the user wants none
    /// (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            on: std::io::stdout().is_terminal() && !unwanted && !dumb,
        }
    }

    pub(crate) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn name(self, text: &str) -> String {
        self.with("36", text)
    }

    pub(crate) fn value(self, text: &str) -> String {
        self.with(if text.starts_with('"') { "32" } else { "33" }, text)
    }

    pub(crate) fn added(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn gone(self, text: &str) -> String {
        self.with("31", text)
    }

    /// `code` is one of ECMA-48's for `SELECT GRAPHIC RENDITION`.
    fn with(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb"), "a\\u{1b}[31mb");
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_500, "2 h 5 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn values_stand_below_one_another() {
        assert_eq!(
            facts([("a", "1".into()), ("long", "2".into())]),
            "a     1\nlong  2\n"
        );
    }
}
