//! Faults on order: which requests go wrong, and how.
//!
//! A program is a list of rules; every request is shown to all of them so that each can count what
//! it matches, and the first that fires decides. Deciding is pure; waiting, refusing and cutting
//! connections is done by whoever handles the request. Whether a fault comes before or after the
//! effect is the whole point: only the second kind leaves a client unsure what happened.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::glob;
use crate::operation::Operation;

/// What a fault looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) method: &'a str,
    /// The path after percent-decoding.
    pub(crate) path: &'a str,
    pub(crate) operation: Operation,
    pub(crate) device: Option<&'a str>,
}

/// Whether the request does its work before it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Moment {
    /// It goes wrong first and changes nothing.
    #[default]
    Before,
    /// It takes effect first.
    After,
}

/// What the client gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Delivery {
    /// An answer.
    #[default]
    Send,
    /// A closed connection.
    Drop,
}

/// A value for `Retry-After`: seconds, or any text, for dates and nonsense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum RetryAfter {
    Seconds(u64),
    Text(String),
}

/// One rule as it is written down. All filters must match; a missing filter matches everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    name: Option<String>,
    method: Option<String>,
    path: Option<String>,
    operation: Option<Operation>,
    device: Option<String>,
    #[serde(default = "one")]
    every: u64,
    #[serde(default)]
    skip: u64,
    times: Option<u64>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    delay_after_ms: u64,
    #[serde(default)]
    effect: Moment,
    status: Option<u16>,
    error: Option<String>,
    retry_after: Option<RetryAfter>,
    #[serde(default)]
    reply: Delivery,
}

const fn one() -> u64 {
    1
}

/// What to do to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The rule's name, for the journal.
    pub(crate) name: String,
    pub(crate) delay_ms: u64,
    pub(crate) delay_after_ms: u64,
    pub(crate) effect: Moment,
    /// The refusal to answer with: status, error name, `Retry-After`.
    pub(crate) answer: Option<FaultAnswer>,
    pub(crate) reply: Delivery,
}

/// The refusal a fault puts in place of the true answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultAnswer {
    pub(crate) status: StatusCode,
    pub(crate) error: Option<String>,
    pub(crate) retry_after: Option<String>,
}

impl Fault {
    /// Whether the request must not take effect. A rule that only delays prevents nothing.
    pub(crate) fn prevents_effect(&self) -> bool {
        let goes_wrong = self.answer.is_some() || self.reply == Delivery::Drop;
        goes_wrong && self.effect == Moment::Before
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        if self.every == 0 {
            return Err("every must be at least 1".to_owned());
        }
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err("status must be a number from 200 to 599".to_owned());
        }
        if self.status.is_none() && (self.error.is_some() || self.retry_after.is_some()) {
            return Err("error and retry_after need a status".to_owned());
        }
        if self.operation.is_some_and(Operation::only_in_journal) {
            return Err("only requests can go wrong, neither hand edits nor items".to_owned());
        }
        let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let texts = [self.error.as_deref(), self.retry_after_text()];
        if !texts.into_iter().flatten().all(printable) {
            return Err(
                "error and retry_after must be printable ASCII, as they become headers".to_owned(),
            );
        }
        Ok(())
    }

    fn retry_after_text(&self) -> Option<&str> {
        match &self.retry_after {
            Some(RetryAfter::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        self.method
            .as_deref()
            .is_none_or(|method| method.eq_ignore_ascii_case(subject.method))
            && self
                .path
                .as_deref()
                .is_none_or(|pattern| glob::matches(pattern, subject.path))
            && self
                .operation
                .is_none_or(|operation| operation == subject.operation)
            && self
                .device
                .as_deref()
                .is_none_or(|device| Some(device) == subject.device)
    }

    fn fault(&self, index: usize) -> Fault {
        let status = self
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let retry_after = self.retry_after.as_ref().map(|value| match value {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Text(text) => text.clone(),
        });
        Fault {
            name: self.name.clone().unwrap_or_else(|| format!("rule {index}")),
            delay_ms: self.delay_ms,
            delay_after_ms: self.delay_after_ms,
            effect: self.effect,
            answer: status.map(|status| FaultAnswer {
                status,
                error: self.error.clone(),
                retry_after,
            }),
            reply: self.reply,
        }
    }
}

/// A rule with what it has seen so far.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    rule: Rule,
    /// Requests that matched.
    matched: u64,
    /// Requests it was used on.
    fired: u64,
}

/// The rules in force, with their counters.
#[derive(Debug, Default, Serialize)]
pub(crate) struct FaultProgram {
    rules: Vec<Counted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rules: Vec<Rule>,
}

impl FaultProgram {
    /// Reads a program; the error says what is wrong with which rule.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        for (index, rule) in written.rules.iter().enumerate() {
            let name = rule.name.as_deref().unwrap_or("unnamed");
            rule.check()
                .map_err(|problem| format!("rule {index} ({name}): {problem}"))?;
        }
        let start = |rule| Counted {
            rule,
            matched: 0,
            fired: 0,
        };
        Ok(Self {
            rules: written.rules.into_iter().map(start).collect(),
        })
    }

    /// Counts a request and says what is to go wrong with it, if anything.
    pub(crate) fn decide(&mut self, subject: &Subject<'_>) -> Option<Fault> {
        let mut decided = None;
        for (index, counted) in self.rules.iter_mut().enumerate() {
            if !counted.rule.matches(subject) {
                continue;
            }
            counted.matched += 1;
            let rule = &counted.rule;
            let turn = counted
                .matched
                .checked_sub(rule.skip)
                .is_some_and(|n| n > 0 && n % rule.every == 0);
            let left = rule.times.is_none_or(|times| counted.fired < times);
            if decided.is_none() && turn && left {
                counted.fired += 1;
                decided = Some(rule.fault(index));
            }
        }
        decided
    }
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
